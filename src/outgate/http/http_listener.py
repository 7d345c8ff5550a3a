"""The one HTTP listener: gives the connections that there is room for to uvicorn, in this event loop."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_network
from typing import Final

import uvicorn

from outgate.config import WebSettings
from outgate.http.application import HttpApplication
from outgate.http.http_connection import MAX_HEAD, HttpConnection
from outgate.peer import is_within, network_of
from outgate.peer_limit import PeerLimit
from outgate.tcp_listener import HANDSHAKE_SECONDS, TcpListener, bind

IDLE_SECONDS: Final = 5
STOP_SECONDS: Final = 5  # that answers may take while the server stops


class HttpListener:
    """Serves an application until it is closed. Speaks TLS if `context` is given; else a proxy may be before it."""

    def __init__(self, application: HttpApplication, settings: WebSettings, context: ssl.SSLContext | None) -> None:
        self._application, self._settings, self._context = application, settings, context
        self._uvicorn = EmbeddedUvicorn(_configuration(application, settings, behind_proxy=context is None))
        limit = PeerLimit(settings.max_connections_per_peer, settings.max_connections)
        proxies = settings.trusted_proxies if context is None else ()
        is_proxy = partial(is_within, networks=[ip_network(network) for network in proxies])
        self._door = TcpListener("web", limit, self._serve, counted_as=network_of, exempt=is_proxy)
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._door.port

    async def open(self) -> None:
        """Listen; OSError names the port that can't be had."""
        self._door.open(_listening(self._settings))
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets=[]))  # it listens nowhere itself

    async def close(self) -> None:
        """Take no new connections, and let open ones have their answers."""
        if self._serving:
            await self._door.stop_taking()
            self._uvicorn.should_exit = True
            await self._serving
            await self._door.close()
        await self._application.close()

    async def _serve(self, connection: socket.socket, _host: str) -> None:
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


def _listening(settings: WebSettings) -> socket.socket:
    try:
        return bind(settings.address, settings.port, backlog=settings.max_connections)
    except OSError as error:
        where = f"{settings.address}, port {settings.port} (web)"
        raise OSError(error.errno, f"can't listen on {where}: {error.strerror}") from None
