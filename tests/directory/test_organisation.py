"""directory.organisation: domains, signing keys, outbound gateways."""

import pytest
from sqlalchemy import Engine, select, update

from outgate.directory import accounts, domain_keys, organisation
from outgate.directory.domain_keys import NewDkimKey
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.directory.gateway_settings import GatewaySettings, open_password
from outgate.model import Security
from outgate.sendas import send_as_addresses
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.store.vault import SealBroken, Vault

RELAY = GatewaySettings("relay.example", 587, Security.STARTTLS, "example", "secret")


def test_a_database_holds_one_organisation(example: Engine) -> None:
    with pytest.raises(AlreadyExists), write(example) as connection:
        organisation.create(connection, "example.org", 0.0)


def test_without_an_organisation_nothing_can_be_changed(engine: Engine) -> None:
    with pytest.raises(NotFound, match="outgate init"), write(engine) as connection:
        organisation.add_domain(connection, "example.org", 0.0)


def test_domains_are_kept_as_a_labels_the_primary_first(example: Engine) -> None:
    with write(example) as connection:
        organisation.add_domain(connection, "Bücher.example", 0.0)
        assert [domain.name for domain in organisation.domains(connection)] == [
            "example.com",
            "xn--bcher-kva.example",
        ]
        assert "xn--bcher-kva.example" in accounts.load_organisation(connection).domains


def test_a_domain_is_added_once(example: Engine) -> None:
    with pytest.raises(AlreadyExists), write(example) as connection:
        organisation.add_domain(connection, "EXAMPLE.com", 0.0)


@pytest.mark.parametrize("name", ["", "-", "a b", "exa_mple.com", "x" * 64 + ".example"])
def test_what_is_no_domain_is_refused(example: Engine, name: str) -> None:
    with pytest.raises(Invalid), write(example) as connection:
        organisation.add_domain(connection, name, 0.0)


def test_a_domain_in_use_is_not_removed(example: Engine, alice: int) -> None:
    with write(example) as connection:
        organisation.add_domain(connection, "example.org", 0.0)
        send_as_addresses.add(connection, alice, "alice@example.org", 0.0, granted_by_administrator=True)
    with pytest.raises(NotAllowed, match=r"alice@example\.org"), write(example) as connection:
        organisation.remove_domain(connection, "example.org")
    with write(example) as connection:
        send_as_addresses.remove(connection, alice, "alice@example.org")
        organisation.remove_domain(connection, "example.org")
        assert [domain.name for domain in organisation.domains(connection)] == ["example.com"]


def test_the_primary_domain_stays(example: Engine) -> None:
    with pytest.raises(NotAllowed, match="primary"), write(example) as connection:
        organisation.remove_domain(connection, "example.com")


def test_a_domain_that_is_not_there_is_not_removed(example: Engine) -> None:
    with pytest.raises(NotFound), write(example) as connection:
        organisation.remove_domain(connection, "example.org")


