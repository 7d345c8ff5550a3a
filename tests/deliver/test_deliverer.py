"""The deliverer with a real store and directory, and transports that do what a test says."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, groupby
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import pytest_asyncio
import structlog
from prometheus_client import REGISTRY
from sqlalchemy import Connection, Engine, func, select, text, update

from outgate import clock
from outgate.config import DeliverySettings
from outgate.deliver.ceilings import Ceilings
from outgate.deliver.deliverer import Deliverer
from outgate.deliver.delivery import AttemptResult, Delivery, all_alike
from outgate.deliver.outcome import RECALLED, Outcome, Verdict
from outgate.deliver.restraint import Restraint
from outgate.deliver.suspension_notices import SuspensionNotices
from outgate.deliver.tls_policy import TlsPolicy
from outgate.directory import accounts, nodes, organisation, reply_rules, restrictions, users
from outgate.directory.cache import DirectoryCache
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.reader import DirectoryReader
from outgate.model import Cause, QueueKey, QueueKind, Restriction, Security, TlsDemand
from outgate.operations import propagation
from outgate.queue import Claimed, Finish, Put, Queue, Room
from outgate.queue.changes import Claim, GiveBack
from outgate.queue.queue_id import QueueIds, to_text
from outgate.record import message_log
from outgate.record.events import MessageEvent
from outgate.route import Route, RouteKind
from outgate.store.batch import Change, apply
from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.group_commit import Answer as Committed
from outgate.store.group_commit import GroupCommit
from outgate.store.rates import Rates
from outgate.store.tables import message, node, recipient
from outgate.store.vault import Vault
from outgate.submit import originate

OK = Outcome(Verdict.DELIVERED, "250 2.0.0 Ok")
LATER = Outcome(Verdict.RETRY, "451 4.3.0 Later")
NO = Outcome(Verdict.FAILED, "550 5.7.1 No")
CAROL, DAVE = "carol@recipient.example", "dave@elsewhere.example"
POSTMASTER = "postmaster@example.com"
NOW = 1_700_000_000.0

Answer = Callable[[Delivery], Awaitable[AttemptResult]]


@dataclass
class Down:
    """Nothing connects, each time for a reason of its own."""

    tries: int = 0

    def __call__(self) -> Outcome:
        self.tries += 1
        return Outcome(Verdict.RETRY, f"4.4.1 down ({self.tries})")


class Wire:
    """All transports of a test: `answer` says what becomes of a delivery, `connects` whether there is a connection."""

    def __init__(self) -> None:
        self.carried: list[Delivery] = []
        self.connects: Outcome | None = None
        self.connects_by: Callable[[], Outcome] | None = None  # asked anew each time
        self.answer: Answer = self.deliver
        self.recall: Callable[[], bool] = lambda: False

    def transport(self, route: Route, _tls: TlsPolicy, _demand: TlsDemand) -> "Line":
        return Line(self, route)

    async def deliver(self, delivery: Delivery) -> AttemptResult:
        return all_alike(delivery, OK, "peer.example")

    def addresses(self) -> Counter[str]:
        return Counter(one.address for delivery in self.carried for one in delivery.recipients)


class Line:
    def __init__(self, wire: Wire, route: Route) -> None:
        self.wire, self.route = wire, route

    def resume(self) -> bool:
        return False

    async def connect(self) -> Outcome | None:
        await asyncio.sleep(0)
        return self.wire.connects_by() if self.wire.connects_by else self.wire.connects

    async def carry(self, delivery: Delivery) -> AttemptResult:
        self.wire.carried.append(delivery)
        return await self.wire.answer(delivery)

    def recall(self) -> bool:
        return self.wire.recall()

    def close(self) -> None:
        """Nothing is open."""


class House:
    """A process that delivers."""

    def __init__(
        self,
        engine: Engine,
        wire: Wire,
        settings: DeliverySettings,
        owner: str = "node#0;",
        commits: GroupCommit | None = None,
        hears: Callable[[Sequence[MessageEvent]], None] = lambda _: None,
    ) -> None:
        self.engine, self.wire, self.ids = engine, wire, QueueIds()
        self.commits = commits or GroupCommit(engine)
        self.queue = Queue(engine, self.commits, owner, settings.lease, committed=hears)
        self.directory = DirectoryReader(DirectoryCache(engine))
        self.deliverer = Deliverer(
            self.queue,
            self.commits,
            self.directory,
            settings,
            "mail.example.com",
            wire.transport,
            self.ids,
            Restraint(
                engine,
                self.directory,
                reply_rules.shipped(),
                SuspensionNotices(engine, self.directory, self.ids, "mail.example.com", lambda _queue: None),
            ),
            Ceilings(Rates(engine)),
        )

    def letter(self, *to: str, sender: str = POSTMASTER) -> Put:
        """A letter of the organisation's own; what is tested here is the same for all."""
        raw = b"From: postmaster@example.com\r\nSubject: Test\r\n\r\nHello\r\n"
        with read(self.engine) as connection:
            routed_by = accounts.load_organisation(connection)
        return originate(self.ids.new(clock.now()), raw, sender, to, routed_by, clock.now())

    def waits(self) -> int:
        with read(self.engine) as connection:
            return connection.scalar(select(func.count()).select_from(recipient)) or 0

    def leased(self) -> int:
        with read(self.engine) as connection:
            return connection.scalar(select(func.count(recipient.c.leased_by))) or 0

    def kinds(self, put: Put) -> list[str]:
        with read(self.engine) as connection:
            return [one.kind.value for one in message_log.history(connection, put.message.id)]

    def leased_until(self) -> float:
        with read(self.engine) as connection:
            return connection.scalar(select(func.max(recipient.c.leased_until))) or 0.0

    async def close(self) -> None:
        await self.deliverer.stop()
        await self.commits.close()
        self.queue.close()
        self.directory.close()


