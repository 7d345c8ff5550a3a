"""How it stands with what waits, found by steps in the index: as quick with a million waiting as with ten. Knows no
gateway's name.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, func, or_, select

from outgate.frozen import frozen
from outgate.model import QueueKey, QueueKind
from outgate.store.tables import message, recipient


@frozen
class Trouble:
    """A queue whose mail was tried and waits to be tried again. Times in seconds since the epoch."""

    queue: str
    attempts: int
    last_reply: str
    next_attempt: float


@frozen
class Census:
    """All that waits. `oldest` is when the first of it was received; None if nothing waits."""

    recipients: int
    oldest: float | None
    troubles: tuple[Trouble, ...]


_MAY_BE_EARLY = recipient.c.message_id.in_(select(message.c.id).where(message.c.not_before.is_not(None)))


def census(conn: Connection) -> Census:
    """How much waits, since when, and where it is stuck: at gateways and mailboxes, not at exchangers of others."""
    recipients = conn.scalar(select(func.count()).select_from(recipient)) or 0
    first = conn.scalar(select(func.min(recipient.c.message_id)))
    oldest = conn.scalar(select(message.c.received_at).where(message.c.id == first))
    return Census(recipients, oldest, tuple(_troubles(conn)))


def queues(conn: Connection) -> Iterator[str]:
    """All queues in which something waits."""
    last = ""
    while found := conn.scalar(select(func.min(recipient.c.queue)).where(recipient.c.queue > last)):
        last = found
        yield found


def _troubles(conn: Connection) -> Iterator[Trouble]:
    for queue in queues(conn):
        if QueueKey.parse(queue).kind is not QueueKind.MX and (found := trouble(conn, queue)):
            yield found


@frozen
class Waits:
    """How many recipients wait in one queue; `oldest` is when the first of their messages was received."""

    recipients: int
    held: int
    oldest: float | None


def waits(conn: Connection, queue: str) -> Waits:
    """How much waits in a queue, and since when."""
    columns = recipient.c
    found = conn.execute(
        select(
            func.count().label("recipients"),
            func.count().filter(columns.held).label("held"),
            func.min(columns.message_id).label("first"),
        ).where(columns.queue == queue)
    ).one()
    oldest = conn.scalar(select(message.c.received_at).where(message.c.id == found.first)) if found.first else None
    return Waits(found.recipients, found.held, oldest)


def waiting(conn: Connection, queue: str) -> int:
    """How many recipients wait in a queue."""
    return conn.scalar(select(func.count()).where(recipient.c.queue == queue)) or 0


def trouble(conn: Connection, queue: str) -> Trouble | None:
    """What is the matter with a queue. What was tried waits for its next time, so it is the last in the index, but for
    what its sender lets leave later."""
    columns = recipient.c
    last = conn.execute(
        select(columns.attempts, columns.last_reply, columns.due_at)
        .where(columns.queue == queue, ~columns.held, or_(columns.attempts > 0, ~_MAY_BE_EARLY))
        .order_by(columns.due_at.desc())
        .limit(1)
    ).first()
    return Trouble(queue, last.attempts, last.last_reply or "", last.due_at) if last and last.attempts else None
