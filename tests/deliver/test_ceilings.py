"""Ceilings by time and of connections, over processes and restarts, on both databases."""

import heapq
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from deliver import ledger
from outgate.deliver.ceilings import Ceilings, connections
from outgate.deliver.delivery import Delivery
from outgate.model import Cause, Restriction
from outgate.route import Ways
from outgate.store.rates import Rates

NOW = 1_800_000_000.0
LIMIT = Restriction(Cause.LIMIT, "limit of this gateway", "console", NOW, rates=("3/1hour",))


def process(engine: Engine) -> Ceilings:
    return Ceilings(Rates(engine, lambda: NOW))


def delivery(*limits: Restriction) -> Delivery:
    """Of what was claimed."""
    made = ledger.delivery(ledger.item(1, "d.example"), [0], "d.example")
    return replace(made, restrictions=limits or (LIMIT,))


def submitted(*limits: Restriction) -> Delivery:
    """Of what was handed over in memory."""
    made = delivery(*limits)
    ways = Ways(1, None, (made.route,))  # type: ignore[arg-type]  # nobody asks for the account
    return replace(made, item=replace(made.item, ways=ways))


async def test_places_are_counted_over_processes_and_the_reason_is_said(engine: Engine) -> None:
    one, two = process(engine), process(engine)
    assert await one.place(delivery(), NOW) is None
    assert await two.place(delivery(), NOW) is None
    assert await one.place(delivery(), NOW) is None
    for other in (one, two, process(engine)):
        held = await other.place(delivery(), NOW)
        assert held is not None
        assert held.reason == "4.4.5 at most 3 an hour: limit of this gateway"
        assert (held.untried, held.again) == (True, NOW + 3600)


async def test_who_finds_no_place_gets_a_time_of_its_own(engine: Engine) -> None:
    ceilings = process(engine)
    for _ in range(3):
        assert await ceilings.place(delivery(), NOW) is None
    times = [(await ceilings.place(delivery(), NOW)).again]  # type: ignore[union-attr]  # the ceiling is reached
    times += [ceilings.closed(submitted(), NOW + n).again for n in (1, 2)]  # type: ignore[union-attr]  # the same
    assert times == [NOW + 3600, NOW + 4800, NOW + 6000]


async def test_who_comes_later_does_not_take_the_place_of_who_waits(engine: Engine) -> None:
    ceilings = process(engine)
    for _ in range(4):
        await ceilings.place(delivery(), NOW)
    assert ceilings.closed(submitted(), NOW + 3601), "a new one goes to the end"
    assert ceilings.closed(delivery(), NOW + 3601) is None, "one that has waited has its turn"


async def test_who_came_after_a_line_began_has_its_turn_at_its_own_time(engine: Engine) -> None:
    ceilings = process(engine)
    for _ in range(4):
        await ceilings.place(submitted(), NOW)
    later = ceilings.closed(submitted(), NOW + 60)
    assert later is not None
    assert later.again is not None
    assert ceilings.closed(submitted(), later.again - 1), "the line goes on"
    assert ceilings.closed(delivery(), later.again) is None


HOUR = replace(LIMIT, rates=("300/1hour",))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("is_restarted", [False, True], ids=["running", "restarted"])
async def test_a_burst_leaves_at_its_ceiling_and_nobody_is_left(
    engine: Engine, processes: int, is_restarted: bool
) -> None:
    """400 messages within ten minutes, at most 300 an hour. A restart in the second hour forgets the line."""
    now = NOW
    due = [(NOW + 1.5 * number, number, True) for number in range(400)]
    left: dict[int, float] = {}

    def begun() -> list[Ceilings]:
        return [Ceilings(Rates(engine, lambda: now)) for _ in range(processes)]

    at_work, restarts_at = begun(), NOW + 3900 if is_restarted else float("inf")
    while due:
        now, number, is_new = heapq.heappop(due)
        assert now < NOW + 86400, "somebody is starved"
        if now >= restarts_at:
            at_work, restarts_at = begun(), float("inf")
        ceilings, one = at_work[number % processes], submitted(HOUR) if is_new else delivery(HOUR)
        message = replace(one.item.message, received_at=NOW + 1.5 * number)
        one = replace(one, item=replace(one.item, message=message))
        if held := ceilings.closed(one, now) or await ceilings.place(one, now):
            assert held.again is not None
            assert held.again > now
            heapq.heappush(due, (held.again, number, False))
        else:
            left[number] = now
    times = sorted(left.values())
    assert len(times) == 400
    assert times[-1] <= NOW + 7200
    assert all(last - first >= 3600 for first, last in zip(times, times[300:], strict=False))
    waited = [left[number] for number in range(300, 400)]
    early = sum(waited[:50]) / 50
    assert early < sum(waited[50:]) / 50, "roughly in their order"


async def test_a_ceiling_that_was_taken_away_closes_nothing(engine: Engine) -> None:
    ceilings = process(engine)
    for _ in range(4):
        await ceilings.place(delivery(), NOW)
    over = replace(LIMIT, until=NOW - 1)
    assert ceilings.closed(delivery(over), NOW) is None
    assert await ceilings.place(delivery(over), NOW) is None


@pytest.mark.parametrize("most", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_connections_hold_over_all_processes_together(most: int, processes: int) -> None:
    limit = (Restriction(Cause.LIMIT, "", "", NOW, connections=most),)
    assert sum(connections(limit, 20, NOW, (number, processes)) for number in range(processes)) == most
    assert connections((), 20, NOW, (0, processes)) == 20
    assert sum(connections((), 20, NOW, (number, processes), (most,)) for number in range(processes)) == most
