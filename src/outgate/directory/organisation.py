"""The organisation: its domains, and its outbound gateways. Knows no user."""

from sqlalchemy import Connection, delete, func, insert, select

from outgate.directory import accounts, domain_keys, gateway_settings
from outgate.directory.change import compared_domain, touch
from outgate.directory.domain_keys import KeyRecord, KeyStage
from outgate.directory.errors import AlreadyExists, NotAllowed
from outgate.frozen import frozen
from outgate.model import Gateway, QueueKey
from outgate.store import tables
from outgate.store.vault import Vault

DOMAIN_GATEWAY_ID = 1


@frozen
class Domain:
    """One of the organisation's domains, with its DKIM keys in the order in which they were made."""

    name: str
    is_primary: bool
    keys: tuple[KeyRecord, ...] = ()

    @property
    def signing(self) -> tuple[KeyRecord, ...]:
        """The keys that its mail is signed with; none if it is not signed."""
        return self.keys_in(KeyStage.SIGNING)

    @property
    def waiting(self) -> tuple[KeyRecord, ...]:
        """Those that will sign when their records are seen in the DNS."""
        return self.keys_in(KeyStage.WAITING)

    @property
    def retired(self) -> tuple[KeyRecord, ...]:
        """Those that sign no more, and whose records are still in the DNS as far as is known."""
        return self.keys_in(KeyStage.RETIRED)

    def keys_in(self, stage: KeyStage) -> tuple[KeyRecord, ...]:
        """Those that are in this stage."""
        return tuple(one for one in self.keys if one.stage is stage)


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
    keys = domain_keys.of_domains(connection)
    return tuple(Domain(row.name, row.is_primary, keys.get(row.id, ())) for row in rows)


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
    domain = domain_keys.find_domain(connection, name)
    if domain.is_primary:
        raise NotAllowed("{domain} is the primary domain, which can't be removed", domain=domain.name)
    used = connection.scalar(
        select(tables.send_as.c.address).where(tables.send_as.c.address.endswith(f"@{domain.name}")).limit(1)
    )
    if used:
        raise NotAllowed(
            "{domain} is in use by {address}; delete the addresses in it first", domain=domain.name, address=used
        )
    connection.execute(delete(tables.domain_gateway).where(tables.domain_gateway.c.domain == domain.name))
    connection.execute(delete(tables.domain).where(tables.domain.c.id == domain.id))


# --- outbound gateways: of the whole organisation, and of single domains ----------------------------------------------


def domain_gateway(connection: Connection, domain: str = "") -> Gateway | None:
    """The gateway that all mail from a domain passes but that of users' gateways, if the domain has one of its own;
    without a domain that of the whole organisation.
    """
    found = accounts.load_organisation(connection)
    return found.gateways_of_domains.get(domain) if domain else found.domain_gateway


def domain_gateways(connection: Connection) -> dict[QueueKey, Gateway]:
    """All there are, that of the whole organisation first."""
    return accounts.load_organisation(connection).gateways


def set_domain_gateway(
    connection: Connection, keys: Vault, wanted: gateway_settings.GatewaySettings, domain: str = ""
) -> Gateway:
    """Set or replace it. Raises Invalid and NotFound."""
    version = touch(connection, shared=True)
    domain = domain_keys.find_domain(connection, domain).name if domain else ""
    columns = tables.domain_gateway.c
    row_id = connection.scalar(select(columns.id).where(columns.domain == domain)) or _new_gateway_id(
        connection, domain
    )
    values = gateway_settings.sealed_values(keys, f"domain-gateway:{row_id}", domain, wanted, version)
    connection.execute(delete(tables.domain_gateway).where(columns.domain == domain))
    further = {"domain": domain, "fallbacks": " ".join(wanted.fallbacks)}
    connection.execute(insert(tables.domain_gateway).values(id=row_id, **values, **further))
    gateway = domain_gateway(connection, domain)
    assert gateway
    return gateway


def clear_domain_gateway(connection: Connection, domain: str = "") -> None:
    """Deliver to recipients' mail exchangers directly; what is sent from a domain, as the organisation's other mail.
    Raises Invalid.
    """
    touch(connection, shared=True)
    name = compared_domain(domain) if domain else ""
    connection.execute(delete(tables.domain_gateway).where(tables.domain_gateway.c.domain == name))


def _new_gateway_id(connection: Connection, domain: str) -> int:
    if not domain:
        return DOMAIN_GATEWAY_ID
    return max(connection.scalar(select(func.max(tables.domain_gateway.c.id))) or 0, DOMAIN_GATEWAY_ID) + 1
