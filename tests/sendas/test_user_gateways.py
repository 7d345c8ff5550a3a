"""sendas.gateways: where they are allowed, and that a password only ever goes to its own server."""

import pytest
from sqlalchemy import Engine, select, update

from outgate.directory import accounts, policies
from outgate.directory.errors import Invalid, NotAllowed, NotFound
from outgate.directory.gateway_settings import GatewaySettings, open_password
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.model import Gateway, Security
from outgate.sendas import gateways, send_as_addresses
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.store.vault import SealBroken, Vault

EXTERNAL = "alice@dominiopartner.example"
PARTNER = GatewaySettings("mail.dominiopartner.example", 587, Security.STARTTLS, "alice", "alices-secret")


@pytest.fixture
def allowed(example: Engine, alice: int, bob: int) -> Engine:
    """The policy is on; alice and bob have an external address each."""
    with write(example) as connection:
        policies.set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, 0.0)
        send_as_addresses.add(connection, alice, EXTERNAL, 0.0)
        send_as_addresses.add(connection, bob, "bob@dominiopartner.example", 0.0)
    return example


def gateway_of(engine: Engine, account_id: int, address: str = EXTERNAL) -> Gateway | None:
    with read(engine) as connection:
        account = accounts.load(connection, account_id)
    assert account
    return account.send_as[address].gateway


def put(engine: Engine, vault: Vault, account_id: int, server: GatewaySettings, address: str = EXTERNAL) -> Gateway:
    with write(engine) as connection:
        return gateways.set_gateway(connection, vault, account_id, address, server, 7.0)


def test_the_gateway_is_read_as_it_was_set(allowed: Engine, vault: Vault, alice: int) -> None:
    returned = put(allowed, vault, alice, PARTNER)
    gateway = gateway_of(allowed, alice)
    assert gateway == returned
    assert (gateway.host, gateway.port, gateway.security, gateway.username) == (
        "mail.dominiopartner.example",
        587,
        Security.STARTTLS,
        "alice",
    )
    assert gateway.identity.startswith("gateway:")
    assert open_password(vault, gateway) == "alices-secret"
    assert gateway.sealed
    assert b"alices-secret" not in gateway.sealed


def test_without_the_policy_no_gateway_can_be_entered(allowed: Engine, vault: Vault, alice: int) -> None:
    with write(allowed) as connection:
        policies.set_value(connection, "/Sales", ALLOW_EXTERNAL_SMTP, False, 0.0)
    with pytest.raises(NotAllowed) as caught:
        put(allowed, vault, alice, PARTNER)
    assert str(caught.value) == (
        "Functionality not enabled. You must send through dominiopartner.example SMTP servers when you send as"
        " alice@dominiopartner.example. However, this functionality is not available for your account. Please contact"
        " your domain administrator for more information."
    )
    assert gateway_of(allowed, alice) is None


def test_when_the_policy_goes_off_a_gateway_can_still_be_cleared(allowed: Engine, vault: Vault, alice: int) -> None:
    put(allowed, vault, alice, PARTNER)
    with write(allowed) as connection:
        policies.clear(connection, "/", ALLOW_EXTERNAL_SMTP)
        gateways.clear(connection, alice, EXTERNAL)
    assert gateway_of(allowed, alice) is None


@pytest.mark.parametrize("address", ["alice@example.com", "info@example.com"])
def test_an_address_of_an_own_domain_takes_no_gateway(allowed: Engine, vault: Vault, alice: int, address: str) -> None:
    with write(allowed) as connection:
        send_as_addresses.add(connection, alice, "info@example.com", 0.0, granted_by_administrator=True)
    with pytest.raises(NotAllowed, match="own domains"):
        put(allowed, vault, alice, PARTNER, address)


def test_nobody_sets_a_gateway_for_an_address_of_somebody_else(allowed: Engine, vault: Vault, bob: int) -> None:
    with pytest.raises(NotFound):
        put(allowed, vault, bob, PARTNER)


