"""Nothing waits longer than the longest pause of the schedule. What does was put off before the clock was set back, and
is tried at once. Looks by steps in the index, so that a look costs nothing to speak of. Knows no delivery.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, and_, bindparam, select, update

from outgate.queue.census import queues
from outgate.queue.early import is_early
from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.tables import recipient

EVERY: Final = 60.0  # seconds between two looks
STEP: Final = 500  # recipients in one transaction
PAUSE: Final = 0.05  # seconds between two steps
_SLACK: Final = 60.0  # seconds by which nodes' clocks may differ

_log = structlog.get_logger("queue")


class ClockWatch:
    """Looks after the times of what waits; `longest` finds the longest pause in seconds."""

    def __init__(self, engine: Engine, longest: Callable[[Connection], float], now: Callable[[], float]) -> None:
        self._engine, self._longest, self._now = engine, longest, now

    async def run(self) -> None:
        """At once and every minute, until it is cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.error("the times of waiting mail could not be looked at", error=str(error))
            await asyncio.sleep(EVERY)

    async def look(self, pause: float = PAUSE) -> int:
        """Have what waits too long tried now; returns the number of recipients."""
        total = 0
        while changed := await asyncio.to_thread(self._step):
            total += changed
            await asyncio.sleep(pause)
        if total:
            _log.warning("the clock was set back: mail that would have waited too long is tried now", recipients=total)
        return total

    def _step(self) -> int:
        now = self._now()
        with read(self._engine) as conn:
            late = _too_late(conn, now + self._longest(conn) + _SLACK)
        if not late:
            return 0
        with write(self._engine) as conn:
            conn.execute(_HASTEN, [{"b_message": one, "b_number": number, "b_now": now} for one, number in late])
        return len(late)


_HASTEN: Final = (
    update(recipient)
    .where(
        and_(
            recipient.c.message_id == bindparam("b_message"),
            recipient.c.number == bindparam("b_number"),
            recipient.c.due_at > bindparam("b_now"),
        )
    )
    .values(due_at=bindparam("b_now"))
)


def _too_late(conn: Connection, latest: float) -> list[tuple[int, int]]:
    """Some recipients that are due after `latest`, though their sender lets them leave before."""
    columns = recipient.c
    found: list[tuple[int, int]] = []
    for queue in queues(conn):
        rows = conn.execute(
            select(columns.message_id, columns.number)
            .where(columns.queue == queue, ~columns.held, columns.due_at > latest, ~is_early(latest))
            .limit(STEP - len(found))
        )
        found += [(row.message_id, row.number) for row in rows]
        if len(found) >= STEP:
            break
    return found
