"""The networks from which users have logged in: what strangers guess elsewhere does not lock a user out there.

Knows no password. The functions work in the caller's transaction.
"""

from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from outgate.store.tables import account, known_network

KEPT: Final = 90 * 86400.0  # seconds without a log-in after which a network is forgotten
NOTED_EVERY: Final = 86400.0  # seconds to which the time of the last log-in is right


def is_known(connection: Connection, address: str, network: str, now: float) -> bool:
    """Whether this user (in compared form) has logged in from there."""
    found = select(known_network.c.account_id).join(account)
    mine = (account.c.primary_address == address, known_network.c.network == network)
    return connection.scalar(found.where(*mine, known_network.c.seen_at > now - KEPT)) is not None


def needs_note(connection: Connection, account_id: int, network: str, now: float) -> bool:
    """Whether `note` would say something new: asked first, since most log-ins need no write."""
    seen = connection.scalar(select(known_network.c.seen_at).where(*_of(account_id, network)))
    return seen is None or now - seen > NOTED_EVERY


def note(connection: Connection, account_id: int, network: str, now: float) -> None:
    """The user has logged in from there just now."""
    columns = known_network.c
    connection.execute(delete(known_network).where(columns.account_id == account_id, columns.seen_at <= now - KEPT))
    if not connection.execute(update(known_network).where(*_of(account_id, network)).values(seen_at=now)).rowcount:
        row = {"account_id": account_id, "network": network, "seen_at": now}
        connection.execute(insert(known_network).values(row))


def _of(account_id: int, network: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return known_network.c.account_id == account_id, known_network.c.network == network
