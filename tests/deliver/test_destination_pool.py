"""A destination's connections, lent and given back by hand."""

import asyncio
from collections.abc import Callable

import pytest

from outgate.deliver.connection_limit import ConnectionLimit, default_limit
from outgate.deliver.delivery import AttemptResult, Delivery
from outgate.deliver.destination_pool import GROWTH, Closing, DestinationPool
from outgate.deliver.outcome import INTERNAL, NO_STORE, Outcome, Verdict
from outgate.store.engine import StoreUnavailable
from outgate.watchdog import Watchdog

DOWN = Outcome(Verdict.RETRY, "4.4.1 could not connect")


class Peer:
    """A peer that takes so many connections at once; the rest are refused."""

    def __init__(self, connections: int = 100) -> None:
        self.connections = connections
        self.open: set[Line] = set()
        self.made: list[Line] = []

    def new(self) -> "Line":
        self.made.append(Line(self))
        return self.made[-1]


class Line:
    """A transport to that peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.fault: Exception | None = None
        self.connects = 0

    def resume(self) -> bool:
        if self.fault:
            raise self.fault
        return self in self.peer.open

    async def connect(self) -> Outcome | None:
        self.connects += 1
        await asyncio.sleep(0)
        if self.fault:
            raise self.fault
        if self in self.peer.open:
            return None
        if len(self.peer.open) >= self.peer.connections:
            return DOWN
        self.peer.open.add(self)
        return None

    async def carry(self, delivery: Delivery) -> AttemptResult:
        raise AssertionError("a pool carries nothing")

    def recall(self) -> bool:
        return False

    def close(self) -> None:
        self.peer.open.discard(self)


def pool(
    peer: Peer,
    connections: int = 3,
    idle_timeout: float = 60.0,
    in_all: ConnectionLimit | None = None,
    is_exchanger: bool = False,
) -> DestinationPool:
    watchdog = Watchdog()
    return DestinationPool(
        "mx:peer.example",
        peer.new,
        connections=connections,
        idle_timeout=idle_timeout,
        watch=lambda: watchdog.watch("connection", "mx:peer.example", 60.0),
        in_all=in_all or ConnectionLimit(100),
        is_exchanger=is_exchanger,
    )


async def lent(of: DestinationPool) -> Line:
    transport = await of.borrow()
    assert isinstance(transport, Line)
    return transport


async def settled(condition: Callable[[], bool]) -> None:
    """Let what is ready run; nothing here waits for time."""
    for _ in range(20):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come about")


async def test_a_warm_connection_is_lent_again() -> None:
    peer = Peer()
    connections = pool(peer)
    first = await lent(connections)
    connections.give_back(first)
    assert await lent(connections) is first
    assert (len(peer.made), first.connects) == (1, 1), "not even connected once more"


async def test_no_more_are_open_than_allowed_and_who_waits_longest_is_next() -> None:
    peer = Peer()
    connections = pool(peer, connections=2)
    first, second = await lent(connections), await lent(connections)
    waiting = [asyncio.ensure_future(connections.borrow()) for _ in range(3)]
    await settled(lambda: len(connections._waiting) == 3)
    connections.give_back(second)
    assert await waiting[0] is second
    connections.give_back(first)
    connections.give_back(second)
    assert [await waiting[1], await waiting[2]] == [first, second]
    assert len(peer.made) == 2


async def test_when_nobody_can_be_reached_all_who_wait_hear_of_it() -> None:
    peer = Peer(connections=0)
    connections = pool(peer, connections=1)
    told = await asyncio.gather(*(connections.borrow() for _ in range(4)))
    assert told == [DOWN] * 4
    assert (len(peer.made), connections.is_unused) == (1, True)


async def test_a_peer_that_wants_no_more_connections_gets_no_more_and_none_fails() -> None:
    peer = Peer(connections=2)
    connections = pool(peer, connections=5)
    working = [await lent(connections), await lent(connections)]
    waiting = [asyncio.ensure_future(connections.borrow()) for _ in range(3)]
    await settled(lambda: len(connections._waiting) == 3)
    for one in waiting:
        connections.give_back(working.pop(0))
        got = await one
        assert isinstance(got, Line)
        working.append(got)
    assert len(peer.open) == 2


async def test_the_limit_grows_again_while_the_destination_is_busy() -> None:
    peer = Peer(connections=1)
    connections = pool(peer, connections=3)
    line = await lent(connections)
    refused = asyncio.ensure_future(connections.borrow())
    await settled(lambda: len(connections._waiting) == 1)
    peer.connections = 3
    connections.give_back(line)
    assert await refused is line
    for _ in range(GROWTH):
        connections.give_back(line)
        line = await lent(connections)
    assert await lent(connections) is not line
    assert len(peer.open) == 2


async def test_what_was_idle_for_less_long_outlives_what_was_idle_for_longer() -> None:
    peer = Peer()
    connections = pool(peer, idle_timeout=0.2)
    first, second = await lent(connections), await lent(connections)
    connections.give_back(first)
    connections.give_back(second)
    async with asyncio.timeout(10):
        while first in peer.open:
            connections.give_back(await lent(connections))  # the second one, which is idle anew
            await asyncio.sleep(0.005)
    assert second in peer.open
    async with asyncio.timeout(10):
        while peer.open:
            await asyncio.sleep(0.005)
    assert connections.is_unused


async def test_a_connection_that_nobody_wants_is_closed_after_a_while() -> None:
    peer = Peer()
    connections = pool(peer, idle_timeout=0.01)
    connections.give_back(await lent(connections))
    async with asyncio.timeout(10):
        while peer.open:
            await asyncio.sleep(0.005)
    assert connections.is_unused


async def test_a_closing_pool_lends_nothing_and_takes_back_what_is_lent() -> None:
    peer = Peer()
    connections = pool(peer, connections=2)
    busy, idle = await lent(connections), await lent(connections)
    waiting = asyncio.ensure_future(connections.borrow())
    await settled(lambda: len(connections._waiting) == 1)
    connections.close()
    for late in (waiting, connections.borrow()):
        with pytest.raises(Closing):
            await late
    assert peer.open == {busy, idle}
    connections.give_back(busy)
    connections.give_back(idle)
    assert not peer.open


@pytest.mark.parametrize(("fault", "outcome"), [(StoreUnavailable("away"), NO_STORE), (ZeroDivisionError(), INTERNAL)])
async def test_a_fault_of_ours_is_an_outcome_and_leaves_the_pool_usable(fault: Exception, outcome: Outcome) -> None:
    peer = Peer()
    connections = pool(peer, connections=1)
    line = await lent(connections)
    line.fault = fault
    connections.give_back(line)
    assert await connections.borrow() == outcome
    assert not peer.open
    assert isinstance(await connections.borrow(), Line)


async def test_who_is_stopped_while_it_waits_leaves_no_gap() -> None:
    peer = Peer()
    connections = pool(peer, connections=1)
    line = await lent(connections)
    stopped, next_one = (asyncio.ensure_future(connections.borrow()) for _ in range(2))
    await settled(lambda: len(connections._waiting) == 2)
    connections.give_back(line)
    stopped.cancel()  # in the moment in which it was given the connection
    assert await next_one is line


# --- in all ----------------------------------------------------------------------------------------------------------


async def test_no_more_are_open_in_all_than_allowed_and_who_waits_gets_the_place_of_one_that_ends() -> None:
    in_all, peers = ConnectionLimit(2), [Peer(), Peer(), Peer()]
    pools = [pool(peer, in_all=in_all) for peer in peers]
    first, _ = await lent(pools[0]), await lent(pools[1])
    third = asyncio.ensure_future(pools[2].borrow())
    await asyncio.sleep(0)
    assert not peers[2].made
    pools[0].give_back(first)  # it would be kept warm
    assert isinstance(await third, Line)
    assert not peers[0].open
    assert in_all.taken == 2


async def test_the_connection_that_is_idle_for_longest_makes_room() -> None:
    in_all, peers = ConnectionLimit(3), [Peer() for _ in range(4)]
    pools = [pool(peer, in_all=in_all) for peer in peers]
    lines = [await lent(one) for one in pools[:3]]
    for number in (1, 0, 2):
        pools[number].give_back(lines[number])
    await lent(pools[3])
    assert [bool(peer.open) for peer in peers] == [True, False, True, True]


async def test_silent_exchangers_leave_places_for_gateways() -> None:
    in_all, exchanger, gateway = ConnectionLimit(8), Peer(), Peer()
    exchangers = [pool(exchanger, in_all=in_all, is_exchanger=True) for _ in range(20)]
    borrowed = [asyncio.ensure_future(one.borrow()) for one in exchangers]
    await settled(lambda: len(exchanger.open) == 6)
    assert [isinstance(await pool(gateway, in_all=in_all).borrow(), Line) for _ in range(2)] == [True, True]
    assert (len(exchanger.open), in_all.taken) == (6, 8)
    for one in borrowed:
        one.cancel()


async def test_places_come_back_from_all_who_fail_are_stopped_or_close() -> None:
    in_all, peer = ConnectionLimit(1), Peer(connections=0)
    failing = pool(peer, in_all=in_all)
    assert await failing.borrow() == DOWN
    assert in_all.taken == 0
    peer.connections = 1
    line = await lent(failing)
    stopped = asyncio.ensure_future(failing.borrow())
    late = asyncio.ensure_future(pool(peer, in_all=in_all).borrow())
    await asyncio.sleep(0)
    stopped.cancel()
    failing.close()
    failing.give_back(line)
    assert isinstance(await late, Line)
    assert in_all.taken == 1


def test_by_default_half_of_the_files_may_be_connections() -> None:
    assert 8 <= default_limit() <= 10_000
