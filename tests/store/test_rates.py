"""Rates against a list of times in memory, and against many who hit at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from outgate.store.engine import open_engine, read
from outgate.store.rates import LONGEST, Rates, keys, spent
from outgate.store.tables import rate_event

RATE, AMOUNT, WINDOW = "3/10seconds", 3, 10
KEYS = [("a",), ("a", "b"), ("a", "b/c"), ("a", "b", "c"), ("ab",), ("a%2Fb",), ("à b", "_%")]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hit", "test", "clear"]), st.sampled_from(KEYS), st.integers(0, 40).map(lambda n: n / 8)
    ),
    max_size=30,
)


class Model:
    """The times of what was counted, by key."""

    def __init__(self) -> None:
        self.times: dict[tuple[str, ...], list[float]] = {key: [] for key in KEYS}

    def within(self, key: tuple[str, ...], now: float) -> list[float]:
        return [at for at in self.times[key] if now - at < WINDOW]

    def hit(self, key: tuple[str, ...], now: float) -> bool:
        room = len(self.within(key, now)) < AMOUNT
        if room:
            self.times[key].append(now)
        return room

    def left(self, key: tuple[str, ...], now: float) -> float:
        within = self.within(key, now)
        return 0.0 if len(within) < AMOUNT else min(within) + WINDOW - now

    def clear(self, prefix: tuple[str, ...]) -> None:
        for key in KEYS:
            if key[: len(prefix)] == prefix:
                self.times[key] = []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_rates_count_as_a_list_of_times_does(engine: Engine, steps: list[tuple[str, tuple[str, ...], float]]) -> None:
    now = 1_000_000.0
    rates, model = Rates(engine, lambda: now), Model()
    for key in KEYS:
        rates.clear(*key)
    for what, key, later in steps:
        now += later
        if what == "hit":
            assert rates.hit(RATE, *key) == model.hit(key, now)
        elif what == "clear":
            rates.clear(*key)
            model.clear(key)
        for each in KEYS:
            assert rates.seconds_left(RATE, *each) == pytest.approx(model.left(each, now))
            assert rates.test(RATE, *each) == (len(model.within(each, now)) < AMOUNT)
        full = {each: left for each in sorted(KEYS) if each[0] == "a" and (left := model.left(each, now))}
        with read(engine) as connection:
            found = spent(connection, RATE, ("a",), now)
        assert list(found) == list(full)
        assert list(found.values()) == pytest.approx(list(full.values()))


def test_of_many_at_once_as_many_are_counted_as_there_is_room_for(database_url: str) -> None:
    engines = [open_engine(database_url) for _ in range(2)]
    each = [Rates(engine, lambda: 1000.0) for engine in engines]
    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(lambda number: each[number % 2].hit("7/1minute", "k"), range(40)))
    for engine in engines:
        engine.dispose()
    assert sum(counted) == 7


def test_another_opening_of_the_database_goes_on_counting(database_url: str) -> None:
    for expected in (True, True, True, False):
        engine = open_engine(database_url)
        assert Rates(engine, lambda: 1000.0).hit(RATE, "k") is expected
        engine.dispose()


def test_events_that_no_window_reaches_are_removed(engine: Engine) -> None:
    now = 1000.0
    rates = Rates(engine, lambda: now)
    assert rates.hit(RATE, "old")
    now += LONGEST + 1
    assert rates.hit(RATE, "new")
    with read(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(rate_event)) == 1
        assert keys(connection, "new") == (("new",),)


def test_a_flood_writes_nothing(engine: Engine) -> None:
    rates = Rates(engine, lambda: 1000.0)
    while rates.hit(RATE, "k"):
        pass
    with engine.connect() as writer, ThreadPoolExecutor(1) as pool:
        if engine.dialect.name == "sqlite":
            writer.exec_driver_sql("COMMIT")
            writer.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            writer.exec_driver_sql("LOCK TABLE rate_event IN EXCLUSIVE MODE")
        assert pool.submit(rates.hit, RATE, "k").result(timeout=20) is False


def test_a_window_of_more_than_a_day_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="2/2days is over more than a day"):
        Rates(engine).test("2/2days", "k")
