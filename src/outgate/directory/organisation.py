"""The organisation: its domains with their DKIM keys, and its outbound gateway. Knows no user."""

from dataclasses import field
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from outgate.directory import accounts, gateway_settings
from outgate.directory.change import compared_domain, touch
from outgate.directory.errors import AlreadyExists, NotAllowed, NotFound
from outgate.frozen import frozen
from outgate.model import Gateway
from outgate.store import tables, vault
from outgate.store.vault import Vault

DOMAIN_GATEWAY_ID = 1


@frozen
class Domain:
    """One of the organisation's domains; `dkim_record` is the text of the DNS record at `dkim_selector`."""

    name: str
    is_primary: bool
    dkim_selector: str | None
    dkim_record: str | None


@frozen
class SigningKey:
    """What a domain's messages are signed with (RFC 6376)."""

    domain: str
    selector: str
    pem: bytes = field(repr=False)


def create(connection: Connection, primary_domain: str, now: float) -> None:
    """The one organisation, with its primary domain and the root unit."""
    name = compared_domain(primary_domain)
    if connection.execute(select(tables.organisation.c.id)).first():
        raise AlreadyExists("there is an organisation already; a database holds one")
    connection.execute(insert(tables.organisation).values(id=1, name=name, directory_version=1, created_at=now))
    connection.execute(insert(tables.domain).values(name=name, is_primary=True, created_at=now))
    connection.execute(insert(tables.unit).values(path="/"))


# --- domains ---------------------------------------------------------------------------------------------------------


def domains(connection: Connection) -> tuple[Domain, ...]:
    """The primary domain first, then the others by name."""
    columns = tables.domain.c
    rows = connection.execute(select(tables.domain).order_by(columns.is_primary.desc(), columns.name))
    return tuple(Domain(row.name, row.is_primary, row.dkim_selector, row.dkim_public_key) for row in rows)


def add_domain(connection: Connection, name: str, now: float) -> None:
    """A further domain of the organisation: its addresses are delivered locally and take no gateway of a user."""
    touch(connection, shared=True)
    name = compared_domain(name)
    if connection.execute(select(tables.domain.c.id).where(tables.domain.c.name == name)).first():
        raise AlreadyExists("{domain} is one of the organisation's domains already", domain=name)
    connection.execute(insert(tables.domain).values(name=name, is_primary=False, created_at=now))


def remove_domain(connection: Connection, name: str) -> None:
    """Refused while an address uses it: that may have been granted, and would stay without proof of ownership."""
    touch(connection, shared=True)
    domain = _domain(connection, name)
    if domain.is_primary:
        raise NotAllowed("{domain} is the primary domain, which can't be removed", domain=domain.name)
    used = connection.scalar(
        select(tables.send_as.c.address).where(tables.send_as.c.address.endswith(f"@{domain.name}")).limit(1)
    )
    if used:
        raise NotAllowed(
            "{domain} is in use by {address}; delete the addresses in it first", domain=domain.name, address=used
        )
    connection.execute(delete(tables.domain).where(tables.domain.c.id == domain.id))


def set_signing_key(
    connection: Connection, keys: Vault, name: str, selector: str, pem: bytes, dkim_record: str
) -> None:
    """Sign the domain's messages with this key (PEM, PKCS #8) from now on; replaces the former one."""
    touch(connection, shared=True)
    domain = _domain(connection, name)
    connection.execute(
        update(tables.domain)
        .where(tables.domain.c.id == domain.id)
        .values(
            dkim_selector=compared_domain(selector),
            dkim_sealed_key=keys.seal(pem, vault.signing_key(domain.name)),
            dkim_public_key=dkim_record,
        )
    )


def signing_keys(connection: Connection, keys: Vault) -> dict[str, SigningKey]:
    """The key of each domain that has one. Raises store.vault.SealBroken."""
    columns = tables.domain.c
    rows = connection.execute(select(tables.domain).where(columns.dkim_sealed_key.is_not(None)))
    return {
        row.name: SigningKey(row.name, row.dkim_selector, keys.open(row.dkim_sealed_key, vault.signing_key(row.name)))
        for row in rows
    }


def _domain(connection: Connection, name: str) -> Row[*tuple[Any, ...]]:
    name = compared_domain(name)
    row = connection.execute(select(tables.domain).where(tables.domain.c.name == name)).first()
    if row is None:
        raise NotFound("{domain} is not one of the organisation's domains", domain=name)
    return row


# --- the outbound gateway of the whole organisation ------------------------------------------------------------------


def domain_gateway(connection: Connection) -> Gateway | None:
    """The gateway that all mail but that of users' gateways passes, if one is set."""
    return accounts.load_organisation(connection).domain_gateway


def set_domain_gateway(connection: Connection, keys: Vault, wanted: gateway_settings.GatewaySettings) -> Gateway:
    """Set or replace it. Raises Invalid."""
    version = touch(connection, shared=True)
    values = gateway_settings.sealed_values(keys, f"domain-gateway:{DOMAIN_GATEWAY_ID}", "", wanted, version)
    clear_domain_gateway(connection)
    connection.execute(insert(tables.domain_gateway).values(id=DOMAIN_GATEWAY_ID, **values))
    gateway = domain_gateway(connection)
    assert gateway
    return gateway


def clear_domain_gateway(connection: Connection) -> None:
    """Deliver to recipients' mail exchangers directly."""
    touch(connection, shared=True)
    connection.execute(delete(tables.domain_gateway))
