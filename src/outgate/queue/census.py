"""How it stands with what waits, found by steps in the index: as quick with a million waiting as with ten. Knows no
gateway's name.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import CTE, ColumnElement, Connection, FromClause, Row, func, or_, select

from outgate.frozen import frozen
from outgate.model import QueueKind
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


def queues(conn: Connection) -> Sequence[str]:
    """All queues in which something waits."""
    steps = _steps()
    return conn.scalars(select(steps.c.queue).where(steps.c.queue.is_not(None))).all()


def _steps() -> CTE:
    """From queue to queue by the index, without a look at what is between; null at the end."""
    steps = select(func.min(recipient.c.queue).label("queue")).cte("steps", recursive=True)
    behind = select(func.min(recipient.c.queue)).where(recipient.c.queue > steps.c.queue)
    return steps.union_all(select(behind.correlate(steps).scalar_subquery()).where(steps.c.queue.is_not(None)))


def _troubles(conn: Connection) -> list[Trouble]:
    steps = _steps()
    stuck = _LastTried(steps, steps.c.queue)
    here = steps.c.queue.not_like(f"{QueueKind.MX}:%")
    rows = conn.execute(select(steps.c.queue, *stuck.columns).where(steps.c.queue.is_not(None), here))
    return [found for row in rows if (found := stuck.trouble(row))]


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


@frozen
class QueueStanding:
    """How many recipients wait in a queue, and what is the matter with it; None while nothing was tried in vain."""

    waiting: int
    trouble: Trouble | None


IDLE: Final = QueueStanding(0, None)  # of a queue in which nothing waits


def standings(conn: Connection, queues: Collection[str]) -> Mapping[str, QueueStanding]:
    """How it stands with those of these queues in which something waits."""
    column = recipient.c.queue
    counted = select(column, func.count().label("waiting")).where(column.in_(queues)).group_by(column).subquery()
    stuck = _LastTried(counted, counted.c.queue)
    rows = conn.execute(select(counted.c.queue, counted.c.waiting, *stuck.columns))
    return {row.queue: QueueStanding(row.waiting, stuck.trouble(row)) for row in rows}


def trouble(conn: Connection, queue: str) -> Trouble | None:
    """What is the matter with a queue."""
    found = standings(conn, [queue]).get(queue)
    return found.trouble if found else None


class _LastTried:
    """Of each queue of a list what was tried last. It waits for its next time, so it is the last in the index, but for
    what its sender lets leave later. Of recipients put off together it is one and the same for each column.
    """

    def __init__(self, queues: FromClause, queue: ColumnElement[str]) -> None:
        last = (
            select()
            .where(recipient.c.queue == queue, ~recipient.c.held, or_(recipient.c.attempts > 0, ~_MAY_BE_EARLY))
            .order_by(recipient.c.due_at.desc(), recipient.c.message_id.desc(), recipient.c.number.desc())
            .limit(1)
            .correlate(queues)
        )
        kept = (recipient.c.attempts, recipient.c.last_reply, recipient.c.due_at)
        self.columns = [last.with_only_columns(one).scalar_subquery().label(one.name) for one in kept]

    def trouble(self, row: Row[Any]) -> Trouble | None:
        """What a row tells that has a `queue` beside these columns."""
        return Trouble(row.queue, row.attempts, row.last_reply or "", row.due_at) if row.attempts else None
