"""Whole domains proven by the DNS, and what is granted in them and in the own ones."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, delete, event, insert, select, update

from outgate.authorise import Authorised, authorise
from outgate.directory import accounts, units, user_groups, users
from outgate.directory.errors import AlreadyExists, DirectoryError, NotAllowed
from outgate.model import Refused
from outgate.sendas import proven_domains, send_as_addresses, verification
from outgate.sendas.proven_domains import SUSPENDED_AFTER, AddressGrant
from outgate.store import tables
from outgate.store.engine import write
from outgate.store.vault import Vault

DOMAIN = "dominiopartner.example"
WHOLE = f"*@{DOMAIN}"
ANYBODY = f"anybody@{DOMAIN}"
SALES = f"sales@{DOMAIN}"
ALICE, BOB = "alice@example.com", "bob@example.com"


def to(address: str, user: str | None = None, unit: str | None = None) -> AddressGrant:
    return AddressGrant(address, user, unit)


def proven(connection: Connection) -> None:
    proven_domains.begin(connection, DOMAIN, 1.0)
    proven_domains.settle_check(connection, DOMAIN, True, 2.0)


def may(connection: Connection, account_id: int, address: str) -> bool:
    account = accounts.load(connection, account_id)
    assert account
    return isinstance(authorise(account, "", [address]), Authorised)


def test_a_domain_is_proven_by_its_record_and_used_by_whom_it_is_granted(example: Engine, alice: int, bob: int) -> None:
    with write(example) as connection:
        begun = proven_domains.begin(connection, DOMAIN.upper(), 1.0)
        assert begun == proven_domains.begin(connection, DOMAIN, 2.0)
        assert (begun.record_name, len(begun.token) >= 32) == (f"_outgate.{DOMAIN}", True)
        with pytest.raises(DirectoryError, match="is not proven"):
            proven_domains.grant(connection, to(WHOLE, ALICE), 2.0)
        assert proven_domains.settle_check(connection, DOMAIN, False, 2.0).missing_since is None
        assert proven_domains.settle_check(connection, DOMAIN, True, 3.0).proven_at == 3.0
        assert not may(connection, alice, ANYBODY)
        proven_domains.grant(connection, to(WHOLE, ALICE), 4.0)
        assert may(connection, alice, ANYBODY)
        assert not may(connection, alice, WHOLE)
        assert not may(connection, alice, f"anybody@sub.{DOMAIN}")
        assert not may(connection, bob, ANYBODY)
        with pytest.raises(AlreadyExists):
            proven_domains.grant(connection, to(WHOLE, ALICE), 4.0)
        proven_domains.revoke(connection, to(WHOLE, ALICE), 5.0)
        assert not may(connection, alice, ANYBODY)


def test_a_unit_has_what_it_is_granted_with_those_who_come_and_without_those_who_go(example: Engine, bob: int) -> None:
    with write(example) as connection:
        units.create(connection, "/Sales/Italy")
        proven(connection)
        proven_domains.grant(connection, to(SALES, unit="/Sales"), 3.0)
        proven_domains.grant(connection, to("info@example.com", unit="/Sales"), 3.0)
        assert not may(connection, bob, SALES)
        users.move(connection, BOB, "/Sales/Italy")
        proven_domains.settle_account(connection, bob, 4.0)
        assert may(connection, bob, SALES)
        assert may(connection, bob, "info@example.com")
        assert not may(connection, bob, ANYBODY)
        send_as_addresses.edit(connection, bob, SALES, make_default=True)
        users.move(connection, BOB, "/")
        proven_domains.settle_account(connection, bob, 5.0)
        assert not may(connection, bob, SALES)
        assert [one.is_default for one in send_as_addresses.addresses(connection, bob)] == [True]


def test_without_its_record_a_domain_is_suspended_after_a_week_and_comes_back_with_it(
    example: Engine, alice: int
) -> None:
    with write(example) as connection:
        proven(connection)
        proven_domains.grant(connection, to(WHOLE, ALICE), 3.0)
        for at in (10.0, 20.0, 9.0 + SUSPENDED_AFTER):
            found = proven_domains.settle_check(connection, DOMAIN, False, at)
            assert (found.missing_since, found.is_usable(at)) == (10.0, True)
            assert may(connection, alice, ANYBODY)
        late = 10.0 + SUSPENDED_AFTER
        assert not proven_domains.settle_check(connection, DOMAIN, False, late).is_usable(late)
        account = accounts.load(connection, alice)
        assert account
        refused = authorise(account, "", [ANYBODY])
        assert isinstance(refused, Refused)
        assert "does not prove it any more" in refused.reason
        proven_domains.settle_check(connection, DOMAIN, True, late + 1)
        assert may(connection, alice, ANYBODY)


def test_what_a_user_has_proven_stays_and_what_waits_for_a_proof_is_given(
    example: Engine, alice: int, bob: int
) -> None:
    with write(example) as connection:
        for account in (alice, bob):
            send_as_addresses.add(connection, account, SALES, 1.0, display_name="Sales")
        own = (tables.send_as.c.account_id == alice, tables.send_as.c.address == SALES)
        connection.execute(update(tables.send_as).where(*own).values(verified_at=1.0, proof="code"))
        proven(connection)
        proven_domains.grant(connection, to(SALES, unit="/"), 3.0)
        assert may(connection, alice, SALES)
        assert may(connection, bob, SALES)
        assert [one.display_name for one in send_as_addresses.addresses(connection, bob)][1:] == ["Sales"]
        proven_domains.remove(connection, DOMAIN, 4.0)
        assert may(connection, alice, SALES)
        assert not may(connection, bob, SALES)
        assert proven_domains.grants(connection) == ()


def test_a_whole_domain_is_proven_by_nothing_else(example: Engine, alice: int, vault: Vault) -> None:
    with write(example) as connection:
        with pytest.raises(DirectoryError, match="proven by its DNS"):
            send_as_addresses.add(connection, alice, WHOLE, 1.0)
        for name, why in (("example.com", "own domains"), ("example", "top-level")):
            with pytest.raises(DirectoryError, match=why):
                proven_domains.begin(connection, name, 1.0)
        proven(connection)
        for wanted in (to(WHOLE), to(WHOLE, ALICE, "/"), to("*@example.com", ALICE), to("*@other.example", ALICE)):
            with pytest.raises(DirectoryError):
                proven_domains.grant(connection, wanted, 3.0)
        proven_domains.grant(connection, to(WHOLE, ALICE), 3.0)
        with pytest.raises(DirectoryError, match="can't be the default"):
            send_as_addresses.edit(connection, alice, WHOLE, make_default=True)
        proven_domains.settle_check(connection, DOMAIN, False, 4.0)
        proven_domains.settle_check(connection, DOMAIN, False, 4.0 + SUSPENDED_AFTER)
        with pytest.raises(DirectoryError, match="only the DNS proves"):
            verification.start(connection, vault, alice, WHOLE, 5.0)


def test_a_grant_to_send_as_an_own_address_is_none_to_receive_its_mail(example: Engine, alice: int, bob: int) -> None:
    info = "info@example.com"
    with write(example) as connection:
        proven_domains.grant(connection, to(info, unit="/"), 3.0)
        proven_domains.grant(connection, to(info, ALICE), 3.0)
        assert may(connection, alice, info)
        assert accounts.local_mailbox(connection, info) is None
        assert accounts.local_mailbox(connection, "info+tag@example.com") is None
        proven_domains.revoke(connection, to(info, unit="/"), 4.0)
        send_as_addresses.add(connection, bob, info, 5.0, granted_by_administrator=True)
        assert accounts.local_mailbox(connection, info) == BOB


@pytest.mark.parametrize("address", [SALES, "info@example.com"])
def test_what_was_granted_goes_with_its_grant_alone(example: Engine, alice: int, bob: int, address: str) -> None:
    with write(example) as connection:
        proven(connection)
        proven_domains.grant(connection, to(address, ALICE), 3.0)
        for undo in (
            lambda: send_as_addresses.remove(connection, alice, address),
            lambda: send_as_addresses.transfer(connection, alice, bob, address, 4.0),
        ):
            with pytest.raises(NotAllowed, match="address-grant remove"):
                undo()
        assert may(connection, alice, address)
        assert not may(connection, bob, address)
        proven_domains.revoke(connection, to(address, ALICE), 5.0)
        assert len(send_as_addresses.addresses(connection, alice)) == 1


def test_a_new_user_costs_as_much_with_many_grants_as_with_one_and_a_check_without_news_nothing(
    example: Engine, bob: int
) -> None:
    statements: list[str] = []

    def cost(do: Callable[[Connection], object]) -> int:
        with write(example) as connection:
            statements.clear()
            do(connection)
            return len(statements)

    def settle(connection: Connection) -> None:
        proven_domains.settle_account(connection, bob, 5.0)

    with write(example) as connection:
        proven(connection)
        proven_domains.grant(connection, to(WHOLE, unit="/Sales"), 3.0)
        users.move(connection, BOB, "/Sales")
    event.listen(example, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    first = cost(settle)
    with write(example) as connection:
        for number in range(10):
            proven_domains.grant(connection, to(f"a{number}@{DOMAIN}", unit="/Sales"), 3.0)
        users.move(connection, BOB, "/")
        proven_domains.settle_account(connection, bob, 5.0)
        assert not may(connection, bob, f"a9@{DOMAIN}")
        users.move(connection, BOB, "/Sales")
    assert cost(settle) == first
    with write(example) as connection:
        assert may(connection, bob, f"a9@{DOMAIN}")
        before = accounts.directory_version(connection)
        proven_domains.settle_check(connection, DOMAIN, True, 6.0)
        proven_domains.settle_check(connection, DOMAIN, False, 7.0)
        proven_domains.settle_check(connection, DOMAIN, True, 8.0)
        proven_domains.settle(connection, 8.0)
        proven_domains.settle_account(connection, bob, 8.0)
        assert accounts.directory_version(connection) == before


def _revoke(connection: Connection, unit: str) -> None:
    proven_domains.revoke(connection, to(SALES, unit=unit), 4.0)


def _remove_domain(connection: Connection, unit: str) -> None:
    proven_domains.remove(connection, DOMAIN, 4.0)


def _move_unit(connection: Connection, unit: str) -> None:
    units.move(connection, f"{unit}/Team", f"{unit}Team")
    proven_domains.settle(connection, 4.0)


def _empty_group(connection: Connection, unit: str) -> None:
    group = user_groups.find(connection, unit)
    went = user_groups.set_members(connection, group, [])[1]
    proven_domains.settle_members(connection, group.id, went, 4.0)


def _remove_group(connection: Connection, unit: str) -> None:
    user_groups.remove(connection, user_groups.find(connection, unit))
    proven_domains.settle(connection, 4.0)


@pytest.mark.parametrize("take", [_revoke, _remove_domain, _move_unit, _empty_group, _remove_group])
def test_taking_an_address_from_many_costs_as_many_statements_as_from_few(
    example: Engine, take: Callable[[Connection, str], None]
) -> None:
    few, many = _cost_of_taking(example, "/Few", 30, take), _cost_of_taking(example, "/Many", 200, take)
    assert few == many


def _staff(connection: Connection, unit: str, size: int) -> list[int]:
    """The numbers of so many new users."""
    account, unit_id = tables.account.c, units.find(connection, unit).id
    domain = f"@{unit[1:].replace('/', '-').lower()}.example"
    people = [{"primary_address": f"u{n}{domain}", "unit_id": unit_id, "created_at": 3.0} for n in range(size)]
    connection.execute(insert(tables.account).values(name=""), people)
    rows = connection.execute(select(account.id, account.primary_address).where(account.unit_id == unit_id)).all()
    primary = {"is_primary": True, "is_default": True, "verified_at": 3.0, "created_at": 3.0}
    connection.execute(insert(tables.send_as), [primary | {"account_id": one, "address": name} for one, name in rows])
    return sorted(row.id for row in rows)


def _cost_of_taking(engine: Engine, unit: str, size: int, take: Callable[[Connection, str], None]) -> int:
    """How many statements it is to take an address from a unit or a group of this size: the default one of a third of
    them, and of another third one that was proven by a code as well. All that is left is as it must be.
    """
    statements: list[str] = []
    columns, by_group = tables.send_as.c, take in (_empty_group, _remove_group)
    with write(engine) as connection:
        proven(connection)
        units.create(connection, unit)
        ids = _staff(connection, units.create(connection, f"{unit}/Team"), size)
        user_groups.set_members(connection, user_groups.create(connection, unit, None, 3.0), ids)
        granted = AddressGrant(SALES, None, None, unit) if by_group else to(SALES, unit=unit)
        proven_domains.grant(connection, granted, 3.0)
        sales = (columns.address == SALES, columns.account_id.in_(ids))
        connection.execute(
            update(tables.send_as).where(columns.account_id.in_(ids[::3])).values(is_default=columns.address == SALES)
        )
        connection.execute(update(tables.send_as).where(*sales, columns.account_id % 3 == 0).values(proof="code"))
        by_code = set(connection.scalars(select(columns.account_id).where(*sales, columns.proof == "code")))
    event.listen(engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    with write(engine) as connection:
        before = accounts.directory_version(connection)
        statements.clear()
        take(connection, unit)
        cost = len(statements)
        assert accounts.directory_version(connection) > before
        left = connection.execute(select(columns.account_id, columns.grant_id).where(*sales)).all()
        assert set(left) == {(one, None) for one in by_code}
        defaults = connection.scalars(select(columns.account_id).where(columns.account_id.in_(ids), columns.is_default))
        assert sorted(defaults) == ids
        connection.execute(delete(tables.address_grant))
    return cost
