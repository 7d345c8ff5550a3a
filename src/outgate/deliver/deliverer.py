"""The centre of delivery: takes items, decides their ways, gives jobs to destinations, commits what came of them.

At least once: the one window for a duplicate is between a peer's last 250 and the commit of that outcome.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace

import structlog

from outgate import clock
from outgate.authorise import authorise
from outgate.config import DeliverySettings
from outgate.deliver.delivery import AttemptResult, Delivery, Transport, all_alike
from outgate.deliver.destination_pool import DestinationPool
from outgate.deliver.disposition import Disposition, report, report_to, settle, wants_report
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.transmission import submitted_header
from outgate.directory.reader import DirectoryReader
from outgate.mail.addresses import canonical
from outgate.model import Account, Organisation, Refused, SendAs
from outgate.queue import Item, Message, Put, Queue, Recipient
from outgate.queue.queue_id import QueueIds
from outgate.route import Route, own_route, route
from outgate.store.engine import StoreUnavailable

POLL = 1.0  # seconds between looks at the queue when nothing else wakes us
WATCH = 0.05  # seconds between looks at the directory's version
HEARTBEAT = 5.0  # seconds between two signs of life, see queue.admin.NODE_GONE
RECIPIENTS = 100  # in one transaction; every server must take that many (RFC 5321 section 4.5.3.1.8)

NewTransport = Callable[[Route], Transport]
DestinationKey = tuple[str, object]

_log = structlog.get_logger("deliver")


class Deliverer:
    """Holds leases on the items in memory and sees each of them to its outcomes."""

    def __init__(
        self,
        queue: Queue,
        directory: DirectoryReader,
        settings: DeliverySettings,
        hostname: str,
        new_transport: NewTransport,
        queue_ids: QueueIds,
    ) -> None:
        self._queue, self._directory, self._settings, self._hostname = queue, directory, settings, hostname
        self._new_transport, self._queue_ids = new_transport, queue_ids
        self._destinations: dict[DestinationKey, DestinationPool] = {}
        self._held: dict[int, int] = {}  # message id -> its jobs that are not settled yet
        self._under_way: dict[int, int] = {}  # jobs being handed over: id -> version that the way was checked under
        self._watch: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for work; from now on accept may hand messages over."""
        self._queue.hand_over_to(self.take, self.has_room)
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._run(), name="deliverer")
        self._watch = loop.create_task(self._tell_what_is_in_force(), name="in force")

    async def stop(self) -> None:
        """Stop, and give back what was not settled."""
        self._queue.hand_over_to(lambda _: None, lambda: False)
        for task in (self._running, self._watch):
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        for destination in list(self._destinations.values()):
            await destination.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._queue.release()
        await self._queue.in_force(None, clock.now())

    def has_room(self) -> bool:
        """Whether another message may be held in memory."""
        return len(self._held) < self._settings.in_memory

    def take(self, item: Item) -> None:
        """An item whose lease is ours: find its ways."""
        self._held[item.message.id] = 1
        self._spawn(self._dispatch(item, item.recipients))

    def wake(self) -> None:
        """Something may be due."""
        self._woken.set()

    # --- looking for work ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        renew_at = clock.now() + self._settings.lease / 3
        while True:
            try:
                full = await self._claim()
                if clock.now() >= renew_at:
                    await self._queue.renew(list(self._held), clock.now() + self._settings.lease)
                    renew_at = clock.now() + self._settings.lease / 3
            except StoreUnavailable as error:
                _log.error("queue can't be read", error=str(error))
                full = False
            self._drop_idle()
            if not full:
                await self._pause()

    async def _claim(self) -> bool:
        """Take what is due; True if there may be more."""
        limit = self._settings.in_memory - len(self._held)
        if limit <= 0:
            return False
        items = await self._queue.claim(clock.now(), limit)
        for item in items:
            self.take(item)
        return bool(items)

    async def _pause(self) -> None:
        self._woken.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._woken.wait()

    def _drop_idle(self) -> None:
        for key, destination in list(self._destinations.items()):
            if destination.idle:
                del self._destinations[key]

    async def _tell_what_is_in_force(self) -> None:
        """Whoever changes policy waits for this: see operations.propagation."""
        told, told_at = -1, 0.0
        while True:
            try:
                # In this order: a check that is made after this reading goes by this version or a later one.
                version = await self._directory.version()
                version = min([version, *self._under_way.values()])
                now = clock.now()
                if version > told or now - told_at >= HEARTBEAT:
                    await self._queue.in_force(version, now)
                    told, told_at = version, now
            except StoreUnavailable as error:
                _log.error("nodes can't be told what is in force", error=str(error))
            await asyncio.sleep(WATCH)

    # --- deciding ------------------------------------------------------------------------------------------------

    async def _dispatch(self, item: Item, recipients: Sequence[Recipient]) -> None:
        """Decide the way of each recipient and give them to their destinations. Settles one job of the item."""
        try:
            deliveries = await self._decide(item, recipients)
        except StoreUnavailable as error:
            _log.error("directory can't be read", error=str(error))
            self._forget(item)  # the lease runs out and the item comes back
            return
        self._pass_on(item, deliveries)

    def _pass_on(self, item: Item, deliveries: list[Delivery]) -> None:
        """These jobs take the place of the one that they were decided for."""
        self._held[item.message.id] += len(deliveries)
        for delivery in deliveries:
            if delivery.refused:
                self._settled(delivery, all_alike(delivery, Outcome(Verdict.FAILED, f"5.7.1 {delivery.refused}")), 0.0)
            else:
                self._destination(delivery.route).add(delivery)
        self._forget(item)

    async def _decide(self, item: Item, recipients: Sequence[Recipient]) -> list[Delivery]:
        message = item.message
        version, account, organisation = await self._directory.reading(message.account_id)
        chosen = account.send_as.get(message.chosen_from) if account else None
        by_way: dict[tuple[Route, str | None], list[Recipient]] = {}
        for recipient in recipients:
            way, refused = _way(organisation, account, chosen, message, recipient)
            by_way.setdefault((way, refused), []).append(_at(recipient, way.queue))
        return [
            Delivery(item, tuple(together[start : start + RECIPIENTS]), way, account, version, refused)
            for (way, refused), together in by_way.items()
            for start in range(0, len(together), RECIPIENTS)
        ]

    async def _still_right(self, delivery: Delivery) -> Delivery | None:
        """The job if its way is still the one in force; else it is sent by the right one and None returned."""
        try:
            version = await self._directory.version()
            if version == delivery.version:
                return self._permitted(delivery)
            deliveries = await self._decide(delivery.item, delivery.recipients)
        except StoreUnavailable as error:
            _log.error("directory can't be read", error=str(error))
            self._forget(delivery.item)
            return None
        if [(one.route, one.refused) for one in deliveries] == [(delivery.route, None)]:
            return self._permitted(deliveries[0])
        self._pass_on(delivery.item, deliveries)
        return None

    def _permitted(self, delivery: Delivery) -> Delivery | None:
        """The job, unless its account may no longer send it at all."""
        outcome = _refusal(delivery)
        if outcome is None:
            self._under_way[id(delivery)] = delivery.version
            return delivery
        self._settled(delivery, all_alike(delivery, outcome), 0.0)
        return None

    def _destination(self, way: Route) -> DestinationPool:
        key = (way.queue, way.gateway)
        destination = self._destinations.get(key)
        if destination is None:
            destination = self._destinations[key] = DestinationPool(
                way.queue,
                lambda: self._new_transport(way),
                connections=self._settings.connections_per_queue,
                idle_timeout=self._settings.idle_timeout,
                still_right=self._still_right,
                settled=self._settled,
            )
        return destination

    # --- outcomes ------------------------------------------------------------------------------------------------

    def _settled(self, delivery: Delivery, result: AttemptResult, seconds: float) -> None:
        self._under_way.pop(id(delivery), None)
        self._spawn(self._commit(delivery, result, seconds))

    async def _commit(self, delivery: Delivery, result: AttemptResult, seconds: float) -> None:
        """Record the outcomes; what was delivered must not be lost sight of, so this is tried until it works."""
        now = clock.now()
        disposition = settle(delivery, result, seconds, now, self._settings)
        while True:
            try:
                told = await self._report(delivery, disposition, result.peer, now) if disposition.failed else None
                await self._queue.finish(disposition.finish(delivery.item.message.id, self._queue.owner, now, told))
                break
            except StoreUnavailable as error:
                _log.error("outcome not recorded yet", error=str(error))
                await asyncio.sleep(POLL)
        self._forget(delivery.item)
        if told:
            self.wake()

    async def _report(self, delivery: Delivery, disposition: Disposition, peer: str, now: float) -> Put | None:
        """The delivery report for those who wanted one; it is queued in the transaction that records the failure."""
        to = report_to(delivery)
        failed = [one for one in disposition.failed if wants_report(one[0])]
        if to is None or not failed:
            return None
        return report(
            delivery,
            failed,
            to=to,
            header=await submitted_header(self._queue, delivery.item),
            identity=self._queue_ids.new(now),
            now=now,
            hostname=self._hostname,
            peer=peer,
            organisation=await self._directory.organisation(),
        )

    def _forget(self, item: Item) -> None:
        left = self._held[item.message.id] - 1
        if left:
            self._held[item.message.id] = left
        else:
            del self._held[item.message.id]

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("delivery step failed", exc_info=error)


def _way(
    organisation: Organisation, account: Account | None, chosen: SendAs | None, message: Message, recipient: Recipient
) -> tuple[Route, str | None]:
    """The recipient's way, and why policy does not let it be taken, if so."""
    address = canonical(recipient.address)
    way = route(organisation, account, chosen, address, reverse_path=message.reverse_path, automatic=message.automatic)
    if isinstance(way, Refused):
        return own_route(organisation, address, message.reverse_path), way.reason
    return way, None


def _at(recipient: Recipient, queue: str) -> Recipient:
    return recipient if recipient.queue == queue else replace(recipient, queue=queue)


def _refusal(delivery: Delivery) -> Outcome | None:
    """Why this account may not send this any more, as authorise would say it of a new message."""
    message, account = delivery.item.message, delivery.account
    if message.account_id is None:
        return None
    if account is None:
        return Outcome(Verdict.FAILED, "5.7.1 the sender's account was deleted")
    if account.suspended:
        return Outcome(Verdict.RETRY, "4.7.1 the sender's account is suspended")
    verdict = authorise(account, "", (message.chosen_from,))
    return Outcome(Verdict.FAILED, f"5.7.1 {verdict.reason}") if isinstance(verdict, Refused) else None
