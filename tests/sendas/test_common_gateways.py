"""Common gateways: who sends by one, whose log-in it is, what it is sealed for, and that it goes with its grant."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, insert, select, update

from outgate.directory import accounts, policies, restrictions, second_factors, units, user_groups, users
from outgate.directory.errors import Invalid, NotAllowed
from outgate.directory.gateway_settings import GatewaySettings, open_password
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP, SETTINGS
from outgate.model import Cause, Gateway, QueueKey, Refused, Restriction, Security
from outgate.route import Route, RouteKind, gateway_queue, route
from outgate.sendas import common_gateways, gateways, proven_domains, send_as_addresses
from outgate.sendas.proven_domains import AddressGrant
from outgate.store import keyfile, tables
from outgate.store.engine import read, write
from outgate.store.rotation import rotate
from outgate.store.vault import SealBroken, Vault

DOMAIN = "dominiopartner.example"
SALES, SUPPORT = f"sales@{DOMAIN}", f"support@{DOMAIN}"
ALICE, BOB = "alice@example.com", "bob@example.com"
TO_SALES, TO_ALICE = AddressGrant(SALES, None, "/Sales"), AddressGrant(SALES, ALICE, None)
SERVER = GatewaySettings("smtp.dominiopartner.example", 587, Security.STARTTLS, "sales", "common-secret")
OTHER = GatewaySettings("other.dominiopartner.example", 465, Security.SSL, "alice", "another-secret")


@pytest.fixture
def granted(example: Engine, vault: Vault) -> Engine:
    """All of /Sales may send as SALES, by SERVER; users may have no gateways of their own."""
    with write(example) as connection:
        proven_domains.begin(connection, DOMAIN, 1.0)
        proven_domains.settle_check(connection, DOMAIN, True, 1.0)
        proven_domains.grant(connection, TO_SALES, 2.0)
        common_gateways.set_gateway(connection, vault, TO_SALES, SERVER, 2.0)
    return example


def way(connection: Connection, account_id: int, address: str = SALES) -> Route:
    """By which the account's mail from an address leaves."""
    account = accounts.load(connection, account_id)
    assert account
    shared = accounts.load_shared(connection)
    found = route(shared.organisation, account, account.send_as[address], "carol@x.example", reverse_path=address)
    assert not isinstance(found, Refused), found.reason
    return found


def gateway(connection: Connection, account_id: int, address: str = SALES) -> Gateway:
    found = way(connection, account_id, address).gateway
    assert found
    return found


def test_whoever_is_granted_the_address_sends_by_the_common_gateway_though_none_may_have_one_of_their_own(
    granted: Engine, vault: Vault, alice: int, bob: int
) -> None:
    with write(granted) as connection:
        found = way(connection, alice)
        assert (found.kind, found.reverse_path, str(found.queue)) == (RouteKind.USER_GATEWAY, SALES, "common-gateway:1")
        assert found.reasons[-1] == f"{SALES} has the common gateway {SERVER.host}:587, set by an administrator"
        assert open_password(vault, gateway(connection, alice)) == "common-secret"
        users.move(connection, BOB, "/Sales")
        proven_domains.settle_account(connection, bob, 3.0)
        assert gateway(connection, bob) == gateway(connection, alice)
        with pytest.raises(NotAllowed):
            gateways.set_gateway(connection, vault, alice, SALES, OTHER, 3.0)
        policies.set_value(connection, "/Sales", ALLOW_EXTERNAL_SMTP, True, 3.0)
        gateways.set_gateway(connection, vault, alice, SALES, OTHER, 3.0)
        assert gateway(connection, alice).host == OTHER.host
        assert gateway(connection, bob).host == SERVER.host
        policies.set_value(connection, "/Sales", ALLOW_EXTERNAL_SMTP, False, 4.0)
        found = way(connection, alice)
        assert found.gateway == gateway(connection, bob), "what policy takes away leaves by the common one again"
        assert "allowUsersToUseExternalSmtpServers is off" in found.reasons[0]


