"""The centre of delivery: takes what is due and sees it through, from its way to the commit of its outcome.

A message that was taken walks down one function (`_see_through`), and each step returns a value to it; who holds what
is in the ledger (inflight.py). At least once: the one window for a duplicate is between a peer's last 250 and the
commit of that outcome.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Final

import structlog

from outgate import clock
from outgate.config import DeliverySettings
from outgate.deliver.breaker import Breakers
from outgate.deliver.ceilings import Ceilings, connections
from outgate.deliver.connection_limit import ConnectionLimit, default_limit
from outgate.deliver.delivery import AttemptResult, Delivery, Destination, Transport, all_alike
from outgate.deliver.destination_pool import Closing, DestinationPool
from outgate.deliver.disposition import settle
from outgate.deliver.heartbeat import Heartbeat
from outgate.deliver.inflight import InFlight
from outgate.deliver.mail_api import APIS
from outgate.deliver.outcome import INTERNAL, NO_STORE, RECALLED, WEDGED, Outcome, Verdict
from outgate.deliver.reporter import Reporter
from outgate.deliver.restraint import Restraint
from outgate.deliver.routing import as_submitted, decide, is_still, part, refusal
from outgate.deliver.suspension import lapsed
from outgate.deliver.tls_policy import TlsPolicy
from outgate.deliver.transports import timeouts_of
from outgate.deliver.usual_schedule import scheduled_as, usual_schedules
from outgate.directory import own_schedules
from outgate.directory.reader import DirectoryReader
from outgate.frozen import frozen
from outgate.model import Cause, QueueKey, Schedule, TlsDemand
from outgate.queue import Finish, Item, Put, Queue
from outgate.queue.queue_id import QueueIds, to_text
from outgate.route import Route, RouteKind
from outgate.store.engine import StoreUnavailable
from outgate.store.group_commit import GroupCommit
from outgate.supervision import supervised
from outgate.watchdog import Watch, Watchdog, Wedged, step

POLL: Final = 1.0  # seconds between looks at the queue when nothing else wakes us
LOOK: Final = 1.0  # seconds that one look may take
STUCK: Final = 60.0  # seconds between tries to record an outcome that even without its report can't be recorded

SLACK: Final = 300.0  # seconds for what has deadlines of its own on a delivery's way: names, policies, tokens
STORE: Final = 600.0  # seconds that the database may take for one thing
REFUSED: Final = 60.0  # seconds for which a refused log-in is remembered: much longer than it takes to suspend
OTHERS_TURN: Final = 15.0  # seconds until a process without a share in a queue's connections asks for it again

NewTransport = Callable[[Route, TlsPolicy, TlsDemand], Transport]
Loop = Callable[[], Coroutine[None, None, None]]
PoolKey = tuple[Destination, int]  # how many connections at most

_OTHERS_TURN: Final = Outcome(Verdict.RETRY, "4.4.5 the connections of its limit are other processes'", untried=True)

_log = structlog.get_logger("deliver")


@dataclass(slots=True, eq=False)
class UnderWay:
    """What is being handed over now. `is_outdated`: its way no longer holds."""

    delivery: Delivery
    transport: Transport
    task: "asyncio.Task[None] | None"
    is_outdated: bool = False


@frozen
class RefusedLogIn:
    """A log-in that was refused, at this time, by a way of this version of the directory: all that go by it or an
    older one do not know yet of the suspension that follows.
    """

    outcome: Outcome
    version: int
    at: float


@frozen
class Attempt:
    """A delivery as it was carried, and what came of it. `works`: everybody has it, as nearly always."""

    delivery: Delivery
    result: AttemptResult
    works: bool = False


class Deliverer:
    """Holds leases on the items in memory and sees each of them to its outcomes."""

    def __init__(
        self,
        queue: Queue,
        commits: GroupCommit,
        directory: DirectoryReader,
        settings: DeliverySettings,
        hostname: str,
        new_transport: NewTransport,
        queue_ids: QueueIds,
        restraint: Restraint,
        ceilings: Ceilings,
    ) -> None:
        self._queue, self._directory, self._settings = queue, directory, settings
        self._restraint, self._ceilings = restraint, ceilings
        self._breakers = Breakers()
        self._schedules = usual_schedules(settings)
        self._refused: dict[Destination, RefusedLogIn] = {}
        self._share = (0, 1)  # this process among those that deliver
        self._new_transport = new_transport
        self._reporter = Reporter(queue, directory, settings, hostname, queue_ids)
        self._inflight = InFlight(settings.in_memory)
        self._loop = asyncio.get_running_loop()
        self.watchdog = Watchdog()
        self._together = timeouts_of(settings).together + SLACK
        self._renews_every = settings.lease / 3
        self._heartbeat = Heartbeat(commits, queue.owner, directory, self._go_by, self.watchdog)
        self._under_way: set[UnderWay] = set()
        self._pools: dict[PoolKey, DestinationPool] = {}
        self._connections = ConnectionLimit(settings.connections or default_limit())
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._woken = asyncio.Event()
        self._is_unsure = False  # the store may have leased to us what we never heard of
        self._stopping = False

    def start(self) -> None:
        """Begin to look for work; from now on accept may hand messages over."""
        self._queue.hand_over_to(self)
        # Begun again in time to renew: the last renewal was at most a third of the lease before it made no step.
        self._begin("deliverer", self._watched("deliverer", self._look_for_work, min(STORE, self._renews_every)))
        self._begin("heartbeat", self._watched("heartbeat", self._heartbeat.run, STORE))
        self._begin("watchdog", self.watchdog.run)

    def _begin(self, name: str, work: Loop) -> None:
        self._loops.append(self._loop.create_task(supervised(name, work), name=name))

    def _watched(self, name: str, work: Loop, longest: float) -> Loop:
        """The loop, begun again if it makes no step."""

        async def watched() -> None:
            with self.watchdog.watch("loop", name, longest):
                await work()

        return watched

    def tell_drained(self, told: Callable[[bool], None]) -> None:
        """Have somebody told with each heartbeat whether this node is drained: it claims nothing then."""
        self._heartbeat.tell_drained = told

    async def stop(self) -> None:
        """Take nothing more, let what is being handed over end, give the rest back.

        Gives up on the rest after `stop_timeout` seconds, and on the store if it is away: a later start releases what
        is still leased.
        """
        self._stopping = True
        self._queue.hand_over_to(None)
        self._loops[0].cancel()
        for pool in self._pools.values():
            pool.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.stop_timeout):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        for task in [*self._tasks, *self._loops]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._loops, return_exceptions=True)
        try:
            await self._queue.release()
            await self._heartbeat.end()
        except StoreUnavailable as error:
            _log.error("leases not given back; the next start does it", error=str(error))

    # --- taking ----------------------------------------------------------------------------------------------

    def reserve(self, put: Put) -> bool:
        """Whether a message may be handed over in memory once it is stored."""
        return not self._heartbeat.standing.is_drained and self._inflight.reserve(put)

    def forget(self, put: Put) -> None:
        """It was not stored, as far as is known."""
        self._inflight.forget(put)
        self._is_unsure = True

    def take(self, item: Item) -> None:
        """An item whose lease is ours."""
        ours = self._inflight.take(item)
        if ours:
            self._spawn(self._see_through(ours))

    async def _look_for_work(self) -> None:
        now = self._loop.time
        renew_at = now()  # at once: the loop may be begun again, and may have been ended while it was claiming
        self._is_unsure = True
        while True:
            try:
                if now() >= renew_at:  # first: what is ours must not look as if it were nobody's
                    await self._queue.renew(self._inflight.message_ids())
                    renew_at = now() + self._renews_every
                await self._give_back_what_is_unknown()
                await self._claim()
            except StoreUnavailable as error:
                self._is_unsure = True
                _log.error("queue can't be read", error=str(error))
            self._drop_unused()
            self._share = self._heartbeat.standing.share
            step()
            await self._pause()

    async def _give_back_what_is_unknown(self) -> None:
        """A commit whose answer was lost may have leased to us what nobody here knows of."""
        if self._is_unsure:
            self._is_unsure = False  # first: what is lost meanwhile is looked for next time
            await self._queue.give_back(self._inflight.unknown(await self._queue.leased()))

    async def _claim(self) -> None:
        """Step by step: what is accepted meanwhile is stored between them. After `LOOK` seconds the rest is left to the
        next look, which begins at once: before it leases are renewed, and it asks anew which queues are due.
        """
        room = self._inflight.room()
        if not room.free or self._heartbeat.standing.is_drained:
            return
        now, until = clock.now(), monotonic() + LOOK
        due = await self._queue.due_queues(now)
        queues: Sequence[QueueKey] = [one for one in due if room.of(one)]
        self._inflight.leave_behind(set(due).difference(queues))
        while queues and room.free and monotonic() < until:
            claimed = await self._queue.claim(now, room, queues)
            self._inflight.leave_behind(claimed.left_behind)
            for item in claimed.items:
                self.take(item)
            queues, room = claimed.queues, self._inflight.room()
        self._inflight.leave_behind(queues)
        if queues and room.free:
            self._woken.set()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._woken.wait()
        self._woken.clear()

    def _drop_unused(self) -> None:
        self._pools = {key: pool for key, pool in self._pools.items() if not pool.is_unused}
        if self._breakers:
            self._breakers.drop_unused(clock.now())
        if self._refused:
            recently = clock.now() - REFUSED
            self._refused = {key: one for key, one in self._refused.items() if one.at > recently}

    # --- seeing it through -----------------------------------------------------------------------------------

    async def _see_through(self, item: Item) -> None:
        """From an item to the outcomes of its recipients."""
        deliveries = self._as_submitted(item) or await self._decided(item)
        self._inflight.split(deliveries)
        for other in deliveries[1:]:
            self._spawn(self._deliver(other))
        await self._deliver(deliveries[0])

    def _as_submitted(self, item: Item) -> list[Delivery]:
        """By the ways that it comes with, if what restricts queues is known as it was when they were found."""
        ways = item.ways
        if ways is None or (restrictions := self._directory.restrictions_at(ways.version)) is None:
            return []
        return as_submitted(item, ways, restrictions)

    async def _decided(self, item: Item) -> list[Delivery]:
        """The ways of its recipients, asked until the directory answers: nobody else would come back to them."""
        while True:
            try:
                with self.watchdog.watch("decision", partial(to_text, item.message.id), STORE):
                    return decide(item, item.recipients, await self._directory.way_reading(item.message.account_id))
            except (StoreUnavailable, Wedged) as error:
                _log.error("directory can't be read", error=str(error))
                await asyncio.sleep(POLL)

    async def _deliver(self, delivery: Delivery) -> None:
        """One attempt, and its outcome recorded; or the same by another way, if this one no longer holds."""
        try:
            attempt = await self._attempt(delivery)
        except Closing:
            return  # the lease is given back when all have ended
        except Wedged:
            attempt = Attempt(delivery, all_alike(delivery, WEDGED))
        except StoreUnavailable as error:
            _log.error("delivery waits for the database", error=str(error))
            await asyncio.sleep(POLL)
            self._spawn(self._deliver(delivery))
            return
        if isinstance(attempt, Attempt):
            await self._end(attempt)
            return
        self._inflight.undecide(delivery)
        self._go(attempt)

    async def _end(self, attempt: Attempt) -> None:
        """Record what came of it, but for those who are to get it by another way. Before that nothing is written for
        what was simply delivered: it would be delivered again if the server went down meanwhile.
        """
        if attempt.works:
            await self._record(attempt)
        else:
            attempt = Attempt(attempt.delivery, await self._restraint.judge(attempt.delivery, attempt.result))
            if recalled := _recalled(attempt):
                self._spawn(self._deliver_anew(recalled))
            if rest := _settled(attempt) if recalled else attempt:
                await self._record(rest)
        if attempt.delivery.restrictions:
            await self._look_again(attempt)

    async def _look_again(self, attempt: Attempt) -> None:
        """What holds its queue back may be over: because it works again, or because somebody has said so while the
        message was being put off, which then waits for what is no more.
        """
        delivery, outcomes = attempt.delivery, attempt.result.outcomes
        if any(one.verdict is Verdict.DELIVERED for one in outcomes):
            await self._restraint.works(delivery)
        elif any(one.untried for one in outcomes):
            try:
                _, _, _, restrictions = await self._directory.way_reading(delivery.item.message.account_id)
            except StoreUnavailable as error:
                _log.error("directory can't be read", error=str(error))
                return
            if restrictions.of(delivery.route.queue) != delivery.restrictions:
                await self._hasten(delivery.route.queue)

    def _go(self, deliveries: Sequence[Delivery]) -> None:
        """By the ways that were found."""
        self._inflight.split(deliveries)
        for delivery in deliveries:
            self._spawn(self._deliver(delivery))

    async def _deliver_anew(self, recalled: Delivery) -> None:
        """By the way that holds now."""
        self._inflight.undecide(recalled)
        self._go(await self._decided(replace(recalled.item, recipients=recalled.recipients)))

    async def _handed_over(self, transport: Transport, delivery: Delivery) -> AttemptResult:
        """What came of handing it over; or what is known when it is recalled."""
        self._inflight.start(delivery)
        under_way = UnderWay(delivery, transport, asyncio.current_task(self._loop))
        self._under_way.add(under_way)
        try:
            return await _carried(transport, delivery)
        finally:
            self._under_way.remove(under_way)

    async def _go_by(self, version: int) -> int:
        """See to it that nothing is handed over by a way that no longer holds; returns the oldest version that
        something is still handed over by. What the peer has whole can't be called back.
        """
        for one in list(self._under_way):
            if one.delivery.version < version and not one.is_outdated:
                await self._check(one)
            if one.is_outdated and one in self._under_way and one.transport.recall() and one.task:
                one.task.cancel()
        return self._inflight.oldest_version(version)

    async def _check(self, one: UnderWay) -> None:
        """Raises StoreUnavailable."""
        current = await self._current(one.delivery)
        if one not in self._under_way:
            return
        if isinstance(current, Delivery) and refusal(current, clock.now()) is None:
            self._inflight.confirm(one.delivery, current.version)
            one.delivery = current
        else:
            one.is_outdated = True

    async def _attempt(self, delivery: Delivery) -> Attempt | Sequence[Delivery]:
        """What came of it, or the ways that are right by now.

        The way is checked when there is a connection, so that no time passes between the check and the handing over.
        Raises Closing and StoreUnavailable.
        """
        if outcome := self._waits(delivery, clock.now()):
            return Attempt(delivery, all_alike(delivery, outcome))
        if outcome := await self._waits_for_others(delivery):
            return Attempt(delivery, all_alike(delivery, outcome))
        pool = self._pool(delivery)
        if isinstance(pool, Outcome):
            return Attempt(delivery, all_alike(delivery, pool))
        transport = await pool.borrow()
        if isinstance(transport, Outcome):
            await self._not_reached(delivery, transport)
            current = await self._current(delivery)
            return Attempt(current, all_alike(current, transport)) if isinstance(current, Delivery) else current
        if self._breakers and self._breakers.reached(delivery.destination):
            self._spawn(self._hasten(delivery.route.queue))
        try:
            with self.watchdog.watch("delivery", partial(_named, delivery), self._together):
                return await self._attempt_over(pool, transport, delivery)
        except Wedged:
            transport.close()  # what was half said is not used again
            raise
        finally:
            pool.give_back(transport)

    async def _attempt_over(
        self, pool: DestinationPool, transport: Transport, delivery: Delivery
    ) -> Attempt | Sequence[Delivery]:
        """The same, with a connection."""
        if delivery.restrictions and (outcome := await self._ceilings.place(delivery, clock.now())):
            return Attempt(delivery, all_alike(delivery, outcome))
        current = await self._current(delivery)
        if not isinstance(current, Delivery):
            return current
        if current is not delivery and (outcome := refusal(current, clock.now())):
            return Attempt(current, all_alike(current, outcome))
        result = await self._handed_over(transport, current)
        if _is_delivered(result.outcomes):
            return Attempt(current, result, works=True)
        if any(outcome.is_of_load for outcome in result.outcomes):
            pool.slow_down()
        return Attempt(current, result)

    def _waits(self, delivery: Delivery, now: float) -> Outcome | None:
        """Why it is not even tried to get a connection."""
        if outcome := refusal(delivery, now):
            return outcome
        if delivery.restrictions and (outcome := self._ceilings.closed(delivery, now)):
            return outcome
        if self._refused and (known := self._refused.get(delivery.destination)) and delivery.version <= known.version:
            return known.outcome  # one log-in is enough
        return self._breakers.held(delivery.destination, now) if self._breakers else None

    async def _waits_for_others(self, delivery: Delivery) -> Outcome | None:
        """A provider's interface has one request for all whom a message names. Raises StoreUnavailable."""
        gateway = delivery.route.gateway
        if gateway is None or gateway.is_smtp:
            return None
        due = await self._queue.others_due(delivery.item)
        return None if due is None else part(due, clock.now())

    async def _not_reached(self, delivery: Delivery, outcome: Outcome) -> None:
        """Raises StoreUnavailable."""
        now = clock.now()
        if outcome.refuses_credential:
            self._refused[delivery.destination] = RefusedLogIn(outcome, delivery.version, now)
        self._breakers.failed(delivery.destination, outcome, now, await self._in_force(delivery.route, now))

    async def _hasten(self, queue: QueueKey) -> None:
        """What waits there is tried at once."""
        try:
            await self._queue.hasten(queue, clock.now())
        except StoreUnavailable as error:
            _log.error("waiting mail not hastened", queue=str(queue), error=str(error))
        self._woken.set()

    async def _current(self, delivery: Delivery) -> Delivery | Sequence[Delivery]:
        """The delivery if its way is still the one in force, else those that are right. Raises StoreUnavailable."""
        if await self._directory.version() == delivery.version:
            return delivery
        reading = await self._directory.way_reading(delivery.item.message.account_id)
        found = decide(delivery.item, delivery.recipients, reading)
        return found[0] if is_still(delivery, found) else found

    def _pool(self, delivery: Delivery) -> DestinationPool | Outcome:
        """The connections of its way; or why this process may have none, where few are shared by many processes."""
        way, most = delivery.route, self._settings.connections_per_queue
        api = APIS.get(way.gateway.kind) if way.gateway else None
        if delivery.restrictions or api:
            now = clock.now()
            of_way = (api.connections,) if api else ()
            most = connections(delivery.restrictions, most, now, self._share, of_way)
            if not most:
                return replace(_OTHERS_TURN, again=now + OTHERS_TURN)
            if lapsed(delivery.restrictions, now, Cause.LOG_IN):
                most = 1  # one log-in finds out whether it is still refused
        destination = delivery.destination
        key = (destination, most)
        pool = self._pools.get(key)
        if pool is None:
            if self._stopping:
                raise Closing
            name = str(way.queue)
            pool = self._pools[key] = DestinationPool(
                name,
                lambda: self._new_transport(way, destination.tls, destination.demand),
                connections=most,
                watch=lambda: self.watchdog.watch("connection", name, self._together),
                idle_timeout=self._settings.idle_timeout,
                # What the organisation's own mailboxes have to get waits for no other destination.
                in_all=ConnectionLimit(most) if way.kind is RouteKind.LOCAL else self._connections,
                is_exchanger=way.kind is RouteKind.DIRECT,
            )
        return pool

    # --- recording -------------------------------------------------------------------------------------------

    async def _record(self, attempt: Attempt) -> None:
        """Commit the outcomes; what was delivered must not be lost sight of, so this is tried until it works."""
        delivery, now = attempt.delivery, clock.now()
        self._inflight.settle(delivery)
        while True:
            try:
                with self._watch_record(delivery.item.message.id):
                    disposition = settle(delivery, attempt.result, now, await self._schedule(attempt, now))
                    told = await self._reporter.report(disposition)
                await self._finish(disposition.finish(self._queue.owner, told))
                break
            except (StoreUnavailable, Wedged) as error:
                self._is_unsure = True
                _log.error("outcome not recorded yet", error=str(error))
                await asyncio.sleep(POLL)
        self._inflight.settled(delivery)
        if told or self._inflight.is_hungry(delivery.route.queue):
            self._woken.set()

    async def _schedule(self, attempt: Attempt, now: float) -> Schedule:
        """By which what waits is tried again; of what was simply delivered nobody asks. Raises StoreUnavailable."""
        way = attempt.delivery.route
        return self._schedules[way.kind] if attempt.works else await self._in_force(way, now)

    async def _in_force(self, way: Route, now: float) -> Schedule:
        """Raises StoreUnavailable."""
        usual = self._schedules[way.kind]
        own = own_schedules.find(await self._directory.own_schedules(), scheduled_as(way), now)
        return usual.changed(own.change) if own else usual

    async def _finish(self, finish: Finish) -> None:
        """Raises StoreUnavailable when nothing was committed. An outcome never depends on what is told of it: what
        can't be recorded whole is recorded bare. A commit that hangs is never ended: it would be made all the same, and
        once more.
        """
        while True:
            try:
                with self._watch_record(finish.message_id, ends=False):
                    await self._queue.finish(finish)
                return
            except StoreUnavailable:
                if await self._was_finished(finish):
                    self._is_unsure = True  # a claim may have brought meanwhile what was still being settled here
                    return
                raise
            except Exception:
                _log.exception("outcome recorded without its report and events", message=finish.message_id)
                if finish == finish.bare():
                    await asyncio.sleep(STUCK)
                finish = finish.bare()

    async def _was_finished(self, finish: Finish) -> bool:
        """Whether it was committed though its answer was lost: asked until the store says, since what is told of it
        would be told twice else.
        """
        while True:
            await asyncio.sleep(POLL)
            try:
                with self._watch_record(finish.message_id):
                    return await self._queue.was_finished(finish)
            except (StoreUnavailable, Wedged) as error:
                _log.error("outcome not known to be recorded yet", error=str(error))

    def _watch_record(self, message_id: int, *, ends: bool = True) -> Watch:
        return self.watchdog.watch("record", partial(to_text, message_id), STORE, ends=ends)

    # --- tasks -----------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("delivery step failed", exc_info=error)


