"""Up to which row the record is complete: no earlier row will appear any more, so that none is missed by whoever reads
on from there.

SQLite has one writer at a time, whose rows follow each other. On PostgreSQL a row gets its number before its
transaction ends: one with a greater number may be there sooner. There the rows up to a number are complete once all
transactions have ended that were at work when it was the greatest.
"""

from sqlalchemy import Connection, text

from outgate.record import message_log

_SNAPSHOT = text(
    "SELECT pg_snapshot_xmin(one)::text::bigint AS oldest, pg_snapshot_xmax(one)::text::bigint AS next"
    " FROM pg_current_snapshot() AS one"
)


class RecordHorizon:
    """Call `look` from time to time, always in a fresh transaction."""

    def __init__(self) -> None:
        self._complete = 0
        self._newest: int | None = None  # not known to be complete yet
        self._next: int | None = None  # the transaction that would have begun next, some time after that was the newest

    def look(self, connection: Connection) -> int:
        """The row; never less than the last time."""
        if connection.dialect.name == "sqlite":
            return message_log.newest(connection)
        snapshot = connection.execute(_SNAPSHOT).one()
        if self._newest is None:
            self._newest = message_log.newest(connection)
        elif self._next is None:
            # At another look than the number: who had a number by then, but no transaction id yet, has one now.
            self._next = snapshot.next
        elif snapshot.oldest >= self._next:
            self._complete, self._newest, self._next = self._newest, message_log.newest(connection), None
        return self._complete
