"""Takes TCP connections, as many as there is room for, and gives each to whoever speaks on it. Knows no protocol.

Connections are taken here rather than by asyncio's server, which counts and shows one only when its TLS handshake is
over: whoever opened many and said nothing would have had all of the process's file descriptors.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog
from prometheus_client import Counter

from outgate import peer
from outgate.peer_limit import PeerLimit

HANDSHAKE_SECONDS: Final = 10.0  # for TLS, wherever a connection was taken here
NO_DESCRIPTORS_SECONDS: Final = 1.0  # until a connection is tried again, as asyncio's own server does
TOLD_EVERY: Final = 60.0  # seconds between two lines of the log about connections that are turned away

# Speaks on a connection of a peer until it is over, and closes it.
Serve = Callable[[socket.socket, str], Awaitable[None]]

_TURNED_AWAY = Counter("outgate_connections_turned_away", "Connections closed at once, too many being open", ["door"])
_NOT_ADMITTED = Counter(
    "outgate_connections_not_admitted", "Connections closed at once, of peers not trusted", ["door"]
)

_log = structlog.get_logger("outgate")


class TcpListener:
    """Takes connections from one listening socket until it is closed.

    `door` names it in the log. A peer that it does not admit (`admits`) hears `refusal` and no more. A peer is counted
    as `counted_as` says (peer.py), unless it is `exempt`; who finds no room in `limit`, which listeners may share,
    hears `farewell` and no more.
    """

    def __init__(
        self,
        door: str,
        limit: PeerLimit,
        serve: Serve,
        *,
        counted_as: Callable[[str], str] = peer.holder_of,
        exempt: Callable[[str], bool] = lambda _: False,
        farewell: bytes = b"",
        admits: Callable[[str], bool] = lambda _: True,
        refusal: bytes = b"",
    ) -> None:
        self._door, self._limit, self._serve = door, limit, serve
        self._counted_as, self._exempt, self._admits = counted_as, exempt, admits
        self._no_room = TurnedAway("too many connections", door, farewell, _TURNED_AWAY)
        self._not_admitted = TurnedAway("not trusted", door, refusal, _NOT_ADMITTED)
        self._connections: set[asyncio.Task[None]] = set()
        self._taking: asyncio.Task[None] | None = None
        self.port = 0

    def open(self, listening: socket.socket) -> None:
        """Take connections from now on. The socket is closed with the listener."""
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        self._taking = asyncio.get_running_loop().create_task(self._take_connections(listening), name=self._door)

    async def stop_taking(self) -> None:
        """Take no new connections; those that are open go on."""
        if self._taking:
            await _cancel([self._taking])

    async def close(self, grace: float = 0.0) -> None:
        """End the connections that are still open, too; they have `grace` seconds to end by themselves."""
        await self.stop_taking()
        if grace and self._connections:
            await asyncio.wait(self._connections, timeout=grace)
        await _cancel(self._connections)

    async def _take_connections(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    connection, address = await loop.sock_accept(listening)
                except OSError as error:
                    _log.error("a connection could not be taken", door=self._door, error=str(error))
                    await asyncio.sleep(NO_DESCRIPTORS_SECONDS)
                else:
                    self._take(connection, peer.plain(address[0]))
                    await asyncio.sleep(0)  # a flood must not have the loop for itself

    def _take(self, connection: socket.socket, host: str) -> None:
        if not self._admits(host):
            self._not_admitted.turn_away(connection, host)
            return
        counted = self._counted_as(host)
        if not self._limit.enter(counted, exempt=self._exempt(host)):
            self._no_room.turn_away(connection, host)
            return
        task = asyncio.get_running_loop().create_task(self._ended(connection, host))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: self._limit.leave(counted))

    async def _ended(self, connection: socket.socket, host: str) -> None:
        try:
            await self._serve(connection, host)
        except Exception:  # one connection's fault must not be the end of others, nor stay unknown
            _log.exception("connection failed", door=self._door, peer=host)


class TurnedAway:
    """Those who are sent away by a door for one reason: each is counted; the log tells of them once in a while."""

    def __init__(self, reason: str, door: str, word: bytes, counter: Counter) -> None:
        self._reason, self._door, self._word, self._counter = reason, door, word, counter
        self._untold = 0  # since the log last told of it
        self._told_at = float("-inf")

    def turn_away(self, connection: socket.socket, host: str) -> None:
        """Close a connection that nothing was read from, with a word if there is one."""
        with connection:
            if self._word:
                try:
                    connection.setblocking(False)
                    connection.send(self._word)
                except OSError:
                    pass  # gone, or it does not read
        self._counter.labels(self._door).inc()
        self._untold += 1
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= TOLD_EVERY:
            _log.warning(self._reason, door=self._door, peer=host, turned_away=self._untold)
            self._told_at, self._untold = now, 0


def bind(address: str, port: int, *, backlog: int, shared: bool = False, dual: bool = False) -> socket.socket:
    """A listening socket. `shared` lets other processes listen there too; with `dual`, `::` is IPv4 as well.

    Raises OSError.
    """
    return socket.create_server(
        (address, port),
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        backlog=backlog,
        reuse_port=shared,
        dualstack_ipv6=dual and address == "::" and socket.has_dualstack_ipv6(),
    )


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