@pytest.mark.parametrize("to", [TO_SALES, TO_ALICE, AddressGrant(SALES, None, "/")])
def test_who_has_proven_the_address_by_a_code_sends_by_the_common_gateway_though_the_grant_is_of_before_there_were_any(
    example: Engine, vault: Vault, alice: int, to: AddressGrant
) -> None:
    entry = {"account_id": alice, "address": SALES, "tag_of": SALES, "created_at": 1.0, "verified_at": 1.0}
    with write(example) as connection:
        proven_domains.begin(connection, DOMAIN, 1.0)
        proven_domains.settle_check(connection, DOMAIN, True, 1.0)
        connection.execute(insert(tables.send_as).values(proof="code", **entry))
        proven_domains.grant(connection, to, 2.0)
        connection.execute(update(tables.send_as).values(grant_id=None).where(tables.send_as.c.proof == "code"))
        common_gateways.set_gateway(connection, vault, to, SERVER, 3.0)
        assert gateway(connection, alice).host == SERVER.host
        of_alice = (tables.send_as.c.account_id == alice, tables.send_as.c.address == SALES)
        assert connection.scalars(select(tables.send_as.c.proof).where(*of_alice)).all() == ["code"]


def test_the_lists_of_servers_hold_for_common_gateways_as_well(granted: Engine, vault: Vault, alice: int) -> None:
    with write(granted) as connection:
        policies.set_value(connection, "/Sales", SETTINGS["allowedGatewayHosts"], ["*.elsewhere.example"], 3.0)
        found = way(connection, alice)
        assert (found.kind, found.gateway) == (RouteKind.DIRECT, None)
        assert "is not on the list allowedGatewayHosts" in found.reasons[1]
        with pytest.raises(NotAllowed, match="is not on the list allowedGatewayHosts"):
            common_gateways.set_gateway(connection, vault, TO_SALES, OTHER, 3.0)
        proven_domains.grant(connection, AddressGrant("info@example.com", None, "/"), 3.0)
        with pytest.raises(NotAllowed, match="own domains"):
            common_gateways.set_gateway(connection, vault, AddressGrant("info@example.com", None, "/"), OTHER, 3.0)
        plain = GatewaySettings("smtp.elsewhere.example", 587, Security.NONE)
        with pytest.raises(Invalid, match="only port 25"):
            common_gateways.set_gateway(connection, vault, TO_SALES, plain, 3.0)


def test_the_nearest_grant_counts_and_each_credential_opens_for_its_own_grant_alone(
    granted: Engine, vault: Vault, alice: int
) -> None:
    with write(granted) as connection:
        everybody = proven_domains.grant(connection, AddressGrant(SALES, None, "/"), 3.0)
        common_gateways.set_gateway(connection, vault, everybody, OTHER, 3.0)
        assert gateway(connection, alice).host == SERVER.host
        proven_domains.grant(connection, TO_ALICE, 4.0)
        assert way(connection, alice).gateway is None, "her own grant has none"
        common_gateways.set_gateway(connection, vault, TO_ALICE, OTHER, 5.0)
        hers = gateway(connection, alice)
        assert hers.host == OTHER.host
        proven_domains.revoke(connection, TO_ALICE, 6.0)
        theirs = gateway(connection, alice)
        assert (theirs.host, theirs.identity == hers.identity) == (SERVER.host, False)
        columns = tables.common_gateway.c
        sealed = connection.scalar(select(columns.sealed_password).where(columns.host == OTHER.host))
        for changed in ({"sealed_password": sealed}, {"host": "mx.attacker.example"}, {"username": "root"}):
            with connection.begin_nested() as undone:
                connection.execute(update(tables.common_gateway).where(columns.host == SERVER.host).values(changed))
                with pytest.raises(SealBroken):
                    open_password(vault, gateway(connection, alice))
                undone.rollback()
        support = proven_domains.grant(connection, AddressGrant(SUPPORT, ALICE, None), 7.0)
        number = proven_domains.find_grant(connection, TO_SALES)[0]
        assert support.address == SUPPORT
        one = tables.send_as.c.address == SUPPORT
        connection.execute(update(tables.send_as).where(one).values(grant_id=number))
        with pytest.raises(SealBroken):
            open_password(vault, gateway(connection, alice, SUPPORT))