def _named(delivery: Delivery) -> str:
    """Which one it is, as the log is told."""
    return f"{to_text(delivery.item.message.id)} to {delivery.route.queue}"


def _is_delivered(outcomes: Sequence[Outcome]) -> bool:
    """To everybody; nearly always that is one recipient."""
    if len(outcomes) == 1:
        return outcomes[0].verdict is Verdict.DELIVERED
    return all(one.verdict is Verdict.DELIVERED for one in outcomes)


def _recalled(attempt: Attempt) -> Delivery | None:
    """Those of its recipients who are to get the message by another way."""
    return _those(attempt, lambda outcome: outcome is RECALLED)


def _settled(attempt: Attempt) -> Attempt | None:
    """The attempt without them."""
    delivery = _those(attempt, lambda outcome: outcome is not RECALLED)
    if delivery is None:
        return None
    outcomes = [outcome for outcome in attempt.result.outcomes if outcome is not RECALLED]
    return Attempt(delivery, replace(attempt.result, outcomes=outcomes))


def _those(attempt: Attempt, wanted: Callable[[Outcome], bool]) -> Delivery | None:
    pairs = zip(attempt.delivery.recipients, attempt.result.outcomes, strict=True)
    found = tuple(recipient for recipient, outcome in pairs if wanted(outcome))
    return replace(attempt.delivery, recipients=found) if found else None


async def _carried(transport: Transport, delivery: Delivery) -> AttemptResult:
    """What came of handing it over. A fault of ours must not lose sight of the message: it waits."""
    started = monotonic()
    try:
        result = await transport.carry(delivery)
    except Exception as error:
        transport.close()  # what was half said is not used again
        if isinstance(error, StoreUnavailable):
            _log.error("message can't be read", error=str(error))
            return all_alike(delivery, NO_STORE)
        _log.exception("delivery failed", queue=delivery.route.queue_name)
        return all_alike(delivery, INTERNAL)
    result.seconds = monotonic() - started
    return result
