"""What processes have counted is added up by the hour, once, whoever counts beside."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy import Engine

from outgate.record import tallies
from outgate.record.tallies import Measure, Tallies, Tally
from outgate.store.engine import read, write

NOON = 497_500 * tallies.HOUR


class Counted:
    """A process with the counters that record.events has, at a time that the test sets."""

    def __init__(self, engine: Engine) -> None:
        registry = CollectorRegistry()
        self.routed = Counter("outgate_recipients_routed", "-", ["route"], registry=registry)
        self.refused = Counter("outgate_messages_refused", "-", ["status"], registry=registry)
        self.took = Histogram("outgate_delivery_seconds", "-", ["route"], buckets=(1, 60), registry=registry)
        self.now = NOON
        self.routed.labels("local").inc(7)  # before: of a former run in the same process
        self.tallies = Tallies(engine, lambda: self.now, registry)


@pytest.fixture
def one(engine: Engine) -> Counted:
    """A process."""
    return Counted(engine)


def kept(engine: Engine, hour: int = 0) -> list[Tally]:
    """All that is written."""
    with read(engine) as connection:
        return sorted(tallies.since(connection, hour), key=lambda one: (one.hour, one.measure, one.label))


def test_what_two_processes_count_is_added_up_once(engine: Engine, one: Counted) -> None:
    other = Counted(engine)
    one.routed.labels("direct").inc(3)
    other.routed.labels("direct").inc(4)
    for process in (one, other, one):
        process.tallies.write()
    one.routed.labels("direct").inc()
    one.tallies.write()
    assert kept(engine) == [Tally(497_500, Measure.ROUTED, "direct", 8)]


def test_each_hour_has_its_own_and_the_old_are_forgotten(engine: Engine, one: Counted) -> None:
    for hour in range(3):
        one.now = NOON + hour * tallies.HOUR
        one.refused.labels("5.7").inc()
        one.refused.labels("4.3").inc()
        one.tallies.write()
    assert [(row.hour, row.count) for row in kept(engine)] == [(497_500, 2), (497_501, 2), (497_502, 2)]
    assert len(kept(engine, 497_501)) == 2
    with write(engine) as connection:
        assert tallies.forget(connection, NOON + 2 * tallies.HOUR, 10) == 2
    assert [row.hour for row in kept(engine)] == [497_502]


def test_classes_of_time_are_counted_apart_over_all_routes(engine: Engine, one: Counted) -> None:
    for route, seconds in (("direct", 0.5), ("direct", 30), ("local", 0.1), ("local", 3600)):
        one.took.labels(route).observe(seconds)
    one.tallies.write()
    assert {row.label: row.count for row in kept(engine)} == {"1.0": 2, "60.0": 1, "+Inf": 1}


def test_what_could_not_be_written_is_written_the_next_time(one: Counted, engine: Engine) -> None:
    one.routed.labels("direct").inc(5)
    with write(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE tally RENAME TO away")
    with pytest.raises(Exception, match="tally"):
        one.tallies.write()
    with write(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO tally")
    one.tallies.write()
    assert [row.count for row in kept(engine)] == [5]
