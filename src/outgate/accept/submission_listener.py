"""The doors of submission: STARTTLS (587) and implicit TLS (465). Opens and closes them; sessions do the rest."""

import asyncio
import socket
import ssl
import weakref
from functools import partial

import structlog
from prometheus_client import Gauge

from outgate.accept.session import Session
from outgate.accept.session_services import SessionServices
from outgate.accept.tls import CertificateError
from outgate.peer_limit import PeerLimit
from outgate.tcp_listener import HANDSHAKE_SECONDS, TcpListener, bind

STORING = 30.0  # seconds that a message may take to be stored while the server stops
FAREWELL = 0.5  # seconds that clients have to read that the server stops
BACKLOG = 1024
TOO_MANY_SESSIONS = b"421 4.7.0 Too many connections; try again later\r\n"

_SESSIONS = Gauge("outgate_submission_sessions", "Sessions of mail programs that are open")

_log = structlog.get_logger("accept")


class SubmissionListener:
    """Accepts submissions until it is closed: at most `max_sessions` at once, over both doors."""

    def __init__(self, services: SessionServices, max_sessions: int) -> None:
        self._services = services
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        limit = PeerLimit(services.config.submission.max_sessions_per_peer, max_sessions)
        context = services.certificate.context
        self._doors = {
            # In the clear there is a word for who finds no room; a handshake for it would be dear.
            "starttls": TcpListener("starttls", limit, partial(self._serve, context=None), farewell=TOO_MANY_SESSIONS),
            "tls": TcpListener("tls", limit, partial(self._serve, context=context)),
        }

    @property
    def ports(self) -> dict[str, int]:
        """Where it listens, by door."""
        return {name: door.port for name, door in self._doors.items()}

    async def open(self) -> None:
        """Bind both ports; OSError names the one that can't be had."""
        settings = self._services.config.submission
        shared = self._services.config.processes > 1
        for name, port in (("starttls", settings.starttls_port), ("tls", settings.tls_port)):
            try:
                listening = bind(settings.address, port, backlog=BACKLOG, shared=shared, dual=True)
            except OSError as error:
                where = f"{settings.address}, port {port} ({name})"
                raise OSError(error.errno, f"can't listen on {where}: {error.strerror}") from None
            self._doors[name].open(listening)

    def reload_certificate(self) -> None:
        """Read the certificate again (SIGHUP)."""
        try:
            self._services.certificate.reload()
        except CertificateError as error:
            _log.error("certificate not reloaded, the former one stays in use", error=str(error))
        else:
            _log.info("certificate reloaded")

    async def close(self) -> None:
        """Take no new connections, let open sessions store what they are storing, say 421 to the rest."""
        for door in self._doors.values():
            await door.stop_taking()
        busy = [answer for session in list(self._sessions) if (answer := session.stop())]
        if busy:
            await asyncio.wait(busy, timeout=STORING)
        await asyncio.gather(*self._services.tasks, return_exceptions=True)
        for door in self._doors.values():
            await door.close(FAREWELL)

    async def _serve(self, connection: socket.socket, host: str, *, context: ssl.SSLContext | None) -> None:
        """One connection, from its handshake to its end."""
        session = Session(self._services, host, implicit_tls=context is not None)
        self._sessions.add(session)
        timeout = HANDSHAKE_SECONDS if context else None
        with _SESSIONS.track_inprogress():
            try:
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: session, connection, ssl=context, ssl_handshake_timeout=timeout
                )
            except OSError:  # the handshake failed (SSLError is one), or took too long
                connection.close()
                return
            try:
                await asyncio.shield(session.lost)
            finally:
                session.abort()
