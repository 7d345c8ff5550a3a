"""The pages' listener: uvicorn within the server's event loop. Opens and closes it, and bounds its connections."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from outgate.config import WebSettings
from outgate.web.app import application
from outgate.web.confirmation_page import ConfirmationPage

MAX_CONNECTIONS: Final = 200  # they share the process's file descriptors with SMTP
CONNECTION_SECONDS: Final = 30.0  # a connection's whole life, however slowly its peer writes or reads
MAX_HEAD: Final = 8192  # bytes of a request's head
IDLE_SECONDS: Final = 5
STOPPING: Final = 5  # seconds that answers may take while the server stops
PROXIES: Final = "127.0.0.0/8, ::1"


class HttpListener:
    """Serves the pages until it is closed. Speaks TLS if `context` is given; else a proxy may be before it."""

    def __init__(self, confirmation: ConfirmationPage, settings: WebSettings, context: ssl.SSLContext | None) -> None:
        self._confirmation, self._settings = confirmation, settings
        self._server = _Server(_uvicorn(application(confirmation), context))
        self._serving: asyncio.Task[None] | None = None
        self.port = 0

    async def open(self) -> None:
        """Listen; OSError names the port that can't be had."""
        listening = _bind(self._settings.address, self._settings.port)
        self.port = listening.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([listening]))

    async def close(self) -> None:
        """Take no new connections, and let open ones have their answers."""
        if self._serving:
            self._server.should_exit = True
            await self._serving
        await self._confirmation.close()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the whole server."""
        yield


class _Connection(H11Protocol):
    """uvicorn has no limit on how long a request's head may take."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # narrower, as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._end = asyncio.get_running_loop().call_later(CONNECTION_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end:
            self._end.cancel()
        super().connection_lost(exc)


def _uvicorn(app: ASGIApp, context: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.CRITICAL,  # its lines have URLs, and with them tokens; web.security_headers logs what fails
        access_log=False,
        server_header=False,
        proxy_headers=context is None,
        forwarded_allow_ips=PROXIES,
        h11_max_incomplete_event_size=MAX_HEAD,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOPPING,
        ssl_context_factory=(lambda *_: context) if context else None,
    )


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise OSError(error.errno, f"can't listen on {address}, port {port} (web): {error.strerror}") from None