class Disk:
    """One process's, which may stall: then its commits hang, while what is read comes at once."""

    def __init__(self, commits: GroupCommit) -> None:
        self._commits, self._goes, round_ = commits, threading.Event(), commits._round
        self._goes.set()

        def held() -> list[Committed]:
            self._goes.wait()
            return round_()

        commits._round = held  # type: ignore[method-assign]  # as a database that does not answer

    async def stall(self) -> None:
        await until(lambda: not self._commits._working)  # else what is asked for next may be taken with those
        self._goes.clear()

    def go_on(self) -> None:
        self._goes.set()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest_asyncio.fixture
async def house(example: Engine, wire: Wire) -> AsyncIterator[House]:
    made = House(example, wire, DeliverySettings(retry_first=0.001, retry_factor=1, stop_timeout=5.0))
    made.deliverer.start()
    yield made
    await made.close()


@pytest.fixture
def disk(house: House) -> Iterator[Disk]:
    made = Disk(house.commits)
    yield made
    made.go_on()


async def test_what_is_put_is_carried_in_memory_and_is_gone(house: House, wire: Wire) -> None:
    put = house.letter(CAROL, DAVE)
    await house.queue.put(put)
    await until(lambda: not house.waits())
    assert wire.addresses() == {CAROL: 1, DAVE: 1}
    assert Counter(house.kinds(put)) == {"accepted": 1, "routed": 2, "attempt": 2, "delivered": 2}


async def test_what_waits_on_disk_is_claimed(house: House, wire: Wire) -> None:
    house.queue.hand_over_to(None)
    await house.queue.put(house.letter(CAROL))
    await until(lambda: not house.waits())
    assert wire.addresses() == {CAROL: 1}


async def test_what_may_not_leave_yet_is_put_back_whoever_has_made_it_due(house: House, wire: Wire) -> None:
    put = house.letter(CAROL)
    put.message = replace(put.message, not_before=clock.now() + 3600)
    await house.queue.put(put)
    await until(lambda: "deferred" in house.kinds(put))
    assert (wire.carried, house.waits(), house.leased()) == ([], 1, 0)
    with read(house.engine) as connection:
        due_at, attempts = connection.execute(select(recipient.c.due_at, recipient.c.attempts)).one()
    assert (due_at, attempts) == (put.message.not_before, 0)


async def test_a_recipient_due_again_beside_another_in_transfer_keeps_its_lease(house: House, wire: Wire) -> None:
    """One recipient is deferred and due at once, the other's transaction is still open."""
    release, tries = asyncio.Event(), Counter[str]()

    async def answer(delivery: Delivery) -> AttemptResult:
        (one,) = delivery.recipients
        tries[one.address] += 1
        if one.address == CAROL:
            await release.wait()
            return all_alike(delivery, OK)
        return all_alike(delivery, LATER if tries[DAVE] < 3 else OK)

    wire.answer = answer
    await house.queue.put(house.letter(CAROL, DAVE))
    await until(lambda: tries[DAVE] == 3 and house.waits() == 1)
    assert house.leased() == 1
    release.set()
    await until(lambda: not house.waits())
    assert tries == {CAROL: 1, DAVE: 3}


async def test_when_nobody_can_be_reached_each_has_its_own_outcome(house: House, wire: Wire) -> None:
    wire.connects = LATER
    letters = [house.letter(CAROL) for _ in range(20)]
    for put in letters:
        await house.queue.put(put)
    await until(lambda: all("deferred" in house.kinds(put) for put in letters))
    assert not wire.carried
    wire.connects = None
    await until(lambda: not house.waits())
    assert wire.addresses() == {CAROL: 20}


async def test_a_way_that_no_longer_holds_when_nobody_is_reached_is_not_bounced(
    house: House, wire: Wire, vault: Vault
) -> None:
    """The exchangers refuse for good; by now the organisation has an outbound gateway."""
    asked = asyncio.Event()

    class Exchanger(Line):
        async def connect(self) -> Outcome | None:
            if self.route.gateway:
                return None
            asked.set()
            await changed.wait()
            return NO

    changed = asyncio.Event()
    house.deliverer._new_transport = lambda route, _tls, _demand: Exchanger(wire, route)
    put = house.letter(CAROL)
    await house.queue.put(put)
    await asked.wait()
    await asyncio.to_thread(_set_gateway, house.engine, vault)
    changed.set()
    await until(lambda: not house.waits())
    assert "bounced" not in house.kinds(put)
    assert [delivery.route.kind.value for delivery in wire.carried] == ["domain-gateway"]


