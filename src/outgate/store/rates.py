"""Limits on how often something is tried, counted in the database: they hold over restarts, processes and nodes.

A moving window: at most so many events of a key within the last so many seconds. A rate is written as the `limits`
library reads it ("10/10minutes"); a key is a few words, such as ("log-in", "network", "192.0.2.0/24"). Knows no key's
meaning.

The functions work in the caller's transaction; Rates has a transaction of its own for each call.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from limits import RateLimitItem, parse
from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, or_, select

from outgate import clock
from outgate.store.engine import read, write
from outgate.store.tables import rate_event

LONGEST: Final = 86400.0  # seconds of the longest window: older events are of no use to any
_PRUNE_EVERY: Final = 3600.0

Key = tuple[str, ...]
Event = tuple[str, Key]  # a rate, and what is counted


def hit(connection: Connection, rate: str, key: Key, now: float) -> bool:
    """Count an event, unless there are too many already; whether it was counted.

    Of many who do this at once for one key, in whatever process, only as many are let through as there is room for.
    Who hits several keys in one transaction does it in the order of the keys, lest two wait for each other.
    """
    text = _text(key)
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(text, 0))))
    old = rate_event.c.at <= now - _limit(rate).get_expiry()
    connection.execute(delete(rate_event).where(rate_event.c.key == text, old))
    if seconds_left(connection, rate, key, now):
        return False
    connection.execute(insert(rate_event).values(key=text, at=now))
    return True


def take(connection: Connection, all_of: Sequence[str], key: Key, now: float) -> float:
    """Count an event of a key that several rates limit, unless one of them has no room: then the seconds until it has.

    0.0 says that it was counted.
    """
    text = _text(key)
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(text, 0))))
    wait = max(seconds_left(connection, rate, key, now) for rate in all_of)
    if not wait:
        connection.execute(insert(rate_event).values(key=text, at=now))
    return wait


def seconds_left(connection: Connection, rate: str, key: Key, now: float) -> float:
    """Until one more event would be counted: 0.0 if now."""
    limit = _limit(rate)
    window = limit.get_expiry()
    events = select(rate_event.c.at).where(rate_event.c.key == _text(key), rate_event.c.at > now - window)
    # The event that must leave the window first, for another to find room.
    at = connection.scalar(events.order_by(rate_event.c.at.desc()).offset(limit.amount - 1).limit(1))
    return 0.0 if at is None else float(at + window - now)


def spent(connection: Connection, rate: str, prefix: Key, now: float) -> dict[Key, float]:
    """The keys that begin with `prefix` and have no room now, in order, with the seconds until they have."""
    limit, at = _limit(rate), rate_event.c.at
    window = limit.get_expiry()
    newest_first = func.row_number().over(partition_by=rate_event.c.key, order_by=at.desc())
    events = select(rate_event.c.key, at, newest_first.label("number")).where(_under(prefix), at > now - window)
    each = events.subquery().c
    rows = connection.execute(select(each.key, each.at).where(each.number == limit.amount))
    return dict(sorted((_key(row.key), float(row.at + window - now)) for row in rows))


def room(connection: Connection, rate: str, key: Key, now: float) -> int:
    """How many more events would be counted now."""
    limit = _limit(rate)
    recent = (rate_event.c.key == _text(key), rate_event.c.at > now - limit.get_expiry())
    return limit.amount - (connection.scalar(select(func.count()).select_from(rate_event).where(*recent)) or 0)


def clear(connection: Connection, *prefix: str) -> int:
    """Forget all events of a key and of those that begin with it; how many there were."""
    return connection.execute(delete(rate_event).where(_under(prefix))).rowcount


def keys(connection: Connection, *prefix: str) -> tuple[Key, ...]:
    """The keys that begin with `prefix` and have events, in order."""
    found = connection.scalars(select(rate_event.c.key).where(_under(prefix)).distinct())
    return tuple(sorted(map(_key, found)))


def prune(connection: Connection, now: float) -> None:
    """Remove the events that no window reaches any more."""
    connection.execute(delete(rate_event).where(rate_event.c.at <= now - LONGEST))


def parsed(text: str) -> str:
    """A rate as somebody writes it ("300/hour", "10/1minute") in the one form that is kept. Raises ValueError."""
    limit = parse(text)
    _limit(rate := f"{limit.amount}/{limit.multiples}{limit.GRANULARITY.name}")
    return rate


def in_words(rate: str) -> str:
    """As in `300 an hour`, `10 in 5 minutes`."""
    limit = _limit(rate)
    unit = str(limit.GRANULARITY.name)
    if limit.multiples == 1:
        return f"{limit.amount} {'an' if unit == 'hour' else 'a'} {unit}"
    return f"{limit.amount} in {limit.multiples} {unit}s"


def parts(rate: str) -> tuple[int, int]:
    """How many events, and in how many seconds."""
    limit = _limit(rate)
    return limit.amount, limit.get_expiry()


def interval(rate: str) -> float:
    """Seconds between two events at this rate."""
    limit = _limit(rate)
    return float(limit.get_expiry()) / limit.amount


class Rates:
    """Limits for those who have no transaction open. Any thread may call; all raise store.engine.StoreUnavailable.

    Not for the event loop: `hit` and `clear` wait for the database's write lock.
    """

    def __init__(self, engine: Engine, now: Callable[[], float] = clock.now) -> None:
        self._engine = engine
        self._now = now
        self._pruned_at = 0.0

    def test(self, rate: str, *key: str) -> bool:
        """Whether one more event would be counted."""
        return not self.seconds_left(rate, *key)

    def hit(self, rate: str, *key: str) -> bool:
        """Count an event, unless there are too many already; whether it was counted."""
        if not self.test(rate, *key):
            return False  # a flood is answered without a write
        return self.hit_all([(rate, key)]) == 1

    def hit_all(self, events: Sequence[Event]) -> int:
        """Count many events in one transaction; how many were counted."""
        now = self._now()
        with write(self._engine) as connection:
            self._prune(connection, now)
            return sum(hit(connection, rate, key, now) for rate, key in sorted(events, key=lambda event: event[1]))

    def take(self, all_of: Sequence[str], *key: str) -> float:
        """Count an event that several rates limit; 0.0, or the seconds until there is room for it."""
        now = self._now()
        with write(self._engine) as connection:
            self._prune(connection, now)
            return take(connection, all_of, key, now)

    def _prune(self, connection: Connection, now: float) -> None:
        if now >= self._pruned_at + _PRUNE_EVERY:
            self._pruned_at = now
            prune(connection, now)

    def seconds_left(self, rate: str, *key: str) -> float:
        """Until one more event would be counted: 0.0 if now."""
        with read(self._engine) as connection:
            return seconds_left(connection, rate, key, self._now())

    def room(self, events: Sequence[Event]) -> list[int]:
        """How many more of each would be counted now."""
        now = self._now()
        with read(self._engine) as connection:
            return [room(connection, rate, key, now) for rate, key in events]

    def clear(self, *prefix: str) -> int:
        """Forget all events of a key and of those that begin with it; how many there were."""
        with write(self._engine) as connection:
            return clear(connection, *prefix)


@lru_cache(64)
def _limit(rate: str) -> RateLimitItem:
    limit = parse(rate)
    if not 0 < limit.get_expiry() <= LONGEST:
        raise ValueError(f"the rate {rate} is over more than a day")
    return limit


def _text(key: Key) -> str:
    return "/".join(quote(part, safe="@:+ ") for part in key)


def _key(text: str) -> Key:
    return tuple(unquote(part) for part in text.split("/"))


def _under(prefix: Key) -> ColumnElement[bool]:
    text = _text(prefix)
    return or_(rate_event.c.key == text, rate_event.c.key.startswith(f"{text}/", autoescape=True))
