"""One destination: the jobs that wait for it in memory, and up to so many carriers that take them there.

A destination is one gateway with one version of its credential, one domain's exchangers, or the local mailboxes. Knows
no SMTP and no database.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from outgate.deliver.job import Carrier, Handover, Job

StillRight = Callable[[Job], Awaitable[Job | None]]
Settled = Callable[[Job, Handover, float], None]


class Destination:
    """Starts a carrier when jobs wait and none is free; a carrier that has nothing to do for a while is closed."""

    def __init__(
        self,
        name: str,
        new_carrier: Callable[[], Carrier],
        *,
        connections: int,
        idle_timeout: float,
        still_right: StillRight,
        settled: Settled,
    ) -> None:
        self.name = name
        self._new_carrier = new_carrier
        self._connections = connections
        self._idle_timeout = idle_timeout
        self._still_right = still_right
        self._settled = settled
        self._waiting: deque[Job] = deque()
        self._free: deque[asyncio.Future[None]] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._connected = 0

    @property
    def idle(self) -> bool:
        """Nothing waits and nobody works."""
        return not self._waiting and not self._workers

    def add(self, job: Job) -> None:
        """Take a job; it is carried as soon as a carrier is free."""
        self._waiting.append(job)
        while self._free:
            free = self._free.popleft()
            if not free.done():
                free.set_result(None)
                return
        if len(self._workers) < self._connections:
            worker = self._loop.create_task(self._work(), name=f"carrier {self.name}")
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def close(self) -> None:
        """Stop at once; what was not settled keeps its lease and is taken up by whoever comes next."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        carrier = self._new_carrier()
        try:
            while (job := await self._next()) is not None:
                current = await self._still_right(job)
                if current is not None and not await self._carry(carrier, current):
                    return
        finally:
            carrier.close()

    async def _next(self) -> Job | None:
        while not self._waiting:
            free = self._loop.create_future()
            self._free.append(free)
            timer = self._loop.call_later(self._idle_timeout, free.cancel)
            try:
                await free
            except asyncio.CancelledError:
                if not free.cancelled():
                    raise  # the worker itself is being stopped
                if not self._waiting:
                    return None
            finally:
                timer.cancel()
        return self._waiting.popleft()

    async def _carry(self, carrier: Carrier, job: Job) -> bool:
        """False when this carrier got no connection and should end."""
        started = self._loop.time()
        handover = await carrier.carry(job)
        if handover.unreachable and self._connected and len(self._workers) > 1:
            # Others are connected: the peer wants no more connections than it has. They take this job, too.
            self._connections = max(1, len(self._workers) - 1)
            self._waiting.appendleft(job)
            return False
        self._settled(job, handover, self._loop.time() - started)
        if handover.unreachable:
            self._fail_alike(handover)
        else:
            self._connected = 1
        return True

    def _fail_alike(self, handover: Handover) -> None:
        """Nobody can be reached there: what waits would only wait for the same time-out."""
        self._connected = 0
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            alike = Handover([handover.outcomes[0]] * len(job.recipients), reply=handover.reply, unreachable=True)
            self._settled(job, alike, 0.0)
