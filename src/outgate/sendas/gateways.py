"""The gateway of a From address: the partner's own server that delivers what is sent as it."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from outgate.directory import accounts, gateway_settings, restrictions, units
from outgate.directory.change import compared, touch
from outgate.directory.errors import NotAllowed, NotFound
from outgate.directory.gateway_settings import GatewaySettings, open_password
from outgate.model import Account, Cause, Gateway, GatewayKind, QueueKey, QueueKind, Security, SendAs, UsersGateway
from outgate.route import NOT_ENABLED, gateway_queue
from outgate.sendas import common_gateways, oauth_grants, send_as_addresses
from outgate.store import tables
from outgate.store.vault import Vault, holder_of

__all__ = ["GatewaySettings", "clear", "open_password", "set_gateway"]


def set_gateway(
    connection: Connection, vault: Vault, account_id: int, address: str, wanted: GatewaySettings, now: float
) -> Gateway:
    """Set or replace the gateway of an external address, where policy allows it. Raises Invalid, NotAllowed
    and NotFound.

    It is no longer suspended for a credential that was refused. A changed gateway gets a new `credential_version`, so
    that no connection of the old one serves the new one.
    """
    gateway_settings.require_tls_or_port_25(wanted)
    gateway_settings.require_one_host(wanted)
    version = touch(connection)
    send_as_id = send_as_addresses.find(connection, account_id, address).id
    account, entry = _entry(connection, account_id, address)
    require_allowed(account, entry, wanted)
    if entry.gateway:
        restrictions.end(connection, gateway_queue(entry.gateway), (Cause.LOG_IN,))
    if entry.gateway and gateway_settings.is_same(vault, entry.gateway, wanted):
        return entry.gateway
    columns = tables.gateway.c
    row_id = connection.scalar(select(columns.id).where(columns.send_as_id == send_as_id))
    if row_id is None:
        # The password is sealed for its row, so the row must be there first.
        blank = {"host": "", "port": 0, "security": "", "changed_at": now}
        row_id = connection.scalar(insert(tables.gateway).values(send_as_id=send_as_id, **blank).returning(columns.id))
        restrictions.end(connection, _queue(row_id), tuple(Cause))  # of a former gateway that had this number
    holder = holder_of(account_id, entry.address)
    values = gateway_settings.sealed_values(vault, f"gateway:{row_id}", holder, wanted, version)
    values |= {"provider": wanted.provider, "kind": wanted.kind.value, "changed_at": now}
    connection.execute(update(tables.gateway).where(columns.id == row_id).values(values))
    _, entry = _entry(connection, account_id, address)
    assert entry.gateway
    oauth_grants.replace(connection, vault, entry.gateway, wanted.consent, now)
    return entry.gateway


def clear(connection: Connection, account_id: int, address: str) -> None:
    """Let the organisation's servers deliver again. Always allowed. Raises NotFound."""
    touch(connection)
    row = send_as_addresses.find(connection, account_id, address)
    connection.execute(delete(tables.gateway).where(tables.gateway.c.send_as_id == row.id))


def erase(connection: Connection, account_id: int) -> int:
    """Forget the passwords and tokens of all gateways of an account; returns how many there were. They must be entered
    again, and allowed again.

    The gateways stay, so that nothing is sent another way than before: mail for them waits until then.
    """
    touch(connection)
    of_account = select(tables.send_as.c.id).where(tables.send_as.c.account_id == account_id)
    columns = tables.gateway.c
    mine = (columns.send_as_id.in_(of_account), columns.sealed_password.is_not(None))
    passwords = connection.execute(update(tables.gateway).where(*mine).values(sealed_password=None)).rowcount
    return passwords + oauth_grants.erase(connection, account_id)