@pytest.mark.parametrize(
    "changed",
    [
        GatewaySettings("mail2.dominiopartner.example", 587, Security.STARTTLS, "alice", "alices-secret"),
        GatewaySettings("mail.dominiopartner.example", 588, Security.STARTTLS, "alice", "alices-secret"),
        GatewaySettings("mail.dominiopartner.example", 587, Security.SSL, "alice", "alices-secret"),
        GatewaySettings("mail.dominiopartner.example", 587, Security.STARTTLS, "alice2", "alices-secret"),
        GatewaySettings("mail.dominiopartner.example", 587, Security.STARTTLS, "alice", "other-secret"),
        GatewaySettings("mail.dominiopartner.example", 587, Security.STARTTLS),
    ],
)
def test_every_change_makes_a_new_credential_version(
    allowed: Engine, vault: Vault, alice: int, changed: GatewaySettings
) -> None:
    first = put(allowed, vault, alice, PARTNER)
    second = put(allowed, vault, alice, changed)
    assert second.identity == first.identity
    assert second.credential_version > first.credential_version
    assert open_password(vault, second) == changed.password


def test_the_same_again_changes_nothing(allowed: Engine, vault: Vault, alice: int) -> None:
    assert put(allowed, vault, alice, PARTNER) == put(allowed, vault, alice, PARTNER)


def test_a_gateway_that_was_cleared_and_set_never_has_the_name_of_the_former(
    allowed: Engine, vault: Vault, alice: int, bob: int
) -> None:
    first = put(allowed, vault, alice, PARTNER)
    with write(allowed) as connection:
        gateways.clear(connection, alice, EXTERNAL)
    second = put(allowed, vault, bob, PARTNER, "bob@dominiopartner.example")
    assert (first.identity, first.credential_version) != (second.identity, second.credential_version)


def test_a_swapped_password_does_not_open(allowed: Engine, vault: Vault, alice: int, bob: int) -> None:
    put(allowed, vault, alice, PARTNER)
    bobs = GatewaySettings("mail.dominiopartner.example", 587, Security.STARTTLS, "alice", "bobs-secret")
    put(allowed, vault, bob, bobs, "bob@dominiopartner.example")
    columns = tables.gateway.c
    with write(allowed) as connection:
        (one, two) = connection.execute(select(columns.id, columns.sealed_password).order_by(columns.id)).all()
        for row, other in ((one, two), (two, one)):
            statement = update(tables.gateway).where(columns.id == row.id)
            connection.execute(statement.values(sealed_password=other.sealed_password))
    for account_id, address in ((alice, EXTERNAL), (bob, "bob@dominiopartner.example")):
        gateway = gateway_of(allowed, account_id, address)
        assert gateway
        with pytest.raises(SealBroken) as caught:
            open_password(vault, gateway)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "edit", [{"host": "evil.example"}, {"port": 25, "security": "none"}, {"username": "x"}, {"credential_version": 1}]
)
def test_an_edited_row_does_not_take_the_password_elsewhere(
    allowed: Engine, vault: Vault, alice: int, edit: dict[str, object]
) -> None:
    put(allowed, vault, alice, PARTNER)
    with write(allowed) as connection:
        connection.execute(update(tables.gateway).values(edit))
    gateway = gateway_of(allowed, alice)
    assert gateway
    with pytest.raises(SealBroken):
        open_password(vault, gateway)
    assert open_password(vault, put(allowed, vault, alice, PARTNER)) == "alices-secret"  # entered again, it works


def test_without_tls_a_users_gateway_must_be_on_port_25(allowed: Engine, vault: Vault, alice: int) -> None:
    with pytest.raises(Invalid, match="only port 25"):
        put(allowed, vault, alice, GatewaySettings("mail.dominiopartner.example", 587, Security.NONE))
    assert put(allowed, vault, alice, GatewaySettings("mail.dominiopartner.example", 25, Security.NONE)).port == 25