async def test_a_fault_of_a_transport_is_an_outcome(house: House, wire: Wire) -> None:
    faults: list[Exception] = [ZeroDivisionError(), StoreUnavailable("away")]

    async def answer(delivery: Delivery) -> AttemptResult:
        if faults:
            raise faults.pop()
        return all_alike(delivery, OK)

    wire.answer = answer
    put = house.letter(CAROL)
    await house.queue.put(put)
    await until(lambda: not house.waits())
    assert house.kinds(put).count("deferred") == 2


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outgate.deliver.deliverer.POLL", 0.02)


def _counted(work: str) -> float:
    return REGISTRY.get_sample_value("outgate_wedged_total", {"work": work}) or 0.0


@pytest.mark.usefixtures("quick")
async def test_a_delivery_that_nothing_would_ever_end_is_ended_told_and_tried_again(house: House, wire: Wire) -> None:
    before, hang = _counted("delivery"), asyncio.Event()

    async def answer(delivery: Delivery) -> AttemptResult:
        if len(wire.carried) == 1:
            await hang.wait()
        return all_alike(delivery, OK)

    wire.answer = answer
    put = house.letter(CAROL)
    await house.queue.put(put)
    await until(lambda: wire.carried)
    now = monotonic
    house.deliverer.watchdog.look(now() + 30 + 600 + 3600)
    assert house.waits() == 1
    with structlog.testing.capture_logs() as log:
        house.deliverer.watchdog.look(now() + 30 + 600 + 3600 + 301)
    (told,) = [one for one in log if one["event"].startswith("no step") and one["work"] == "delivery"]
    assert told["what"] == f"{to_text(put.message.id)} to mx:recipient.example"
    assert Path(__file__).name in told["at"]
    await until(lambda: not house.waits())
    assert [len(wire.carried), _counted("delivery") - before] == [2, 1]
    with read(house.engine) as connection:
        replies = [str(one.detail) for one in message_log.history(connection, put.message.id)]
    assert any("4.4.7 no step" in one for one in replies)


@pytest.mark.usefixtures("quick")
async def test_a_connection_that_is_never_made_is_ended_told_and_tried_again(house: House, wire: Wire) -> None:
    before, asked = _counted("connection"), list[int]()

    class Stuck(Line):
        async def connect(self) -> Outcome | None:
            asked.append(1)
            if len(asked) == 1:
                await asyncio.Event().wait()
            return None

    house.deliverer._new_transport = lambda route, _tls, _demand: Stuck(wire, route)
    await house.queue.put(house.letter(CAROL))
    await until(lambda: asked)
    house.deliverer.watchdog.look(monotonic() + 5000)
    await until(lambda: not house.waits())
    assert [wire.addresses(), _counted("connection") - before] == [{CAROL: 1}, 1]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("outcome", "carried", "kinds"),
    [
        (OK, {CAROL: 1}, {"attempt": 1, "delivered": 1}),
        (NO, {CAROL: 1, POSTMASTER: 1}, {"attempt": 1, "bounced": 1}),
        (LATER, {CAROL: 2}, {"attempt": 2, "deferred": 1, "delivered": 1}),
    ],
)
async def test_an_outcome_whose_commit_hangs_is_told_of_and_recorded_once_with_one_report(
    house: House,
    wire: Wire,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Outcome,
    carried: dict[str, int],
    kinds: dict[str, int],
) -> None:
    finish, before, asked = house.queue.finish, _counted("record"), list[Finish]()

    async def stalls(one: Finish) -> None:
        if not asked:
            await disk.stall()
        asked.append(one)
        await finish(one)

    async def answer(delivery: Delivery) -> AttemptResult:
        return all_alike(delivery, OK if len(wire.carried) > 1 else outcome)

    wire.answer = answer
    monkeypatch.setattr(house.queue, "finish", stalls)
    monkeypatch.setattr("outgate.deliver.deliverer.POLL", 0.0)
    put = house.letter(CAROL)
    await house.queue.put(put)
    await until(lambda: asked)
    now = monotonic()
    for ahead in (601, 1202):
        house.deliverer.watchdog.look(now + ahead)
        for _ in range(20):  # time enough for who would read that nothing is recorded, and record it once more
            assert (await asyncio.to_thread(house.waits), len(asked)) == (1, 1)
    disk.go_on()
    await until(lambda: not house.waits())
    assert wire.addresses() == carried
    assert {kind: times for kind, times in Counter(house.kinds(put)).items() if kind in kinds} == kinds
    assert _counted("record") - before == 2


