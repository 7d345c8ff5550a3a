"""How many connections a process has open in all, to whatever destinations. Knows no destination and no socket.

Whoever names recipients names exchangers, and a thousand that are silent must not take all files that the system lets
a process open. So a part of the connections is kept for what the organisation or a user has set up.
"""

import asyncio
import resource
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

KEPT: Final = 4  # a quarter of the connections is not for exchangers


class ConnectionLimit:
    """Places, given in the order of asking; who asks in vain gets that of the connection that is idle for longest."""

    def __init__(self, most: int) -> None:
        self._most = {False: most, True: most - most // KEPT}  # in all, and to exchangers
        self._open = {False: 0, True: 0}  # by whether it is to an exchanger
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {False: deque(), True: deque()}
        self._idle: dict[bool, dict[Any, Callable[[Any], None]]] = {False: {}, True: {}}  # longest first
        self._serving = False

    @property
    def taken(self) -> int:
        """Connections that are open, or about to be."""
        return sum(self._open.values())

    async def take(self, *, is_exchanger: bool) -> None:
        """A place for one more connection, in its turn; it is to be released."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[is_exchanger].append(turn)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(is_exchanger=is_exchanger)
            raise

    def release(self, *, is_exchanger: bool) -> None:
        """The connection is closed."""
        self._open[is_exchanger] -= 1
        self._serve()

    def idle(self, connection: T, close: Callable[[T], None], *, is_exchanger: bool) -> None:
        """It is kept warm, unless somebody wants its place: then `close` is called with it, and releases it."""
        self._idle[is_exchanger][connection] = close
        self._serve()

    def busy(self, connection: object, *, is_exchanger: bool) -> None:
        """It is no longer idle."""
        self._idle[is_exchanger].pop(connection, None)

    def _serve(self) -> None:
        """Places to those who wait, as long as there are any."""
        if self._serving or not (self._waiting[False] or self._waiting[True]):
            return
        self._serving = True
        for is_exchanger in (False, True):
            while self._is_waited_for(is_exchanger) and (self._has_room(is_exchanger) or self._close_one(is_exchanger)):
                if self._has_room(is_exchanger):
                    self._open[is_exchanger] += 1
                    self._waiting[is_exchanger].popleft().set_result(None)
        self._serving = False

    def _is_waited_for(self, is_exchanger: bool) -> bool:
        waiting = self._waiting[is_exchanger]
        while waiting and waiting[0].done():  # cancelled
            waiting.popleft()
        return bool(waiting)

    def _has_room(self, is_exchanger: bool) -> bool:
        return self.taken < self._most[False] and self._has_share(is_exchanger)

    def _has_share(self, is_exchanger: bool) -> bool:
        return not is_exchanger or self._open[True] < self._most[True]

    def _close_one(self, is_exchanger: bool) -> bool:
        """Close one that is idle, so that there is room; False if none is."""
        for kind in (True, False) if self._has_share(is_exchanger) else (True,):
            idle = self._idle[kind]
            if idle:
                connection = next(iter(idle))
                idle.pop(connection)(connection)
                return True
        return False


def default_limit() -> int:
    """Half of the files that this process may open: the others are for sessions and the database."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 10_000 if soft == resource.RLIM_INFINITY else max(8, min(soft // 2, 10_000))
