"""Removes what is older than is kept, in small batches with room between, and gives the space back.

Of messages, what still waits in the queue is kept. Knows no configuration and no clock; what else there is to remove is
told to it.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, Engine, delete, exists, func, select

from outgate.frozen import frozen
from outgate.record import search_keys
from outgate.record.message_log import FIRST, event_of
from outgate.store.engine import read, write
from outgate.store.tables import fact, message, webhook

BATCH: Final = 200  # rows or messages in one transaction: some ten milliseconds
PAUSE: Final = 0.25  # seconds between batches, for everybody else's transactions
EVERY: Final = 3600.0  # seconds
_PAGES: Final = 256  # given back in one transaction
_FREE_PART: Final = 8  # space is given back while more than this part of the file is free; the rest is used again

_REMOVED = Counter("outgate_retention_removed", "What was older than is kept, by its kind", ["kind"])

_log = structlog.get_logger("record")


@frozen
class Kept:
    """A kind of row that is kept for so many seconds. `remove(connection, before, limit)` removes at most `limit` that
    are older than `before`, and returns how many it has removed.
    """

    kind: str
    seconds: float
    remove: Callable[[Connection, float, int], int]


class Retention:
    """Keeps each kind for its time."""

    def __init__(self, engine: Engine, kept: Sequence[Kept], now: Callable[[], float]) -> None:
        self._engine, self._kept, self._now = engine, kept, now

    async def run(self) -> None:
        """Every hour, until it is cancelled. A fault is logged and waits for the next time."""
        while True:
            await self.tidy()
            await asyncio.sleep(EVERY)

    async def tidy(self, pause: float = PAUSE) -> None:
        """Remove what is too old by now, and give the space back. What can't be done for one kind stops no other."""
        for one in self._kept:
            try:
                await self._remove(one, pause)
            except Exception as error:
                _log.error("what is too old could not be removed", kind=one.kind, error=str(error))
        try:
            while await asyncio.to_thread(self._give_back):  # noqa: ASYNC110 -- nothing is waited for: room for others
                await asyncio.sleep(pause)
        except Exception as error:
            _log.error("space could not be given back", error=str(error))

    async def _remove(self, one: Kept, pause: float) -> None:
        before = self._now() - one.seconds
        while removed := await asyncio.to_thread(self._remove_some, one, before):
            _REMOVED.labels(one.kind).inc(removed)
            await asyncio.sleep(pause)

    def _remove_some(self, one: Kept, before: float) -> int:
        with write(self._engine) as conn:
            return one.remove(conn, before, BATCH)

    def _give_back(self) -> bool:
        """Some pages of an SQLite database that may shrink; whether that was not all."""
        if self._engine.dialect.name != "sqlite":
            return False
        with read(self._engine) as conn:
            free = _pragma(conn, "freelist_count")
            if _pragma(conn, "auto_vacuum") != 2 or free * _FREE_PART <= _pragma(conn, "page_count"):
                return False
        with write(self._engine) as conn:
            driver = conn.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            for _ in range(_PAGES):
                # A page a step, and sqlite3 takes one step of a statement without columns, however many it is given.
                driver.execute("PRAGMA incremental_vacuum(1)")
        return True


def remove_messages(conn: Connection, before: float, limit: int) -> int:
    """Forget at most `limit` messages that came before then and wait no more; returns their number. What is fresh to
    the search goes with the next ones, when it is sorted in: a key that comes later would be nobody's.

    Where webhooks read on from the newest row, its message stays: SQLite would give the row's number again, and what is
    in the new one would be passed over.
    """
    newest = select(fact.c.message_id).where(exists(select(webhook.c.id))).order_by(fact.c.id.desc()).limit(1)
    kept = func.coalesce(newest.scalar_subquery(), -1)
    identity = fact.c.message_id
    gone = (identity.not_in(select(message.c.id)), identity != kept, ~search_keys.is_fresh(identity))
    search_keys.lock(conn)
    old = conn.execute(select(fact).where(FIRST, fact.c.at < before, *gone).order_by(fact.c.at).limit(limit)).all()
    if not old:
        return 0
    search_keys.remove(conn, [event_of(row) for row in old])
    conn.execute(delete(fact).where(fact.c.message_id.in_([row.message_id for row in old])))
    return len(old)


def _pragma(conn: Connection, name: str) -> int:
    return int(conn.exec_driver_sql(f"PRAGMA {name}").scalar_one())