def test_a_signing_key_is_kept_sealed(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        made = NewDkimKey("s1", "v=DKIM1; p=x", b"-----BEGIN")
        domain_keys.sign_with(connection, vault, "example.com", made, 1.0)
        assert [one.record for one in organisation.domains(connection)[0].signing] == ["v=DKIM1; p=x"]
        (key,) = domain_keys.signing_keys(connection, vault)["example.com"]
        assert (key.selector, key.pem) == ("s1", b"-----BEGIN")
        kept = connection.scalar(select(tables.domain_key.c.sealed_key))
    assert kept
    assert b"BEGIN" not in kept


def test_the_key_of_another_domain_does_not_open(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        domain_keys.sign_with(connection, vault, "example.com", NewDkimKey("s1", "", b"-----BEGIN"), 1.0)
        connection.execute(update(tables.domain).values(name="example.org"))
        with pytest.raises(SealBroken):
            domain_keys.signing_keys(connection, vault)


def test_the_outbound_gateway_is_set_replaced_and_cleared(example: Engine, vault: Vault) -> None:
    with write(example) as connection:
        assert organisation.domain_gateway(connection) is None
        first = organisation.set_domain_gateway(connection, vault, RELAY)
        assert open_password(vault, first) == "secret"
        second = organisation.set_domain_gateway(connection, vault, GatewaySettings("r2.example", 25, Security.NONE))
        assert second.credential_version > first.credential_version
        assert (second.host, second.sealed) == ("r2.example", None)
        organisation.clear_domain_gateway(connection)
        assert organisation.domain_gateway(connection) is None
        third = organisation.set_domain_gateway(connection, vault, RELAY)
        assert third.credential_version > second.credential_version


@pytest.mark.parametrize("edited", [{"host": "evil.example"}, {"fallbacks": "evil.example"}, {"domain": "example.com"}])
def test_an_edited_row_does_not_take_the_password_elsewhere(
    example: Engine, vault: Vault, edited: dict[str, str]
) -> None:
    with write(example) as connection:
        organisation.set_domain_gateway(connection, vault, RELAY)
        connection.execute(update(tables.domain_gateway).values(edited))
    with read(example) as connection:
        (gateway,) = organisation.domain_gateways(connection).values()
    with pytest.raises(SealBroken):
        open_password(vault, gateway)


def test_a_domain_has_a_gateway_of_its_own_until_that_or_the_domain_is_removed(example: Engine, vault: Vault) -> None:
    own = GatewaySettings(
        "R1.example", 465, Security.SSL, "branch", "other secret", fallbacks=("r2.example", "192.0.2.1")
    )
    with write(example) as connection:
        with pytest.raises(NotFound, match=r"branch\.example is not one of"):
            organisation.set_domain_gateway(connection, vault, own, "branch.example")
        organisation.add_domain(connection, "branch.example", 0.0)
        first = organisation.set_domain_gateway(connection, vault, own, "Branch.example")
        assert first.hosts == ("r1.example", "r2.example", "192.0.2.1")
        organisation.set_domain_gateway(connection, vault, RELAY)
        second = organisation.set_domain_gateway(connection, vault, own, "branch.example")
        assert (second.identity, open_password(vault, second)) == (first.identity, "other secret")
        assert list(map(str, organisation.domain_gateways(connection))) == [
            "domain-gateway",
            "domain-gateway:branch.example",
        ]
        organisation.clear_domain_gateway(connection, "branch.example")
        assert organisation.domain_gateway(connection, "branch.example") is None
        organisation.set_domain_gateway(connection, vault, own, "branch.example")
        organisation.remove_domain(connection, "branch.example")
        assert list(map(str, organisation.domain_gateways(connection))) == ["domain-gateway"]


@pytest.mark.parametrize(
    ("fallbacks", "fault"),
    [
        (["r2.example", "MAIL.example"], "name each host of the gateway once"),
        ([f"r{number}.example" for number in range(10)], "at most 10 hosts"),
        (["r2 example"], "neither a host name nor"),
    ],
)
def test_the_hosts_of_a_gateway_are_checked(fallbacks: list[str], fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        GatewaySettings.entered("mail.example", 25, "starttls", fallbacks=fallbacks)


@pytest.mark.parametrize(
    ("host", "port", "security", "username", "password", "fault"),
    [
        ("mail.example", 25, "none", "mario", "secret", "never sent without TLS"),
        ("mail.example", 0, "ssl", "", "", "not a port"),
        ("mail.example", 65536, "ssl", "", "", "not a port"),
        ("mail.example", 465, "tls", "", "", "kind of security"),
        ("mail.example", 465, "ssl", "alice", "", "go together"),
        ("mail.example", 465, "ssl", "", "secret", "go together"),
        ("mail.example", 465, "ssl", "alice\r\nQUIT", "secret", "control character"),
        ("mail.example", 465, "ssl", "alice", "sec\0ret", "control character"),
        ("mail.example", 465, "ssl", "alice", "s" * 513, "too long"),
        ("mail example", 465, "ssl", "", "", "neither a host name nor"),
        ("", 465, "ssl", "", "", "neither a host name nor"),
        ("2001:db8::1%\r\nzone", 465, "ssl", "", "", "neither a host name nor"),
        ("http://mail.example", 465, "ssl", "", "", "neither a host name nor"),
        ("mail.example:465", 465, "ssl", "", "", "neither a host name nor"),
    ],
)
def test_a_server_is_checked(host: str, port: int, security: str, username: str, password: str, fault: str) -> None:
    with pytest.raises(Invalid, match=fault) as caught:
        GatewaySettings(host, port, security, username, password)  # type: ignore[arg-type] # as it is entered
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("Mail.Example", "mail.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::0:1]", "2001:db8::1"),
    ],
)
def test_a_host_is_kept_as_it_is_looked_up(host: str, kept: str) -> None:
    assert GatewaySettings(host, 25, Security.NONE).host == kept


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(RELAY)
