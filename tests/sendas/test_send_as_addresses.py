"""sendas.addresses: adding, editing and deleting From addresses."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, insert, select

from outgate.authorise import Authorised, authorise
from outgate.directory import accounts
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.model import Refused
from outgate.sendas import send_as_addresses
from outgate.store import tables
from outgate.store.engine import read, write

PRIMARY = "alice@example.com"
EXTERNAL = "alice@dominiopartner.example"


def test_a_new_address_waits_for_its_confirmation(example: Engine, alice: int) -> None:
    with write(example) as connection:
        entry = send_as_addresses.add(
            connection, alice, EXTERNAL, 5.0, display_name="Alice P.", reply_to="Desk@Example.COM"
        )
        account = accounts.load(connection, alice)
    assert account
    assert (entry.display_name, entry.reply_to) == ("Alice P.", "desk@example.com")
    assert {entry.verified, entry.is_default, entry.is_primary, entry.own_domain} == {False}
    assert isinstance(authorise(account, EXTERNAL, [EXTERNAL]), Refused)


def test_an_address_in_an_own_domain_is_accepted_if_granted(example: Engine, alice: int) -> None:
    with write(example) as connection:
        assert not send_as_addresses.add(connection, alice, "sales@example.com", 5.0).verified
        granted = send_as_addresses.add(connection, alice, "info@example.com", 5.0, granted_by_administrator=True)
        account = accounts.load(connection, alice)
    assert granted.verified
    assert granted.own_domain
    assert account
    assert isinstance(authorise(account, PRIMARY, ["info@example.com"]), Authorised)


def test_an_external_address_can_not_be_granted(example: Engine, alice: int) -> None:
    with pytest.raises(NotAllowed, match="only its owner"), write(example) as connection:
        send_as_addresses.add(connection, alice, EXTERNAL, 5.0, granted_by_administrator=True)


def test_an_address_is_added_once_however_it_is_written(example: Engine, alice: int, bob: int) -> None:
    with write(example) as connection:
        send_as_addresses.add(connection, alice, EXTERNAL, 5.0)
        send_as_addresses.add(connection, bob, EXTERNAL, 5.0)  # another account may prove it as well
        for again in (EXTERNAL, "ALICE@DominioPartner.example", PRIMARY):
            with pytest.raises(AlreadyExists):
                send_as_addresses.add(connection, alice, again, 5.0)


@pytest.mark.parametrize(
    ("address", "name", "reply_to"),
    [
        ("alice", "", ""),
        ("a@b@c.example", "", ""),
        (EXTERNAL, "Alice\r\nBcc: carol@example.net", ""),
        (EXTERNAL, "", "not an address"),
        (EXTERNAL, "", "a@b.example\r\nBcc: carol@example.net"),
    ],
)
def test_what_can_not_be_written_in_a_header_is_refused(
    example: Engine, alice: int, address: str, name: str, reply_to: str
) -> None:
    with pytest.raises(Invalid), write(example) as connection:
        send_as_addresses.add(connection, alice, address, 5.0, display_name=name, reply_to=reply_to)


def test_an_account_has_99_addresses_at_most(example: Engine, alice: int) -> None:
    with write(example) as connection:
        filler = [{"account_id": alice, "address": f"a{n}@p.example", "created_at": 0.0} for n in range(97)]
        connection.execute(insert(tables.send_as), filler)
        send_as_addresses.add(connection, alice, "the99th@p.example", 5.0)
        with pytest.raises(NotAllowed, match="99"):
            send_as_addresses.add(connection, alice, "the100th@p.example", 5.0)


def test_two_at_the_same_time_do_not_pass_the_limit_or_add_twice(example: Engine, alice: int) -> None:
    with write(example) as connection:
        filler = [{"account_id": alice, "address": f"a{n}@p.example", "created_at": 0.0} for n in range(95)]
        connection.execute(insert(tables.send_as), filler)

    def add(number: int) -> str:
        try:
            with write(example) as connection:
                send_as_addresses.add(connection, alice, f"b{number // 2}@p.example", 5.0)
        except (AlreadyExists, NotAllowed) as error:
            return type(error).__name__
        return "added"

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(add, range(10)))
    assert outcomes.count("added") == 3
    with read(example) as connection:
        assert connection.scalar(select(func.count()).where(tables.send_as.c.account_id == alice)) == 99


def test_there_is_one_default_and_it_is_confirmed(example: Engine, alice: int) -> None:
    with write(example) as connection:
        send_as_addresses.add(connection, alice, "info@example.com", 5.0, granted_by_administrator=True)
        send_as_addresses.add(connection, alice, EXTERNAL, 5.0)
        send_as_addresses.edit(connection, alice, "info@example.com", make_default=True)
        assert [entry.address for entry in send_as_addresses.addresses(connection, alice) if entry.is_default] == [
            "info@example.com"
        ]
        with pytest.raises(NotAllowed, match="not confirmed"):
            send_as_addresses.edit(connection, alice, EXTERNAL, make_default=True)


def test_when_the_default_is_deleted_the_primary_becomes_it(example: Engine, alice: int) -> None:
    with write(example) as connection:
        send_as_addresses.add(connection, alice, "info@example.com", 5.0, granted_by_administrator=True)
        send_as_addresses.edit(connection, alice, "info@example.com", make_default=True)
        send_as_addresses.remove(connection, alice, "info@example.com")
        (primary,) = send_as_addresses.addresses(connection, alice)
    assert primary.is_default


def test_an_edit_changes_what_is_given_only(example: Engine, alice: int) -> None:
    with write(example) as connection:
        send_as_addresses.add(connection, alice, EXTERNAL, 5.0, display_name="A", reply_to="desk@example.com")
        changed = send_as_addresses.edit(connection, alice, EXTERNAL, treat_as_alias=False)
        assert (changed.display_name, changed.reply_to, changed.treat_as_alias) == ("A", "desk@example.com", False)
        changed = send_as_addresses.edit(connection, alice, EXTERNAL, display_name="B", reply_to="")
        assert (changed.display_name, changed.reply_to, changed.treat_as_alias) == ("B", "", False)
        with pytest.raises(Invalid):
            send_as_addresses.edit(connection, alice, PRIMARY, treat_as_alias=False)


def test_the_primary_address_is_not_deleted(example: Engine, alice: int) -> None:
    with pytest.raises(NotAllowed, match=r"^Cannot delete primary send-as$"), write(example) as connection:
        send_as_addresses.remove(connection, alice, PRIMARY)


def test_an_address_of_a_colleague_is_not_there_for_others(example: Engine, alice: int, bob: int) -> None:
    with write(example) as connection:
        send_as_addresses.add(connection, alice, EXTERNAL, 5.0)
        with pytest.raises(NotFound):
            send_as_addresses.edit(connection, bob, EXTERNAL, display_name="Bob")
        with pytest.raises(NotFound):
            send_as_addresses.remove(connection, bob, EXTERNAL)
        with pytest.raises(NotFound):
            send_as_addresses.remove(connection, bob, PRIMARY)
        assert len(send_as_addresses.addresses(connection, alice)) == 2


def test_an_account_that_is_not_there_has_no_addresses(example: Engine) -> None:
    with pytest.raises(NotFound), write(example) as connection:
        send_as_addresses.add(connection, 999, EXTERNAL, 5.0)


def test_a_tag_that_another_account_has_proven_is_not_that_of_the_address_any_more(
    example: Engine, alice: int, bob: int
) -> None:
    tagged = "alice+bob@example.com"

    def may_send() -> bool:
        account = accounts.load(connection, alice)
        return account is not None and isinstance(authorise(account, "", [tagged]), Authorised)

    with write(example) as connection:
        assert may_send()
        send_as_addresses.add(connection, bob, tagged, 5.0)
        assert may_send()  # who only claims it takes nothing away
        send_as_addresses.remove(connection, bob, tagged)
        send_as_addresses.add(connection, bob, tagged, 5.0, granted_by_administrator=True)
        assert not may_send()
        send_as_addresses.add(connection, alice, tagged, 5.0, granted_by_administrator=True)
        assert may_send()
