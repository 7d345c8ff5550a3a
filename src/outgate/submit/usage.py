"""What each account has sent, by the hour: counted in the transaction that puts a message into the queue.

Knows no limit and no event loop.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, text

from outgate.frozen import frozen
from outgate.store.batch import Batch, Row, RowsOnly, Step
from outgate.store.tables import usage

DAY_HOURS: Final = 24


@frozen
class Sent:
    """How much an account has sent in one hour (hours since the epoch)."""

    hour: int
    messages: int
    recipients: int


def _merged(rows: Sequence[Row]) -> list[Row]:
    """One for each account and hour, in the order of accounts, so that two nodes never wait for each other's rows."""
    counted: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        entry = counted.setdefault((row["hour"], row["account_id"]), [0, 0])
        entry[0] += 1
        entry[1] += row["recipients"]
    return [
        {"account_id": account_id, "hour": hour, "messages": messages, "recipients": recipients}
        for (hour, account_id), (messages, recipients) in sorted(counted.items())
    ]


# Both databases have it, SQLAlchemy only by dialect.
_COUNT = Step(
    60,
    text(
        "INSERT INTO usage (account_id, hour, messages, recipients) VALUES (:account_id, :hour, :messages, :recipients)"
        " ON CONFLICT (hour, account_id) DO UPDATE SET"
        " messages = usage.messages + excluded.messages, recipients = usage.recipients + excluded.recipients"
    ),
    merge=_merged,
)


@frozen
class CountMessage(RowsOnly):
    """An account has sent a message to so many recipients."""

    account_id: int
    at: float
    recipients: int

    def add_to(self, batch: Batch) -> None:
        """Its hour's count."""
        row = {"account_id": self.account_id, "hour": int(self.at // 3600), "recipients": self.recipients}
        batch.add(_COUNT, row)


def sent(connection: Connection, account_id: int, hour: int) -> list[Sent]:
    """What an account has sent in this hour and in the 23 before it, the oldest first."""
    columns = usage.c
    rows = connection.execute(
        select(columns.hour, columns.messages, columns.recipients)
        .where(columns.account_id == account_id, columns.hour.in_(range(hour - DAY_HOURS + 1, hour + 1)))
        .order_by(columns.hour)
    )
    return [Sent(*row) for row in rows]


def forget(connection: Connection, before: float, limit: int) -> int:
    """Remove at most `limit` counts of hours that ended before then (seconds since the epoch); returns their number.

    Limits ask for the last 24 hours.
    """
    columns = usage.c
    key = (columns.hour, columns.account_id)
    old = select(*key).where(columns.hour < int(before // 3600)).order_by(*key).limit(limit)
    rows = [{"b_hour": row.hour, "b_account": row.account_id} for row in connection.execute(old)]
    if rows:
        found = (columns.hour == bindparam("b_hour"), columns.account_id == bindparam("b_account"))
        connection.execute(delete(usage).where(*found), rows)
    return len(rows)
