"""What each account has sent, by the hour, and each unit that has a limit: counted in the transaction that puts a
message into the queue.

Knows no limit and no event loop.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, bindparam, delete, select, text

from outgate.frozen import frozen
from outgate.store.batch import Batch, Row, RowsOnly, Step
from outgate.store.tables import unit_usage, usage

DAY_HOURS: Final = 24

Holder = int | str  # an account's id, or a unit's path


@frozen
class Sent:
    """How much was sent in one hour (hours since the epoch)."""

    hour: int
    messages: int
    recipients: int


def _counting(order: int, table: str, holder: str) -> Step:
    """Both databases have it, SQLAlchemy only by dialect."""

    def merged(rows: Sequence[Row]) -> list[Row]:
        """One for each holder and hour, in their order, so that two nodes never wait for each other's rows."""
        counted: dict[tuple[int, Any], list[int]] = {}
        for row in rows:
            entry = counted.setdefault((row["hour"], row[holder]), [0, 0])
            entry[0] += 1
            entry[1] += row["recipients"]
        return [
            {holder: of, "hour": hour, "messages": messages, "recipients": recipients}
            for (hour, of), (messages, recipients) in sorted(counted.items())
        ]

    statement = text(
        f"INSERT INTO {table} ({holder}, hour, messages, recipients) VALUES (:{holder}, :hour, :messages, :recipients)"  # noqa: S608 -- names of ours
        f" ON CONFLICT (hour, {holder}) DO UPDATE SET messages = {table}.messages + excluded.messages,"
        f" recipients = {table}.recipients + excluded.recipients"
    )
    return Step(order, statement, merge=merged)


_COUNT = _counting(60, "usage", "account_id")
# The last of a transaction: a unit's row is everybody's, and nobody else counts on it until the commit.
_COUNT_UNIT = _counting(99, "unit_usage", "unit")


@frozen
class CountMessage(RowsOnly):
    """An account has sent a message to so many recipients; it counts for the limits of these units, too."""

    account_id: int
    at: float
    recipients: int
    units: Sequence[str] = ()

    def add_to(self, batch: Batch) -> None:
        """Its hour's counts."""
        row = {"hour": int(self.at // 3600), "recipients": self.recipients}
        batch.add(_COUNT, row | {"account_id": self.account_id})
        for unit in self.units:
            batch.add(_COUNT_UNIT, row | {"unit": unit})


def sent(connection: Connection, holder: Holder, hour: int) -> list[Sent]:
    """What an account or a unit has sent in this hour and in the 23 before it, the oldest first."""
    table, mine = (
        (unit_usage, unit_usage.c.unit == holder) if isinstance(holder, str) else (usage, usage.c.account_id == holder)
    )
    columns = table.c
    rows = connection.execute(
        select(columns.hour, columns.messages, columns.recipients)
        .where(mine, columns.hour.in_(range(hour - DAY_HOURS + 1, hour + 1)))
        .order_by(columns.hour)
    )
    return [Sent(*row) for row in rows]


def forget(connection: Connection, before: float, limit: int) -> int:
    """Remove at most `limit` counts of accounts, of hours that ended before then (seconds since the epoch); returns
    their number.

    Limits ask for the last 24 hours.
    """
    return _forget(connection, usage, usage.c.account_id, before, limit)


def forget_units(connection: Connection, before: float, limit: int) -> int:
    """The same of units' counts."""
    return _forget(connection, unit_usage, unit_usage.c.unit, before, limit)


def _forget(connection: Connection, table: Table, holder: Column[Any], before: float, limit: int) -> int:
    hour = table.c.hour
    old = select(hour, holder).where(hour < int(before // 3600)).order_by(hour, holder).limit(limit)
    rows = [{"b_hour": row[0], "b_holder": row[1]} for row in connection.execute(old)]
    if rows:
        connection.execute(delete(table).where(hour == bindparam("b_hour"), holder == bindparam("b_holder")), rows)
    return len(rows)