def count(connection: Connection, unit_paths: Sequence[str], most: int) -> int:
    """How many gateways the users of these units have, without those of units below; of more than `most`, one more."""
    having = (
        select(tables.gateway.c.id)
        .join_from(tables.account, tables.send_as, tables.send_as.c.account_id == tables.account.c.id)
        .join(tables.gateway, tables.gateway.c.send_as_id == tables.send_as.c.id)
        .where(tables.account.c.unit_id.in_(units.ids_of(unit_paths)))
    )
    counted = select(func.count()).select_from(having.limit(most + 1).subquery())
    return connection.scalar(counted) or 0


def count_all(connection: Connection) -> int:
    """How many gateways users have."""
    return connection.scalar(select(func.count()).select_from(tables.gateway)) or 0


_WITH_OWNER = (
    select(*(tables.gateway.c[name] for name in ("id", "host", "port", "security", "username", "provider", "kind")))
    .add_columns(tables.account.c.primary_address, tables.send_as.c.address)
    .join_from(tables.gateway, tables.send_as)
    .join(tables.account, tables.account.c.id == tables.send_as.c.account_id)
    .order_by(tables.gateway.c.id)
)


def by_row(connection: Connection, rows: Sequence[int]) -> dict[str, UsersGateway]:
    """Gateways, without their passwords, by the row that their queue is named by."""
    found: dict[str, UsersGateway] = {}
    for start in range(0, len(rows), 500):
        some = _WITH_OWNER.where(tables.gateway.c.id.in_(rows[start : start + 500]))
        found |= {str(row.id): _with_owner(row) for row in connection.execute(some)}
    return found


def named(connection: Connection, name: str) -> dict[QueueKey, UsersGateway]:
    """The users' gateways and common ones for this From address, or at this host, by queue; all of them by an empty
    name.
    """
    wanted = or_(tables.gateway.c.host == name, tables.send_as.c.address == name)
    rows = connection.execute(_WITH_OWNER.where(wanted) if name else _WITH_OWNER)
    return {_queue(row.id): _with_owner(row) for row in rows} | common_gateways.named(connection, name)


def _with_owner(row: Row[Any]) -> UsersGateway:
    gateway = Gateway(
        f"gateway:{row.id}",
        row.host,
        row.port,
        Security(row.security),
        row.username,
        provider=row.provider,
        kind=GatewayKind(row.kind),
    )
    return UsersGateway(gateway, row.primary_address, row.address)


def _queue(row_id: int | None) -> QueueKey:
    return QueueKey(QueueKind.GATEWAY, str(row_id))


def of_queues(connection: Connection, queues: Collection[str]) -> dict[str, UsersGateway]:
    """Users' gateways and common ones that are still there, without their passwords, by queue (QueueKey as text)."""
    keys = {queue: QueueKey.parse(queue) for queue in queues}
    rows = {queue: key.row for queue, key in keys.items() if key.kind is QueueKind.GATEWAY and key.row is not None}
    found = by_row(connection, list(rows.values()))
    owned = {queue: found[str(row)] for queue, row in rows.items() if str(row) in found}
    return owned | common_gateways.of_queues(connection, queues)


def require_allowed(account: Account, entry: SendAs, wanted: GatewaySettings | Gateway) -> None:
    """Raises NotAllowed unless policy lets the address have this gateway."""
    if entry.own_domain:
        raise NotAllowed(
            "{address} is in the organisation's own domains: the organisation's servers deliver it",
            address=entry.address,
        )
    if not account.policy.allow_external_smtp:
        raise NotAllowed(NOT_ENABLED, address=entry.address, domain=entry.address.rpartition("@")[2])
    if reason := account.policy.refuses_gateway(wanted.host, wanted.port, wanted.security):
        raise NotAllowed("this server may not be used: {reason}; ask your administrator", reason=reason)


def _entry(connection: Connection, account_id: int, address: str) -> tuple[Account, SendAs]:
    account = accounts.load(connection, account_id)
    entry = account.send_as.get(compared(address)) if account else None
    if account is None or entry is None:
        raise NotFound("{address} is not an address of this account", address=address)
    return account, entry