@pytest.mark.usefixtures("quick")
async def test_a_loop_that_makes_no_step_is_begun_again_and_the_node_says_so(
    house: House, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    due_queues, stuck = house.queue.due_queues, asyncio.Event()

    async def hangs(_now: float) -> Sequence[QueueKey]:
        stuck.set()
        return await asyncio.Event().wait()  # type: ignore[return-value]  # it never comes

    monkeypatch.setattr(house.queue, "due_queues", hangs)
    await stuck.wait()
    monkeypatch.setattr(house.queue, "due_queues", due_queues)
    monkeypatch.setattr("outgate.deliver.heartbeat.HEARTBEAT", 0.0)
    house.queue.hand_over_to(None)
    await house.queue.put(house.letter(CAROL))
    house.deliverer.watchdog.look(monotonic() + 601)
    await until(lambda: not house.waits())
    assert wire.addresses() == {CAROL: 1}

    def told() -> int:
        with read(house.engine) as connection:
            return connection.scalar(select(node.c.wedged)) or 0

    await until(lambda: told() >= 1)


@pytest.mark.parametrize("lease", [1200.0, 90.0])
async def test_a_loop_that_is_begun_again_renews_at_once_and_before_any_lease_has_run_out(
    example: Engine, wire: Wire, monkeypatch: pytest.MonkeyPatch, lease: float
) -> None:
    """The last renewal was a third of the lease ago when it made its last step, at the most."""
    house, stuck = House(example, wire, DeliverySettings(lease=lease, stop_timeout=0.05)), asyncio.Event()

    async def hangs(_now: float) -> Sequence[QueueKey]:
        stuck.set()
        return await asyncio.Event().wait()  # type: ignore[return-value]  # it never comes

    async def never(_delivery: Delivery) -> AttemptResult:
        return await asyncio.Event().wait()  # type: ignore[return-value]  # it never comes

    wire.answer = never
    monkeypatch.setattr(house.queue, "due_queues", hangs)
    house.deliverer.start()
    await house.queue.put(house.letter(CAROL))
    await until(lambda: wire.carried and stuck.is_set())
    await asyncio.to_thread(_let_leases_run_out, house.engine)
    house.deliverer.watchdog.look(monotonic() + lease / 3 + 1)
    await until(house.leased_until)
    await house.close()


def _let_leases_run_out(engine: Engine) -> None:
    with write(engine) as connection:
        connection.execute(update(recipient).values(leased_until=0.0))


@pytest.mark.usefixtures("quick")
async def test_what_a_claim_has_leased_whose_loop_was_ended_is_delivered_soon(
    house: House, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, lost = house.queue.claim, list[Claimed]()

    async def leases_and_hangs(now: float, room: Room, queues: Sequence[QueueKey]) -> Claimed:
        claimed = await claim(now, room, queues)
        if claimed.items and not lost:
            lost.append(claimed)
            await asyncio.Event().wait()
        return claimed

    monkeypatch.setattr(house.queue, "claim", leases_and_hangs)
    house.queue.hand_over_to(None)
    await house.queue.put(house.letter(CAROL))
    await until(lambda: lost)
    house.deliverer.watchdog.look(monotonic() + 401)
    await until(lambda: not house.waits())
    assert wire.addresses() == {CAROL: 1}


@pytest.mark.usefixtures("quick")
async def test_what_a_claim_leases_after_its_loop_was_ended_is_delivered_soon(
    house: House, wire: Wire, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, asked = house.queue.claim, list[float]()

    async def stalls(now: float, room: Room, queues: Sequence[QueueKey]) -> Claimed:
        if not asked:
            await disk.stall()
        asked.append(now)
        return await claim(now, room, queues)

    def pending() -> int:
        return sum(isinstance(one.change, Claim | GiveBack) for one in house.commits._pending)

    monkeypatch.setattr(house.queue, "claim", stalls)
    await asyncio.to_thread(_store, house.engine, replace(house.letter(CAROL), due_at=0.0))
    await until(lambda: asked and pending())  # the claim itself, not what was looked for before it
    house.deliverer.watchdog.look(monotonic() + 401)
    await until(lambda: pending() > 1)
    disk.go_on()
    await until(lambda: not house.waits())
    assert wire.addresses() == {CAROL: 1}


@pytest.mark.usefixtures("quick")
async def test_a_drained_node_finishes_what_it_has_and_takes_nothing_new(house: House, wire: Wire) -> None:
    release, told = asyncio.Event(), list[bool]()

    async def answer(delivery: Delivery) -> AttemptResult:
        await release.wait()
        return all_alike(delivery, OK)

    def write_down(change: Callable[[Connection], object]) -> None:
        with write(house.engine) as connection:
            change(connection)

    wire.answer = answer
    house.deliverer.tell_drained(told.append)
    await house.queue.put(house.letter(CAROL))
    await until(lambda: wire.carried)
    await asyncio.to_thread(write_down, lambda connection: nodes.drain(connection, "node#0;", "admin", NOW))
    await until(lambda: told[-1:] == [True])
    await house.queue.put(house.letter(DAVE))
    release.set()
    await until(lambda: not len(house.deliverer._inflight))
    await house.deliverer._claim()
    assert [wire.addresses(), house.waits(), house.leased()] == [{CAROL: 1}, 1, 0]
    await asyncio.to_thread(write_down, lambda connection: nodes.resume(connection, "node#0;"))
    await until(lambda: not house.waits())
    changes = [one for one, _ in groupby(dropwhile(lambda one: not one, told))]
    assert [changes, wire.addresses()] == [[True, False], {CAROL: 1, DAVE: 1}]


async def test_a_report_that_can_not_be_made_does_not_keep_the_outcome_from_the_record(
    house: House, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_options: object) -> Put:
        raise ValueError("no report today")

    async def answer(delivery: Delivery) -> AttemptResult:
        return all_alike(delivery, NO)

    wire.answer = answer
    monkeypatch.setattr("outgate.deliver.reporter.delivery_report", broken)
    put = house.letter(CAROL)
    await house.queue.put(put)
    await until(lambda: not house.waits())
    assert "bounced" in house.kinds(put)
    assert len(wire.carried) == 1


async def test_events_that_can_not_be_stored_do_not_keep_the_outcome_from_the_record(house: House, wire: Wire) -> None:
    put = house.letter(CAROL)
    await asyncio.to_thread(_rename, house.engine, "fact", "elsewhere")
    await asyncio.to_thread(_store, house.engine, replace(put, events=()))
    await until(lambda: not house.waits())
    await asyncio.to_thread(_rename, house.engine, "elsewhere", "fact")
    assert wire.addresses() == {CAROL: 1}
    with read(house.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(message)) == 0


def _rename(engine: Engine, old: str, new: str) -> None:
    with write(engine) as connection:
        connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


def _store(engine: Engine, put: Put) -> None:
    with write(engine) as connection:
        apply(connection, [put])


def _set_gateway(engine: Engine, vault: Vault) -> None:
    with write(engine) as connection:
        organisation.set_domain_gateway(connection, vault, GatewaySettings("relay.example", 25, Security.NONE))


async def test_while_the_directory_is_away_nothing_is_forgotten(house: House, wire: Wire) -> None:
    reading, failures = house.directory.reading, [StoreUnavailable("away")] * 3

    async def sometimes(account_id: int | None) -> object:
        if failures:
            raise failures.pop()
        return await reading(account_id)

    house.directory.reading = sometimes  # type: ignore[method-assign,assignment]  # a store that is away for a while
    await house.queue.put(house.letter(CAROL))
    await until(lambda: not house.waits())
    assert wire.addresses() == {CAROL: 1}


async def test_what_was_leased_while_its_answer_was_lost_is_delivered_soon(house: House, wire: Wire) -> None:
    claim, lost = house.queue.claim, list[object]()

    async def losing(now: float, room: Room, queues: Sequence[QueueKey]) -> Claimed:
        claimed = await claim(now, room, queues)
        if claimed.items and not lost:
            lost.append(claimed)
            raise StoreUnavailable("the answer was lost")
        return claimed

    house.queue.claim = losing  # type: ignore[method-assign]
    house.queue.hand_over_to(None)
    await house.queue.put(house.letter(CAROL))
    await until(lambda: not house.waits())
    assert lost
    assert wire.addresses() == {CAROL: 1}


async def test_an_outcome_whose_answer_was_lost_is_not_recorded_twice(house: House, wire: Wire) -> None:
    finish, lost = house.queue.finish, list[object]()

    async def losing(outcome: object) -> None:
        await finish(outcome)  # type: ignore[arg-type]  # passed on
        if not lost:
            lost.append(outcome)
            raise StoreUnavailable("the answer was lost")

    house.queue.finish = losing  # type: ignore[method-assign,assignment]
    put = house.letter(CAROL)
    await house.queue.put(put)
    await until(lambda: lost and not house.waits() and not house.deliverer._inflight.message_ids())
    assert house.kinds(put).count("delivered") == 1


async def test_an_orderly_stop_lets_what_is_being_handed_over_end_and_gives_the_rest_back(
    example: Engine, wire: Wire
) -> None:
    settings = DeliverySettings(connections_per_queue=1, stop_timeout=10.0)
    house, release = House(example, wire, settings), asyncio.Event()

    async def answer(delivery: Delivery) -> AttemptResult:
        await release.wait()
        return all_alike(delivery, OK)

    wire.answer = answer
    house.deliverer.start()
    for _ in range(3):
        await house.queue.put(house.letter(CAROL))
    await until(lambda: len(wire.carried) == 1)
    stopping = asyncio.ensure_future(house.deliverer.stop())
    await asyncio.sleep(0)
    release.set()
    await stopping
    assert (len(wire.carried), house.waits(), house.leased()) == (1, 2, 0)
    await house.close()


async def test_a_stop_does_not_wait_for_ever(example: Engine, wire: Wire) -> None:
    house = House(example, wire, DeliverySettings(stop_timeout=0.05))

    async def never(_delivery: Delivery) -> AttemptResult:
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    wire.answer = never
    house.deliverer.start()
    await house.queue.put(house.letter(CAROL))
    await until(lambda: wire.carried)
    async with asyncio.timeout(20):
        await house.close()
    assert (house.waits(), house.leased()) == (1, 0)


async def test_a_loop_that_fails_is_begun_again(house: House, wire: Wire) -> None:
    claim, failures = house.queue.claim, [ZeroDivisionError()] * 2

    async def failing(now: float, room: Room, queues: Sequence[QueueKey]) -> Claimed:
        if failures:
            raise failures.pop()
        return await claim(now, room, queues)

    house.queue.claim = failing  # type: ignore[method-assign]
    house.queue.hand_over_to(None)
    await house.queue.put(house.letter(CAROL))
    await until(lambda: not house.waits())
    assert not failures


async def test_a_look_at_much_that_is_due_has_an_end_and_the_next_begins_at_once(
    house: House, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two looks leases are renewed when it is time, and it is seen whether the node is drained."""
    passed, done = [0.0], list[str]()
    due_queues, claim = house.queue.due_queues, house.queue.claim

    async def looks(now: float) -> Sequence[QueueKey]:
        done.append("looked")
        return await due_queues(now)

    async def claims(now: float, room: Room, queues: Sequence[QueueKey]) -> Claimed:
        done.append("claimed")
        passed[0] += 0.4  # as by a slow disk
        return await claim(now, room, queues)

    house.queue.hand_over_to(None)
    for _ in range(300):
        await house.queue.put(house.letter(CAROL))
    monkeypatch.setattr("outgate.deliver.deliverer.monotonic", lambda: passed[0])
    monkeypatch.setattr(house.queue, "due_queues", looks)
    monkeypatch.setattr(house.queue, "claim", claims)
    await until(lambda: not house.waits())
    assert wire.addresses() == {CAROL: 300}
    steps = [len([*group]) for is_claim, group in groupby(done, lambda one: one == "claimed") if is_claim]
    assert max(steps) <= 3, "none begins when a second has passed"
    assert len(steps) > 1


async def test_one_slow_destination_holds_up_nobody(example: Engine, wire: Wire) -> None:
    house = House(example, wire, DeliverySettings(in_memory=50, stop_timeout=0.05))
    slow = "slow@slow.example"

    async def answer(delivery: Delivery) -> AttemptResult:
        if delivery.recipients[0].address == slow:
            await asyncio.Event().wait()
        return all_alike(delivery, OK)

    wire.answer = answer
    house.deliverer.start()
    for _ in range(60):
        await house.queue.put(house.letter(slow))
    for _ in range(20):
        await house.queue.put(house.letter(CAROL))
    await until(lambda: wire.addresses()[CAROL] == 20)
    await until(lambda: house.waits() == 60)
    await house.close()


# --- a change of policy while something is under way ----------------------------------------------------------------


async def _change(house: House, vault: Vault) -> int:
    await asyncio.to_thread(_set_gateway, house.engine, vault)
    return await house.directory.version()


def _goes_by(house: House) -> int | None:
    with read(house.engine) as connection:
        return connection.scalar(select(node.c.version))


async def test_what_has_not_left_whole_is_broken_off_and_goes_by_the_new_way_at_once(
    house: House, wire: Wire, vault: Vault
) -> None:
    async def answer(delivery: Delivery) -> AttemptResult:
        if delivery.route.gateway:
            return all_alike(delivery, OK)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task
            task.uncancel()
        return all_alike(delivery, RECALLED)

    wire.answer, wire.recall = answer, lambda: True
    put = house.letter(CAROL)
    await house.queue.put(put)
    await until(lambda: wire.carried)
    version = await _change(house, vault)
    await until(lambda: not house.waits())
    assert [delivery.route.kind.value for delivery in wire.carried] == ["direct", "domain-gateway"]
    assert "deferred" not in house.kinds(put)
    await until(lambda: _goes_by(house) == version)


async def test_who_had_it_or_was_refused_before_it_was_broken_off_keeps_that_outcome(
    house: House, wire: Wire, vault: Vault
) -> None:
    erin, frank = "erin@recipient.example", "frank@recipient.example"

    async def answer(delivery: Delivery) -> AttemptResult:
        if delivery.route.kind is not RouteKind.DIRECT:
            return all_alike(delivery, OK)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return AttemptResult([OK, NO, RECALLED])

    wire.answer, wire.recall = answer, lambda: True
    put = house.letter(CAROL, erin, frank)
    await house.queue.put(put)
    await until(lambda: wire.carried)
    await _change(house, vault)
    await until(lambda: not house.waits())
    by_gateway = [one.address for delivery in wire.carried if delivery.route.gateway for one in delivery.recipients]
    assert by_gateway == [frank]
    assert Counter(house.kinds(put))["bounced"] == 1


async def test_what_can_not_be_called_back_is_told_until_it_ends(house: House, wire: Wire, vault: Vault) -> None:
    release = asyncio.Event()

    async def answer(delivery: Delivery) -> AttemptResult:
        await release.wait()
        return all_alike(delivery, OK)

    wire.answer = answer
    put = house.letter(CAROL)
    await house.queue.put(put)
    await until(lambda: wire.carried)
    version = await _change(house, vault)
    behind = await asyncio.to_thread(propagation.wait, house.engine, 0.2)
    assert behind is not None
    assert behind.nodes == ["node#0;"]
    assert behind.recipients == [f"{to_text(put.message.id)} to {CAROL} by mx:recipient.example"]
    release.set()
    await until(lambda: _goes_by(house) == version)
    assert [delivery.route.kind.value for delivery in wire.carried] == ["direct"]


async def test_a_change_that_leaves_the_way_as_it_is_breaks_nothing_off_and_waits_for_nothing(
    house: House, wire: Wire
) -> None:
    release = asyncio.Event()

    async def answer(delivery: Delivery) -> AttemptResult:
        await release.wait()
        return all_alike(delivery, OK)

    def never() -> bool:
        raise AssertionError("nothing is to be called back")

    wire.answer, wire.recall = answer, never
    await house.queue.put(house.letter(CAROL))
    await until(lambda: wire.carried)
    await asyncio.to_thread(_add_user, house.engine)
    assert await asyncio.to_thread(propagation.wait, house.engine, 20.0) is None
    release.set()
    await until(lambda: not house.waits())
    assert len(wire.carried) == 1


def _add_user(engine: Engine) -> None:
    with write(engine) as connection:
        users.create(connection, "carol@example.com", None, 0.0, name="Carol")


# --- an answer that is lost ------------------------------------------------------------------------------------------


class LosingCommits(GroupCommit):
    """The answers to outcomes are lost, though they are committed; `away` says that the store can't be asked then."""

    async def make(self, change: Change[Any]) -> Any:  # type: ignore[override]
        made = await super().make(change)
        if isinstance(change, Finish):
            raise StoreUnavailable("the answer was lost")
        return made


async def test_an_outcome_whose_answer_was_lost_is_told_once(example: Engine, wire: Wire) -> None:
    heard: list[MessageEvent] = []
    house = House(example, wire, DeliverySettings(stop_timeout=5.0), commits=LosingCommits(example), hears=heard.extend)
    house.deliverer.start()
    put = house.letter(CAROL)
    await house.queue.put(put)
    await until(lambda: "delivered" in [one.kind for one in heard])
    await house.close()
    assert Counter(one.kind.value for one in heard) == Counter(house.kinds(put))
    assert wire.addresses() == {CAROL: 1}


async def test_a_store_that_can_not_say_is_asked_again_so_that_nothing_is_told_twice(
    example: Engine, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told anew without asking, a bounce would have two reports."""
    asked = 0
    heard: list[MessageEvent] = []
    house = House(example, wire, DeliverySettings(stop_timeout=5.0), commits=LosingCommits(example), hears=heard.extend)
    was_finished = house.queue.was_finished

    async def away_at_first(finish: Finish) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreUnavailable("away")
        return await was_finished(finish)

    monkeypatch.setattr(house.queue, "was_finished", away_at_first)
    house.deliverer.start()

    async def refuse(delivery: Delivery) -> AttemptResult:
        return all_alike(delivery, NO if delivery.recipients[0].address == CAROL else OK)

    wire.answer = refuse
    put = house.letter(CAROL)
    await house.queue.put(put)
    await until(lambda: "bounced" in [one.kind for one in heard])
    await house.close()
    assert asked > 1
    assert Counter(house.kinds(put)) == {"accepted": 1, "routed": 1, "attempt": 1, "bounced": 1}


async def test_what_is_claimed_again_before_its_lost_answer_is_found_out_is_delivered_soon(
    house: House, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim's own answer is passed over then, since an outcome of that very recipient is being recorded."""
    finish, was_finished, due_queues = house.queue.finish, house.queue.was_finished, house.queue.due_queues
    lost, is_found = list[Finish](), False

    async def due_late(now: float) -> Sequence[QueueKey]:
        return await due_queues(now) if is_found or not lost else ()

    async def losing(outcome: Finish) -> None:
        lost.append(outcome)
        await finish(outcome)
        if len(lost) == 1:
            raise StoreUnavailable("the answer was lost")

    async def found_out_late(outcome: Finish) -> bool:
        nonlocal is_found
        is_found = await was_finished(outcome)
        await until(house.leased)
        return is_found

    async def answer(delivery: Delivery) -> AttemptResult:
        return all_alike(delivery, OK if lost else LATER)

    monkeypatch.setattr(house.queue, "due_queues", due_late)
    monkeypatch.setattr(house.queue, "finish", losing)
    monkeypatch.setattr(house.queue, "was_finished", found_out_late)
    monkeypatch.setattr("outgate.deliver.deliverer.POLL", 0.02)
    wire.answer = answer
    house.queue.hand_over_to(None)
    await house.queue.put(house.letter(CAROL))
    await until(lambda: not house.waits())
    assert len(wire.carried) == 2


async def test_a_destination_that_is_down_is_not_tried_by_each_message_and_all_goes_when_it_is_back(
    engine: Engine, wire: Wire
) -> None:
    settings = DeliverySettings(retry_first=1.0, retry_factor=1, stop_timeout=5.0)
    house = House(engine, wire, settings)
    wire.connects_by = down = Down()
    house.deliverer.start()
    try:
        for number in range(4):
            await house.queue.put(house.letter(CAROL))
            before = number
            await until(lambda: down.tries > min(before, 2))  # noqa: B023  # awaited within the round
        await asyncio.gather(*(house.queue.put(house.letter(CAROL)) for _ in range(30)))
        await until(lambda: house.leased() == 0)
        assert down.tries < 15, "34 messages"
        wire.connects_by = None
        await until(lambda: house.waits() == 0)
        assert len(wire.carried) == 34
    finally:
        await house.close()


async def test_what_a_rule_reads_holds_for_the_whole_queue(engine: Engine, wire: Wire) -> None:
    with write(engine) as connection:
        organisation.create(connection, "example.com", 0.0)
    house = House(engine, wire, DeliverySettings(stop_timeout=5.0))
    busy = Outcome(Verdict.RETRY, "451 4.7.500 Server busy", peer="x.protection.outlook.com[192.0.2.1]:25")

    async def answer(delivery: Delivery) -> AttemptResult:
        return all_alike(delivery, busy, busy.peer)

    wire.answer = answer
    house.deliverer.start()
    try:
        await house.queue.put(house.letter(CAROL))
        await until(lambda: restricted(engine))
        (one,) = restricted(engine)
        assert (one.cause, one.rates, one.suspends) == (Cause.RULE, ("120/1hour",), False)
        assert one.until
        assert "microsoft-throttled-server: 451 4.7.500 Server busy" in one.reason
    finally:
        await house.close()


RELAY = QueueKey(QueueKind.DOMAIN_GATEWAY)
REFUSED = "4.7.8 relay.example[192.0.2.1]:587: log-in refused: 535 5.7.8 Wrong password"


def _restrict(engine: Engine, queue: QueueKey, wanted: Restriction) -> None:
    with write(engine) as connection:
        restrictions.put(connection, queue, wanted)


def _logs_in(engine: Engine, vault: Vault, password: str) -> None:
    settings = GatewaySettings("relay.example", 587, Security.STARTTLS, "organisation", password)
    with write(engine) as connection:
        organisation.set_domain_gateway(connection, vault, settings)


async def test_at_the_end_of_a_suspension_one_log_in_is_tried(example: Engine, wire: Wire, vault: Vault) -> None:
    _logs_in(example, vault, "secret")
    _restrict(example, RELAY, Restriction(Cause.LOG_IN, "535", "outgate", 0.0, 1.0, credential_version=1))
    house = House(example, wire, DeliverySettings(stop_timeout=5.0))
    tries = 0

    def connects() -> Outcome:
        nonlocal tries
        tries += 1
        return Outcome(Verdict.RETRY, REFUSED)

    wire.connects_by = connects
    puts = [house.letter(CAROL) for _ in range(8)]
    for put in puts:
        await house.queue.put(put)
    house.deliverer.start()
    try:
        await until(lambda: all("deferred" in house.kinds(put) for put in puts))
        assert tries == 1
    finally:
        await house.close()


async def test_a_gateway_that_was_corrected_is_tried_at_once(example: Engine, wire: Wire, vault: Vault) -> None:
    """Its breaker is open: what waits leaves with the first message that is sent by what it is now."""
    _logs_in(example, vault, "secret")
    house = House(example, wire, DeliverySettings(stop_timeout=5.0))
    wire.connects_by = down = Down()
    house.deliverer.start()
    try:
        for number in range(5):
            await house.queue.put(put := house.letter(CAROL))
            await until(lambda: "deferred" in house.kinds(put))  # awaited within the round
            assert down.tries == min(number + 1, 3)
        wire.connects_by = None
        await asyncio.to_thread(_logs_in, example, vault, "other-secret")
        await house.queue.put(house.letter(CAROL))
        await until(lambda: house.waits() == 0)
        assert len(wire.carried) == 6
    finally:
        await house.close()


async def test_a_suspension_that_is_resumed_while_a_message_is_put_off_holds_it_no_longer(
    house: House, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = next(one.queue for one in house.letter(CAROL).recipients)
    await asyncio.to_thread(_restrict, house.engine, queue, Restriction(Cause.OPERATOR, "a pause", "console", 0.0))
    finish, resumed = house.queue.finish, False

    def resume() -> None:
        with write(house.engine) as connection:
            restrictions.end(connection, queue, (Cause.OPERATOR,))

    async def finish_late(one: Finish) -> None:
        nonlocal resumed
        if not resumed:
            resumed = True
            await asyncio.to_thread(resume)
        await finish(one)

    monkeypatch.setattr(house.queue, "finish", finish_late)
    await house.queue.put(house.letter(CAROL))
    await until(lambda: house.waits() == 0)
    assert wire.addresses() == {CAROL: 1}


async def test_what_was_delivered_is_recorded_before_anything_is_said_of_its_queue(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = next(one.queue for one in house.letter(CAROL).recipients)
    await asyncio.to_thread(_restrict, house.engine, queue, Restriction(Cause.RULE, "over", "outgate", 0.0, 1.0))
    seen: list[int] = []
    end_lapsed = restrictions.end_lapsed

    def noted(*arguments: Any) -> None:
        seen.append(house.waits())
        end_lapsed(*arguments)

    monkeypatch.setattr(restrictions, "end_lapsed", noted)
    await house.queue.put(house.letter(CAROL))
    await until(lambda: restricted(house.engine) == [])
    assert seen == [0]


async def test_a_process_without_a_share_asks_again_later_and_says_so_once(
    house: House, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = next(one.queue for one in house.letter(CAROL).recipients)
    await asyncio.to_thread(
        _restrict, house.engine, queue, Restriction(Cause.LIMIT, "few", "console", 0.0, connections=1)
    )
    monkeypatch.setattr("outgate.deliver.deliverer.connections", lambda *_: 0)
    put, before = house.letter(CAROL), clock.now()
    await house.queue.put(put)
    for _ in range(3):
        await until(lambda: _due_in(house) > clock.now())
        assert _due_in(house) >= before + 15
        await house.queue.hasten(queue, clock.now())
        await until(lambda: house.leased() == 0)
    assert Counter(house.kinds(put))["deferred"] == 1
    assert wire.carried == []


def _due_in(house: House) -> float:
    with read(house.engine) as connection:
        return connection.scalar(select(recipient.c.due_at)) or 0.0


def restricted(engine: Engine) -> list[Restriction]:
    with read(engine) as connection:
        return [one for found in restrictions.load(connection).by_queue.values() for one in found]
