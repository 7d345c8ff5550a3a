"""Gateways that are common to all to whom an address was granted: set by an administrator, whose log-in it is. Those
who send by one see where it leads, and nothing more; one of their own goes before it, where policy lets them have one.

Each belongs to one grant (sendas.proven_domains), and goes with it.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from outgate.directory import accounts, gateway_settings, policies, restrictions, units, users
from outgate.directory.change import touch
from outgate.directory.errors import NotAllowed, NotFound
from outgate.directory.gateway_settings import GatewaySettings
from outgate.model import Cause, Gateway, QueueKey, QueueKind, UsersGateway
from outgate.route import gateway_queue
from outgate.sendas import oauth_grants, proven_domains, send_as_addresses
from outgate.sendas.proven_domains import AddressGrant
from outgate.store import tables
from outgate.store.vault import Vault, holder_of_common

_columns = tables.common_gateway.c


def set_gateway(
    connection: Connection, vault: Vault, grant: AddressGrant, wanted: GatewaySettings, now: float
) -> AddressGrant:
    """Set or replace the gateway of a grant. Raises Invalid, NotAllowed and NotFound.

    It is no longer suspended for a credential that was refused. A changed one has a new `credential_version`, so that
    no connection of the former serves it.
    """
    version = touch(connection)
    grant_id, before = proven_domains.find_grant(connection, grant)
    require_allowed(connection, before, wanted)
    proven_domains.settle_address(connection, before.address, now)
    queue = _queue(grant_id)
    if before.gateway is None:
        blank = {"host": "", "port": 0, "security": "", "changed_at": now}
        connection.execute(insert(tables.common_gateway).values(grant_id=grant_id, **blank))
        restrictions.end(connection, queue, tuple(Cause))  # of a former grant that had this number
    restrictions.end(connection, queue, (Cause.LOG_IN,))
    if before.gateway and gateway_settings.is_same(vault, before.gateway, wanted):
        return before
    holder = holder_of_common(grant_id, before.address)
    values = gateway_settings.sealed_values(vault, str(queue), holder, wanted, version)
    values |= {"provider": wanted.provider, "kind": wanted.kind.value, "changed_at": now}
    connection.execute(update(tables.common_gateway).where(_columns.grant_id == grant_id).values(values))
    made = proven_domains.find_grant(connection, grant)[1]
    oauth_grants.replace(connection, vault, gateway_of(made), wanted.consent, now)
    return made


def clear(connection: Connection, grant: AddressGrant) -> AddressGrant:
    """Take the gateway from a grant, which stays. Raises NotFound."""
    touch(connection)
    grant_id, before = proven_domains.find_grant(connection, grant)
    connection.execute(delete(tables.common_gateway).where(_columns.grant_id == grant_id))
    return before


def gateway_of(grant: AddressGrant) -> Gateway:
    """The gateway of a grant. Raises NotFound."""
    if grant.gateway is None:
        raise NotFound("the grant of {address} has no common gateway", address=grant.address)
    return grant.gateway


def require_allowed(connection: Connection, grant: AddressGrant, wanted: GatewaySettings | Gateway) -> None:
    """Raises Invalid and NotAllowed unless the policy of those who were granted the address lets it have this gateway.

    Whether users may have servers of their own is no question here.
    """
    gateway_settings.require_tls_or_port_25(wanted)
    gateway_settings.require_one_host(wanted)
    if send_as_addresses.is_own_domain(connection, grant.address):
        raise NotAllowed(
            "{address} is in the organisation's own domains: the organisation's servers deliver it",
            address=grant.address,
        )
    unit = users.find(connection, grant.user).unit if grant.user else grant.unit or "/"  # groups are of all units
    policy = policies.load(connection).policy(units.find(connection, unit).path)
    if reason := policy.refuses_server(wanted.host, wanted.port, wanted.security):
        raise NotAllowed("this server may not be used: {reason}", reason=reason)


def count_all(connection: Connection) -> int:
    """How many there are."""
    return connection.scalar(select(func.count()).select_from(tables.common_gateway)) or 0


def of_queues(connection: Connection, queues: Collection[str]) -> dict[str, UsersGateway]:
    """Those that are still there, without their passwords, by queue (QueueKey as text)."""
    keys = [QueueKey.parse(queue) for queue in queues]
    rows = [key.row for key in keys if key.kind is QueueKind.COMMON_GATEWAY and key.row is not None]
    found: dict[str, UsersGateway] = {}
    for start in range(0, len(rows), 500):
        some = _WITH_GRANT.where(_columns.grant_id.in_(rows[start : start + 500]))
        found |= {str(queue): one for queue, one in _made(connection.execute(some).all()).items()}
    return found


def named(connection: Connection, name: str) -> dict[QueueKey, UsersGateway]:
    """Those of a granted address, or at a host, by queue; all of them by an empty name."""
    wanted = or_(_columns.host == name, tables.address_grant.c.address == name)
    return _made(connection.execute(_WITH_GRANT.where(wanted) if name else _WITH_GRANT).all())


def _made(rows: Sequence[Row[Any]]) -> dict[QueueKey, UsersGateway]:
    owned = [
        UsersGateway(
            accounts.common_gateway(row), row.primary_address or "", row.address, row.path or "", row.group_name or ""
        )
        for row in rows
    ]
    return {gateway_queue(one.gateway): one for one in owned}


def _queue(grant_id: int) -> QueueKey:
    return QueueKey(QueueKind.COMMON_GATEWAY, str(grant_id))


_WITH_GRANT: Final = (
    select(tables.address_grant.c.address, tables.account.c.primary_address, tables.unit.c.path)
    .add_columns(tables.user_group.c.name.label("group_name"))
    .add_columns(*accounts.COMMON_GATEWAY_COLUMNS)
    .join_from(tables.common_gateway, tables.address_grant)
    .outerjoin(tables.account, tables.account.c.id == tables.address_grant.c.account_id)
    .outerjoin(tables.unit, tables.unit.c.id == tables.address_grant.c.unit_id)
    .outerjoin(tables.user_group, tables.user_group.c.id == tables.address_grant.c.group_id)
    .order_by(_columns.grant_id)
)
