"""How many connections a process has open in all, to whatever destinations. Knows no destination and no socket.

Whoever names recipients names exchangers, and a thousand that are silent must not take all files that the system lets
a process open. So a part of the connections is kept for what the organisation or a user has set up.
"""

import asyncio
import resource
from collections import deque
from collections.abc import Callable
from typing import Final

KEPT: Final = 4  # a quarter of the connections is not for exchangers


class ConnectionLimit:
    """Places, given in the order of asking; who asks in vain gets that of the connection that is idle for longest."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._kept = most // KEPT
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {False: deque(), True: deque()}  # by is_exchanger
        self._idle: dict[object, Callable[[], None]] = {}  # longest first

    @property
    def free(self) -> int:
        """How many more may be opened."""
        return self._free

    async def take(self, *, is_exchanger: bool) -> None:
        """A place for one more connection, in its turn; it is to be released."""
        if not self._waiting[is_exchanger] and self._has_room(is_exchanger):
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[is_exchanger].append(turn)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """The connection is closed."""
        self._free += 1
        self._serve()

    def idle(self, connection: object, close: Callable[[], None]) -> None:
        """It is kept warm, unless somebody wants its place: then it is to close, which releases it."""
        self._idle[connection] = close
        self._serve()

    def busy(self, connection: object) -> None:
        """It is no longer idle."""
        self._idle.pop(connection, None)

    def _has_room(self, is_exchanger: bool) -> bool:
        return self._free > (self._kept if is_exchanger else 0)

    def _serve(self) -> None:
        """Places to those who wait, as long as there are any."""
        for is_exchanger, waiting in self._waiting.items():
            while waiting and self._has_room(is_exchanger):
                turn = waiting.popleft()
                if not turn.done():
                    self._free -= 1
                    turn.set_result(None)
            if any(not turn.done() for turn in waiting) and self._idle:
                self._idle.pop(next(iter(self._idle)))()  # comes back here by release
                return


def default_limit() -> int:
    """Half of the files that this process may open: the others are for sessions and the database."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 10_000 if soft == resource.RLIM_INFINITY else max(8, min(soft // 2, 10_000))
