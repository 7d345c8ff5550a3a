"""Whole domains proven by the DNS, and what is granted in them and in the own ones."""

import pytest
from sqlalchemy import Connection, Engine, update

from outgate.authorise import Authorised, authorise
from outgate.directory import accounts, units, users
from outgate.directory.errors import AlreadyExists, DirectoryError
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
        proven_domains.settle(connection, 4.0, bob)
        assert may(connection, bob, SALES)
        assert may(connection, bob, "info@example.com")
        assert not may(connection, bob, ANYBODY)
        send_as_addresses.edit(connection, bob, SALES, make_default=True)
        users.move(connection, BOB, "/")
        proven_domains.settle(connection, 5.0, bob)
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
