"""Restrictions on queues: what is suspended or slowed down, why, by whom, until when. One row for each queue and cause.

They are a part of the directory: a change is in force on every node when the command that makes it returns, and after a
restart. Knows no message and no reply.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, insert, select

from outgate.directory.change import lock, touch
from outgate.directory.organisation import domain_gateway
from outgate.model import Cause, QueueKey, QueueKind, Restriction, Restrictions
from outgate.store import tables
from outgate.store.batch import Change, apply

SERVER: Final = "outgate"  # the author of what the server does by itself
FIRST_PAUSE: Final = 900.0  # seconds until a log-in that was refused is tried again; twice as long each time,
LONGEST_PAUSE: Final = 6 * 3600.0  # up to this

_SEPARATOR: Final = ";"


def load(connection: Connection) -> Restrictions:
    """All there are."""
    return _read(connection, select(tables.restriction))


def version(connection: Connection) -> int:
    """Grows with every change of them; a time that comes to its end is none."""
    return connection.scalar(select(tables.organisation.c.queue_version)) or 0


def of_some(connection: Connection, queues: Collection[QueueKey]) -> Restrictions:
    """Those of these queues, a page's."""
    names = [str(queue) for queue in queues]
    return _read(connection, select(tables.restriction).where(tables.restriction.c.queue.in_(names)))


def _read(connection: Connection, wanted: Select[Any]) -> Restrictions:
    by_queue: defaultdict[QueueKey, tuple[Restriction, ...]] = defaultdict(tuple)
    for row in connection.execute(wanted.order_by(tables.restriction.c.cause)):
        by_queue[QueueKey.parse(row.queue)] += (_made(row),)
    return Restrictions(dict(by_queue))


def put(connection: Connection, queue: QueueKey, wanted: Restriction) -> None:
    """Restrict a queue, in the place of what there was of the same cause."""
    touch(connection, queues=True)
    _remove(connection, queue, [wanted.cause])
    row = {
        "queue": str(queue),
        "cause": wanted.cause.value,
        "connections": wanted.connections,
        "rates": _SEPARATOR.join(wanted.rates),
        "reason": wanted.reason,
        "author": wanted.author,
        "since": wanted.since,
        "until": wanted.until,
        "credential_version": wanted.credential_version,
        "times": wanted.times,
    }
    connection.execute(insert(tables.restriction).values(row))


def end(connection: Connection, queue: QueueKey, causes: Sequence[Cause]) -> tuple[Restriction, ...]:
    """End what restricts a queue for one of these causes; returns what there was."""
    found = tuple(one for one in of(connection, queue) if one.cause in causes)
    if found:
        touch(connection, queues=True)
        _remove(connection, queue, causes)
    return found


def end_lapsed(connection: Connection, queue: QueueKey, causes: Sequence[Cause], now: float) -> None:
    """End what restricts a queue for one of these causes, where its time is over."""
    lock(connection)
    end(connection, queue, [one.cause for one in of(connection, queue) if one.cause in causes and not one.holds(now)])


def of(connection: Connection, queue: QueueKey) -> tuple[Restriction, ...]:
    """What restricts a queue, also what is over and was not ended."""
    rows = connection.execute(select(tables.restriction).where(tables.restriction.c.queue == str(queue)))
    return tuple(_made(row) for row in rows)


def log_in_refused(
    connection: Connection,
    queue: QueueKey,
    version: int,
    reason: str,
    now: float,
    beside: Sequence[Change[None]],
    pause: float,
) -> Restriction | None:
    """Suspend a gateway whose credential (of this version) was refused, and make the changes `beside` if it is the
    first time. None if it has another credential by now, or is suspended for this already.

    The suspension has an end, for a provider may refuse everybody for an hour: one log-in is tried then, after `pause`
    seconds the first time.
    """
    lock(connection)
    if _credential_version(connection, queue) != version:
        return None
    before = next((one for one in of(connection, queue) if one.cause is Cause.LOG_IN), None)
    if before and before.credential_version == version and before.holds(now):
        return None
    times = before.times + 1 if before and before.credential_version == version else 1
    made = Restriction(
        Cause.LOG_IN,
        reason,
        SERVER,
        before.since if before and times > 1 else now,
        now + min(pause * 2 ** (times - 1), LONGEST_PAUSE),
        credential_version=version,
        times=times,
    )
    put(connection, queue, made)
    if times == 1:
        apply(connection, beside)
    return made


def log_in_taken(connection: Connection, queue: QueueKey, version: int) -> bool:
    """End the suspension of a gateway whose credential (of this version) was refused and is taken now; whether it was
    suspended for that. One for a credential that was set meanwhile stays.
    """
    lock(connection)
    found = any(one.cause is Cause.LOG_IN and one.credential_version == version for one in of(connection, queue))
    if found:
        end(connection, queue, (Cause.LOG_IN,))
    return found


def _credential_version(connection: Connection, queue: QueueKey) -> int | None:
    if queue.kind is QueueKind.DOMAIN_GATEWAY:
        relay = domain_gateway(connection, queue.name)
        return relay.credential_version if relay else None
    if queue.kind is QueueKind.COMMON_GATEWAY:
        common = tables.common_gateway.c
        return connection.scalar(select(common.credential_version).where(common.grant_id == (queue.row or 0)))
    columns = tables.gateway.c
    return connection.scalar(select(columns.credential_version).where(columns.id == (queue.row or 0)))


def _remove(connection: Connection, queue: QueueKey, causes: Sequence[Cause]) -> None:
    columns = tables.restriction.c
    connection.execute(delete(tables.restriction).where(columns.queue == str(queue), columns.cause.in_(causes)))


def _made(row: Row[*tuple[Any, ...]]) -> Restriction:
    return Restriction(
        Cause(row.cause),
        row.reason,
        row.author,
        row.since,
        row.until,
        row.connections,
        tuple(row.rates.split(_SEPARATOR)) if row.rates else (),
        row.credential_version,
        row.times,
    )
