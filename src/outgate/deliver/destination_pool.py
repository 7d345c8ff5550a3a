"""One destination: the jobs that wait for it in memory, and up to so many carriers that take them there.

A destination is one gateway with one version of its credential, one domain's exchangers, or the local mailboxes. Knows
no SMTP and no database.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from outgate.deliver.delivery import AttemptResult, Delivery, Transport, all_alike
from outgate.deliver.outcome import Outcome, Verdict

StillRight = Callable[[Delivery], Awaitable[Delivery | None]]
Settled = Callable[[Delivery, AttemptResult, float], None]

_INTERNAL = Outcome(Verdict.RETRY, "4.3.0 internal error; the server's log has the details")

_log = structlog.get_logger("deliver")


class DestinationPool:
    """Starts a carrier when jobs wait and none is free; a carrier that has nothing to do for a while is closed."""

    def __init__(
        self,
        name: str,
        new_transport: Callable[[], Transport],
        *,
        connections: int,
        idle_timeout: float,
        still_right: StillRight,
        settled: Settled,
    ) -> None:
        self.name = name
        self._new_transport = new_transport
        self._connections = connections
        self._idle_timeout = idle_timeout
        self._still_right = still_right
        self._settled = settled
        self._waiting: deque[Delivery] = deque()
        self._free: deque[asyncio.Future[None]] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._connected = 0

    @property
    def idle(self) -> bool:
        """Nothing waits and nobody works."""
        return not self._waiting and not self._workers

    def add(self, delivery: Delivery) -> None:
        """Take a job; it is carried as soon as a carrier is free."""
        self._waiting.append(delivery)
        self._rouse()

    async def close(self) -> None:
        """Stop at once; what was not settled keeps its lease and is taken up by whoever comes next."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _rouse(self) -> None:
        """Wake a free carrier, or start one more."""
        while self._free:
            free = self._free.popleft()
            if not free.done():
                free.set_result(None)
                return
        if len(self._workers) < self._connections:
            worker = self._loop.create_task(self._work(), name=f"carrier {self.name}")
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        transport = self._new_transport()
        connected = False
        try:
            while (delivery := await self._next()) is not None:
                failed = await self._connect(transport)
                self._connected += (failed is None) - connected
                connected = failed is None
                if failed and self._connected and not connected:
                    # Others are connected: the peer wants no more connections than these. They take this job, too.
                    self._connections = self._connected
                    self._waiting.appendleft(delivery)
                    return
                await self._carry(transport, delivery, failed)
        finally:
            self._connected -= connected
            transport.close()
            if self._waiting and not self._workers - {asyncio.current_task()}:
                self._loop.call_soon(self._rouse)

    async def _connect(self, transport: Transport) -> Outcome | None:
        try:
            return await transport.connect()
        except Exception:
            # A fault of ours must not end the worker with the job in its hands: what waits here waits longer.
            _log.exception("carrier could not connect", destination=self.name)
            transport.close()
            return _INTERNAL

    async def _next(self) -> Delivery | None:
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

    async def _carry(self, transport: Transport, delivery: Delivery, failed: Outcome | None) -> None:
        """The way is checked when there is a connection, so that no time passes between the check and the handover."""
        current = await self._still_right(delivery)
        if failed:
            if current:
                self._settled(current, all_alike(current, failed), 0.0)
            self._fail_alike(failed)
        elif current:
            started = self._loop.time()
            try:
                result = await transport.carry(current)
            except Exception:
                # A fault of ours must not lose sight of the message: it waits. What was half said is not used again.
                _log.exception("carrier failed", destination=self.name)
                transport.close()
                result = all_alike(current, _INTERNAL)
            self._settled(current, result, self._loop.time() - started)

    def _fail_alike(self, failed: Outcome) -> None:
        """Nobody can be reached there: what waits would only wait for the same time-out."""
        waiting, self._waiting = self._waiting, deque()
        for delivery in waiting:
            self._settled(delivery, all_alike(delivery, failed), 0.0)
