"""Up to which row the record is complete: no earlier row will appear any more, so that none is missed by whoever reads
on from there.

SQLite has one writer at a time, whose rows follow each other. On PostgreSQL a row gets its number before its
transaction ends: one with a greater number may be there sooner. Who writes rows holds a lock of the table from before
the first gets its number until the transaction has ended. So the rows up to a number are complete once nobody holds
that lock who held it when it was the greatest.
"""

import time
from collections.abc import Set
from typing import Final

from sqlalchemy import Connection, Engine, text

from outgate.record import message_log
from outgate.store.engine import read

_WRITERS: Final = text(
    "SELECT virtualtransaction FROM pg_locks WHERE relation = 'fact'::regclass AND mode = 'RowExclusiveLock'"
    " AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_PAUSE: Final = 0.01  # seconds: a transaction takes some thousandths
PATIENCE: Final = 2.0  # seconds


class RecordHorizon:
    """Call `look` from time to time, always in a fresh transaction."""

    def __init__(self) -> None:
        self._complete: int | None = None
        self._newest: int | None = None  # not known to be complete yet
        self._writers: Set[str] = set()  # who were at work some time after that was the newest

    def look(self, connection: Connection) -> int | None:
        """The row, None if it isn't known yet; never less than the last time. It is seen by transactions that begin
        afterwards.
        """
        newest = message_log.newest(connection)
        if connection.dialect.name == "sqlite":
            return newest
        writers = set(connection.scalars(_WRITERS))  # of this moment, which is after that of the number
        if self._writers.isdisjoint(writers):
            self._complete = self._newest if writers else newest
            self._newest, self._writers = newest, writers
        return self._complete


def complete_row(engine: Engine, patience: float = PATIENCE) -> int | None:
    """The row at this moment. Waits so many seconds at most for those who write; None if that is not enough."""
    horizon, until = RecordHorizon(), time.monotonic() + patience
    while True:
        with read(engine) as connection:
            row = horizon.look(connection)
        if row is not None or time.monotonic() >= until:
            return row
        time.sleep(_PAUSE)
