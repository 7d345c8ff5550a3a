"""Ceilings by time and of connections, over processes and restarts, on both databases."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from deliver import ledger
from outgate.deliver.ceilings import Ceilings, connections
from outgate.deliver.delivery import Delivery
from outgate.model import Cause, Restriction
from outgate.store.rates import Rates

NOW = 1_800_000_000.0
LIMIT = Restriction(Cause.LIMIT, "limit of this gateway", "console", NOW, rates=("3/1hour",))


def process(engine: Engine) -> Ceilings:
    return Ceilings(Rates(engine, lambda: NOW))


def delivery(received_at: float = NOW, *limits: Restriction) -> Delivery:
    item = ledger.item(1, "d.example")
    made = ledger.delivery(replace(item, message=replace(item.message, received_at=received_at)), [0], "d.example")
    return replace(made, restrictions=limits or (LIMIT,))


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
    times += [ceilings.closed(delivery(NOW + n), NOW + n).again for n in (1, 2)]  # type: ignore[union-attr]  # the same
    assert times == [NOW + 3600, NOW + 4800, NOW + 6000]


async def test_who_comes_later_does_not_take_the_place_of_who_waits(engine: Engine) -> None:
    ceilings = process(engine)
    for _ in range(4):
        await ceilings.place(delivery(), NOW)
    assert ceilings.closed(delivery(NOW + 3601), NOW + 3601), "a new one goes to the end"
    assert ceilings.closed(delivery(NOW), NOW + 3601) is None, "one that has waited has its turn"


async def test_a_ceiling_that_was_taken_away_closes_nothing(engine: Engine) -> None:
    ceilings = process(engine)
    for _ in range(4):
        await ceilings.place(delivery(), NOW)
    over = replace(LIMIT, until=NOW - 1)
    assert ceilings.closed(delivery(NOW, over), NOW) is None
    assert await ceilings.place(delivery(NOW, over), NOW) is None


@pytest.mark.parametrize("most", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_connections_hold_over_all_processes_together(most: int, processes: int) -> None:
    limit = (Restriction(Cause.LIMIT, "", "", NOW, connections=most),)
    assert sum(connections(limit, 20, NOW, (number, processes)) for number in range(processes)) == most
    assert connections((), 20, NOW, (0, processes)) == 20
