"""The one HTTP listener: takes connections, as many as there is room for, and gives them to uvicorn in this event loop.

Connections are taken here rather than by asyncio's server, which counts and shows one only when its TLS handshake is
over: whoever opened many and said nothing would have had all of the process's file descriptors.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Final

import structlog
import uvicorn

from outgate.config import WebSettings
from outgate.http.application import HttpApplication
from outgate.http.http_connection import MAX_HEAD, HttpConnection
from outgate.http.peer_limit import PeerLimit
from outgate.peer import network_of

HANDSHAKE_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 5
STOP_SECONDS: Final = 5  # that answers may take while the server stops
NO_DESCRIPTORS_SECONDS: Final = 1.0  # until a connection is tried again, as asyncio's own server does

_log = structlog.get_logger("http")


class HttpListener:
    """Serves an application until it is closed. Speaks TLS if `context` is given; else a proxy may be before it."""

    def __init__(self, application: HttpApplication, settings: WebSettings, context: ssl.SSLContext | None) -> None:
        self._application, self._settings, self._context = application, settings, context
        self._uvicorn = EmbeddedUvicorn(_configuration(application, settings, behind_proxy=context is None))
        self._limit = PeerLimit(settings.max_connections_per_peer, settings.max_connections)
        proxies = settings.trusted_proxies if context is None else ()
        self._proxies = [ip_network(network) for network in proxies]
        self._connections: set[asyncio.Task[None]] = set()
        self._running: list[asyncio.Task[None]] = []
        self.port = 0

    async def open(self) -> None:
        """Listen; OSError names the port that can't be had."""
        listening = _bind(self._settings)
        self.port = listening.getsockname()[1]
        self._running = [
            asyncio.create_task(self._take_connections(listening)),
            asyncio.create_task(self._uvicorn.serve(sockets=[])),  # it listens nowhere itself
        ]

    async def close(self) -> None:
        """Take no new connections, and let open ones have their answers."""
        if self._running:
            taking, serving = self._running
            await _cancel([taking])
            self._uvicorn.should_exit = True
            await serving
            await _cancel(list(self._connections))
        await self._application.close()

    async def _take_connections(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    connection, address = await loop.sock_accept(listening)
                except OSError as error:
                    _log.error("a connection could not be taken", error=str(error))
                    await asyncio.sleep(NO_DESCRIPTORS_SECONDS)
                else:
                    self._take(connection, address[0])

    def _take(self, connection: socket.socket, host: str) -> None:
        network = network_of(host)
        if not self._limit.enter(network, exempt=self._is_proxy(host)):
            connection.close()
            return
        task = asyncio.create_task(self._serve(connection))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: self._limit.leave(network))

    async def _serve(self, connection: socket.socket) -> None:
        """One connection, from its handshake to its end."""
        protocol = self._uvicorn.connection()
        timeout = HANDSHAKE_SECONDS if self._context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context, ssl_handshake_timeout=timeout
            )
        except OSError:  # the handshake failed (SSLError is one), or took too long
            connection.close()
            return
        try:
            await asyncio.shield(protocol.lost)
        finally:
            if not protocol.lost.done():
                protocol.transport.abort()

    def _is_proxy(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._proxies)


class EmbeddedUvicorn(uvicorn.Server):
    """uvicorn within another program: the signals are that one's, and connections are given to it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the whole server."""
        yield

    def connection(self) -> HttpConnection:
        """What to speak HTTP with on a new connection."""
        return HttpConnection(self.config, self.server_state, {})


def _configuration(application: HttpApplication, settings: WebSettings, *, behind_proxy: bool) -> uvicorn.Config:
    configuration = uvicorn.Config(
        application,
        http=HttpConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.CRITICAL,  # its own lines have URLs, and with them tokens; error_response logs what fails
        access_log=False,
        server_header=False,
        proxy_headers=behind_proxy,
        forwarded_allow_ips=list(settings.trusted_proxies),
        h11_max_incomplete_event_size=MAX_HEAD,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    configuration.load()
    return configuration


def _bind(settings: WebSettings) -> socket.socket:
    address, port = settings.address, settings.port
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listening = socket.create_server((address, port), family=family, backlog=settings.max_connections)
    except OSError as error:
        raise OSError(error.errno, f"can't listen on {address}, port {port} (web): {error.strerror}") from None
    listening.setblocking(False)
    return listening


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