def test_it_is_forgotten_with_its_grant_and_nothing_of_it_holds_for_the_next(
    granted: Engine, vault: Vault, alice: int
) -> None:
    queue = QueueKey.parse("common-gateway:1")
    with write(granted) as connection:
        former = gateway(connection, alice)
        assert gateway_queue(former) == queue
        restrictions.put(connection, queue, Restriction(Cause.OPERATOR, "why", "root", 2.0))
        proven_domains.revoke(connection, TO_SALES, 3.0)
        assert connection.execute(select(tables.common_gateway)).all() == []
        proven_domains.grant(connection, TO_SALES, 4.0)
        common_gateways.set_gateway(connection, vault, TO_SALES, OTHER, 4.0)
        latter = gateway(connection, alice)
        assert former.credential_version < latter.credential_version
        assert restrictions.of(connection, gateway_queue(latter)) == ()
        proven_domains.remove(connection, DOMAIN, 5.0)
        assert connection.execute(select(tables.common_gateway)).all() == []


@pytest.mark.parametrize("what", ["group", "domain"])
def test_copies_hear_that_it_is_gone_though_every_user_has_proven_the_address_by_a_code(
    granted: Engine, vault: Vault, bob: int, what: str
) -> None:
    with write(granted) as connection:
        send_as_addresses.add(connection, bob, SALES, 3.0)
        his = tables.send_as.c.account_id == bob, tables.send_as.c.address == SALES
        connection.execute(update(tables.send_as).where(*his).values(verified_at=3.0, proof="code"))
        press = user_groups.create(connection, "Press", None, 3.0)
        user_groups.set_members(connection, press, [bob])
        proven_domains.revoke(connection, TO_SALES, 3.0)
        to_press = proven_domains.grant(connection, AddressGrant(SALES, None, None, "Press"), 3.0)
        common_gateways.set_gateway(connection, vault, to_press, SERVER, 3.0)
        assert gateway(connection, bob).host == SERVER.host
        before = accounts.directory_version(connection)
        if what == "group":
            user_groups.remove(connection, press)
            proven_domains.settle(connection, 4.0)
        else:
            proven_domains.remove(connection, DOMAIN, 4.0)
        assert way(connection, bob).gateway is None
        assert accounts.directory_version(connection) > before


def test_setting_it_again_ends_the_suspension_and_a_new_password_is_a_new_version(
    granted: Engine, vault: Vault, alice: int
) -> None:
    with write(granted) as connection:
        before = gateway(connection, alice)
        for wanted, is_new in ((SERVER, False), (OTHER, True)):
            suspended = Restriction(Cause.LOG_IN, "535", "outgate", 2.0, credential_version=before.credential_version)
            restrictions.put(connection, gateway_queue(before), suspended)
            common_gateways.set_gateway(connection, vault, TO_SALES, wanted, 3.0)
            assert restrictions.of(connection, gateway_queue(before)) == ()
            assert (gateway(connection, alice).credential_version > before.credential_version) is is_new


def test_a_rotation_of_keys_seals_them_anew_beside_what_has_no_number(
    granted: Engine, tmp_path: Path, alice: int
) -> None:
    path = tmp_path / "keys"
    keyfile.create(path)
    with write(granted) as connection:
        old = Vault.load(path, {})
        common_gateways.set_gateway(connection, old, TO_SALES, OTHER, 3.0)
        connection.execute(update(tables.organisation).values(audit_head=None, audit_key=None, audit_anchor=None))
        second_factors.begin(connection, old, alice)
    rotated = rotate(granted, path)
    assert (rotated.resealed, list(keyfile.read(path))) == (2, [rotated.key_id])
    with read(granted) as connection:
        assert open_password(Vault.load(path, {}), gateway(connection, alice)) == "another-secret"


def test_what_a_grant_costs_does_not_grow_with_the_others(granted: Engine) -> None:
    statements: list[str] = []
    event.listen(granted, "before_cursor_execute", lambda *seen: statements.append(seen[2]))

    def cost(do: Callable[[Connection, AddressGrant, float], object], wanted: AddressGrant) -> int:
        with write(granted) as connection:
            statements.clear()
            do(connection, wanted, 3.0)
            return len(statements)

    def both(address: str) -> tuple[int, int]:
        wanted = AddressGrant(address, None, "/")
        return cost(proven_domains.grant, wanted), cost(proven_domains.revoke, wanted)

    with write(granted) as connection:
        units.create(connection, "/Sales/Italy")
    first = both(f"first@{DOMAIN}")
    with write(granted) as connection:
        for number in range(10):
            proven_domains.grant(connection, AddressGrant(f"a{number}@{DOMAIN}", None, "/Sales"), 3.0)
    assert both(f"last@{DOMAIN}") == first
