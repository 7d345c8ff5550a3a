"""The connections to one destination: up to so many, kept warm, lent to one delivery after the other.

A destination is one gateway with one version of its credential, one domain's exchangers, or the local mailboxes. Knows
no SMTP, no database and no delivery.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from outgate.deliver.connection_limit import ConnectionLimit
from outgate.deliver.delivery import Transport
from outgate.deliver.outcome import INTERNAL, NO_STORE, WEDGED, Outcome
from outgate.store.engine import StoreUnavailable
from outgate.watchdog import Watch, Wedged

GROWTH: Final = 10  # loans of each connection after which a peer that once wanted no more is tried with one more

_log = structlog.get_logger("deliver")


class Closing(Exception):
    """The pool takes no more deliveries: the server stops."""


class DestinationPool:
    """Lends transports that are connected. Who comes first is served first."""

    def __init__(
        self,
        name: str,
        new_transport: Callable[[], Transport],
        *,
        connections: int,
        idle_timeout: float,
        in_all: ConnectionLimit,
        watch: Callable[[], Watch],
        is_exchanger: bool = False,
    ) -> None:
        self.name = name
        self._in_all, self._is_exchanger = in_all, is_exchanger
        self._new_transport, self._watch = new_transport, watch
        self._most = self._limit = connections
        self._idle_timeout = idle_timeout
        self._idle: deque[tuple[Transport, float]] = deque()  # and since when, by the loop's clock: longest first
        self._cooling: asyncio.TimerHandle | None = None  # until one may have been idle for too long
        self._waiting: deque[asyncio.Future[Transport | Outcome | None]] = deque()  # None: open one more
        self._lent = 0  # transports that are connecting, or with a delivery
        self._connected = 0  # those of them that had a connection, and all that are idle
        self._good = 0  # loans since the limit last changed
        self._closing = False
        self._loop = asyncio.get_running_loop()

    @property
    def is_unused(self) -> bool:
        """Nothing waits, nothing is lent, nothing is kept warm."""
        return not (self._waiting or self._lent or self._idle)

    async def borrow(self) -> Transport | Outcome:
        """A connected transport, which is to be given back; or why there is none. Raises Closing.

        When nobody can be reached there, all who wait hear of it: each would only wait for the same time-out.
        """
        while True:
            transport = await self._next()
            if isinstance(transport, Outcome):
                return transport
            failed = None if self._resumes(transport) else await self._connect(transport)
            if failed is None:
                self._connected += 1
                return transport
            self._lent -= 1
            if not self._connected:
                self._tell_all(failed)
                return failed
            # Others are connected: the peer wants no more connections than these, which take this delivery, too.
            self._limit, self._good = self._connected, 0

    def give_back(self, transport: Transport) -> None:
        """The delivery has its result; whoever waits longest is next."""
        self._connected -= 1
        self._good += 1
        if self._good >= GROWTH * self._limit and self._limit < self._most:
            self._limit, self._good = self._limit + 1, 0
            if self._lent < self._limit:
                self._rouse()
        if self._lent > self._limit:  # the peer wants fewer
            self._lent -= 1
            self._discard(transport)
            return
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(transport)
                return
        self._lent -= 1
        self._keep_warm(transport)

    def slow_down(self) -> None:
        """The peer said that it is too much: half as many connections, and more again by and by."""
        self._limit, self._good = max(1, self._lent // 2), 0

    def close(self) -> None:
        """Lend no more; those who wait get Closing. What is lent may still be given back."""
        self._closing = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(Closing())
        self._waiting.clear()
        for transport, _ in tuple(self._idle):
            self._drop(transport)

    async def _next(self) -> Transport | Outcome:
        """A transport that is ours to connect, in our turn."""
        if self._closing:
            raise Closing
        if self._idle:
            transport, _ = self._idle.pop()
            self._in_all.busy(transport, is_exchanger=self._is_exchanger)
            self._connected -= 1
            self._lent += 1
            return transport
        if self._lent < self._limit:
            self._lent += 1
            return await self._one_more()
        turn: asyncio.Future[Transport | Outcome | None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            given = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and not turn.exception():
                self._pass_on(turn.result())
            raise
        return await self._one_more() if given is None else given

    async def _one_more(self) -> Transport:
        """A new transport, as soon as one more connection may be opened at all; it counts as lent already."""
        try:
            await self._in_all.take(is_exchanger=self._is_exchanger)
        except asyncio.CancelledError:
            self._lent -= 1
            raise
        if self._closing:
            self._lent -= 1
            self._release()
            raise Closing
        return self._new_transport()

    def _release(self) -> None:
        self._in_all.release(is_exchanger=self._is_exchanger)

    def _pass_on(self, given: Transport | Outcome | None) -> None:
        """A transport came in the moment in which its borrower was stopped."""
        if given is None:
            self._lent -= 1
            self._rouse()
        elif not isinstance(given, Outcome):
            self._connected += 1
            self.give_back(given)

    def _rouse(self) -> None:
        """The limit has grown: whoever waits longest opens one more."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                self._lent += 1
                waiting.set_result(None)
                return

    def _resumes(self, transport: Transport) -> bool:
        try:
            return transport.resume()
        except Exception:  # a fault of ours: it is connected anew
            _log.exception("could not go on", destination=self.name)
            return False

    async def _connect(self, transport: Transport) -> Outcome | None:
        failed: Outcome | None = INTERNAL
        try:
            with self._watch():
                failed = await transport.connect()
        except asyncio.CancelledError:
            self._lent -= 1
            raise
        except Wedged:
            failed = WEDGED
        except StoreUnavailable as error:
            _log.error("could not connect", destination=self.name, error=str(error))
            failed = NO_STORE
        except Exception:  # a fault of ours must not end the delivery without an outcome: it waits
            _log.exception("could not connect", destination=self.name)
        finally:
            if failed:
                self._discard(transport)
        return failed

    def _discard(self, transport: Transport) -> None:
        transport.close()
        self._release()

    def _tell_all(self, failed: Outcome) -> None:
        waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            if not one.done():
                one.set_result(failed)

    def _keep_warm(self, transport: Transport) -> None:
        if self._closing:
            self._discard(transport)
            return
        self._idle.append((transport, self._loop.time()))
        self._connected += 1
        if self._cooling is None:
            self._cooling = self._loop.call_later(self._idle_timeout, self._drop_cold)
        self._in_all.idle(transport, self._drop, is_exchanger=self._is_exchanger)

    def _drop_cold(self) -> None:
        """One timer for all: what is lent again and again would start and stop one with each delivery."""
        self._cooling, now = None, self._loop.time()
        try:
            while self._idle and now - self._idle[0][1] >= self._idle_timeout:
                self._drop(self._idle[0][0])
        finally:
            if self._idle:
                self._cooling = self._loop.call_at(self._idle[0][1] + self._idle_timeout, self._drop_cold)

    def _drop(self, transport: Transport) -> None:
        """It is kept warm no longer."""
        self._idle = deque(one for one in self._idle if one[0] is not transport)
        self._connected -= 1
        self._in_all.busy(transport, is_exchanger=self._is_exchanger)
        self._discard(transport)
