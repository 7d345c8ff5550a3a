"""How much happened in each hour, over all processes and nodes: what each process has counted is added up every minute.

Costs the same however much mail there is, since no message is looked at again. What a process has counted since its
last minute is lost if it is killed. Knows no page.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Final

import structlog
from prometheus_client import REGISTRY
from prometheus_client.registry import CollectorRegistry
from sqlalchemy import Connection, Engine, delete, func, select, text

from outgate.frozen import frozen
from outgate.store.engine import StoreUnavailable, write
from outgate.store.tables import tally

EVERY: Final = 60.0  # seconds
HOUR: Final = 3600.0
KEPT: Final = 35 * 24  # hours
_ADD: Final = text(
    "INSERT INTO tally (hour, measure, label, count) VALUES (:hour, :measure, :label, :count)"
    " ON CONFLICT (hour, measure, label) DO UPDATE SET count = tally.count + excluded.count"
)

_log = structlog.get_logger("record")


class Measure(StrEnum):
    """What is counted: recipients by kind of route, messages that were refused, deliveries by how long they took (the
    label is the most seconds of a class, `+Inf` of the last).
    """

    ROUTED = "routed"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    REFUSED = "refused"
    TOOK = "took"


# Where each is counted (record.events), and the label that tells its kinds apart.
_COUNTERS: Final = {
    "outgate_recipients_routed_total": (Measure.ROUTED, "route"),
    "outgate_recipients_delivered_total": (Measure.DELIVERED, "route"),
    "outgate_recipients_deferred_total": (Measure.DEFERRED, "route"),
    "outgate_recipients_bounced_total": (Measure.BOUNCED, "route"),
    "outgate_messages_refused_total": (Measure.REFUSED, ""),
}
_BUCKETS: Final = "outgate_delivery_seconds_bucket"

Counts = Mapping[tuple[str, str], int]  # by measure and label


@frozen
class Tally:
    """How often something was counted in an hour (hours since the epoch)."""

    hour: int
    measure: Measure
    label: str
    count: int


class Tallies:
    """One process's share. Counts from when it is made."""

    def __init__(self, engine: Engine, now: Callable[[], float], registry: CollectorRegistry = REGISTRY) -> None:
        self._engine, self._now, self._registry = engine, now, registry
        self._written = counted(registry)

    async def run(self) -> None:
        """Every minute, until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await asyncio.to_thread(self.write)

    def write(self) -> None:
        """Add what was counted since the last time. What can't be written now is written the next time."""
        counts = counted(self._registry)
        new = {key: count - self._written.get(key, 0) for key, count in counts.items()}
        rows = [_row(int(self._now() // HOUR), *key, count) for key, count in sorted(new.items()) if count > 0]
        if not rows:
            return
        try:
            with write(self._engine) as connection:
                for row in rows:  # in one order everywhere, so that no two processes wait for each other
                    connection.execute(_ADD, row)
        except StoreUnavailable as error:
            _log.warning("what was counted is not added up yet", error=str(error))
            return
        self._written = counts


def since(connection: Connection, hour: int, hours: int = 1) -> list[Tally]:
    """All from this hour on, so many hours together: `Tally.hour` is the first of them."""
    columns = tally.c
    first = (columns.hour - (columns.hour - hour) % hours).label("first")
    wanted = select(first, columns.measure, columns.label, func.sum(columns.count).label("sum"))
    rows = connection.execute(
        wanted.where(columns.hour >= hour).group_by(first, columns.measure, columns.label).order_by(first)
    )
    return [Tally(then, Measure(measure), label, int(count)) for then, measure, label, count in rows]


def forget(connection: Connection, before: float, limit: int) -> int:
    """Remove at most `limit` of those that are older; returns their number."""
    old = select(tally.c.hour).where(tally.c.hour < int(before // HOUR)).distinct().order_by(tally.c.hour).limit(limit)
    return connection.execute(delete(tally).where(tally.c.hour.in_(old))).rowcount


def counted(registry: CollectorRegistry) -> Counts:
    """What a process has counted since its begin."""
    found = Counter[tuple[str, str]]()
    for measure, label, count in _samples(registry):
        found[measure, label] += count
    return found


def _samples(registry: CollectorRegistry) -> Iterator[tuple[str, str, int]]:
    for family in registry.collect():
        below: dict[str, float] = {}  # of a histogram each class counts those below it, too
        for sample in family.samples:
            if sample.name in _COUNTERS:
                measure, label = _COUNTERS[sample.name]
                yield measure, sample.labels.get(label, ""), int(sample.value)
            elif sample.name == _BUCKETS:
                route = sample.labels["route"]
                yield Measure.TOOK, sample.labels["le"], int(sample.value - below.get(route, 0.0))
                below[route] = sample.value


def _row(hour: int, measure: str, label: str, count: int) -> dict[str, object]:
    return {"hour": hour, "measure": str(measure), "label": label, "count": count}
