"""When mail for a destination is tried again, told of and returned, where administrators want it otherwise than the
settings have it. One row for each destination: an ending of recipients' domains, or of gateways' hosts.

They are a part of the directory, as restrictions are: in force on every node when the command that makes one returns.
Knows no queue.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select

from outgate.directory.change import touch
from outgate.directory.errors import Invalid, NotFound
from outgate.frozen import frozen
from outgate.model import ScheduleChange
from outgate.store import tables

MAX_SCHEDULES: Final = 1000

_COLUMNS = tables.retry_schedule.c


@frozen
class OwnSchedule:
    """Times in seconds since the epoch; without `until` it holds until somebody removes it."""

    destination: str
    change: ScheduleChange
    reason: str
    author: str
    since: float
    until: float | None = None

    def holds(self, now: float) -> bool:
        """Whether it is not over."""
        return self.until is None or now < self.until

    def is_of(self, host: str) -> bool:
        """Whether it speaks of this host or domain (in compared form): it is the destination, or below it."""
        return host == self.destination or host.endswith(f".{self.destination}")


def find(schedules: Sequence[OwnSchedule], host: str, now: float) -> OwnSchedule | None:
    """The one in force for a host or domain, which names it most exactly."""
    fitting = (one for one in schedules if one.is_of(host) and one.holds(now))
    return max(fitting, key=lambda one: len(one.destination), default=None)


def load(connection: Connection) -> tuple[OwnSchedule, ...]:
    """All there are by destination, also what is over and was not deleted yet."""
    return tuple(map(_made, connection.execute(select(tables.retry_schedule).order_by(_COLUMNS.destination))))


def longest_wait(connection: Connection) -> float:
    """Seconds of the longest wait that one of them speaks of."""
    return connection.scalar(select(func.max(_COLUMNS.retry_longest))) or 0.0


def put(connection: Connection, wanted: OwnSchedule) -> None:
    """Set a destination's schedule, in the place of a former one; those that are over are deleted. Raises Invalid."""
    touch(connection, queues=True)
    gone = (_COLUMNS.until <= wanted.since) | (_COLUMNS.destination == wanted.destination)
    connection.execute(delete(tables.retry_schedule).where(gone))
    if (connection.scalar(select(func.count()).select_from(tables.retry_schedule)) or 0) >= MAX_SCHEDULES:
        raise Invalid("there are {most} schedules already; remove one first", most=MAX_SCHEDULES)
    row = {name: getattr(wanted, name) for name in ("destination", "reason", "author", "since", "until")}
    connection.execute(insert(tables.retry_schedule).values(**row, **asdict(wanted.change)))


def remove(connection: Connection, destination: str) -> OwnSchedule:
    """Let the settings hold again; returns what there was. Raises NotFound."""
    touch(connection, queues=True)
    found = next((one for one in load(connection) if one.destination == destination), None)
    if found is None:
        raise NotFound("{destination} has no schedule of its own", destination=destination)
    connection.execute(delete(tables.retry_schedule).where(_COLUMNS.destination == destination))
    return found


def _made(row: Row[*tuple[Any, ...]]) -> OwnSchedule:
    changes = {name: getattr(row, name) for name in ScheduleChange.__dataclass_fields__}
    return OwnSchedule(row.destination, ScheduleChange(**changes), row.reason, row.author, row.since, row.until)
