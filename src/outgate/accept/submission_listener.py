"""The doors of submission: STARTTLS (587), implicit TLS (465), and one for servers in front, if it is set. Opens and
closes them; sessions do the rest.
"""

import asyncio
import socket
import ssl
import weakref
from contextlib import ExitStack
from functools import partial
from ipaddress import ip_network

import structlog
from prometheus_client import Gauge

from outgate.accept.relay_session import RelaySession
from outgate.accept.session import Session
from outgate.accept.session_services import SessionServices
from outgate.accept.tls import CertificateError
from outgate.peer import is_within
from outgate.peer_limit import PeerLimit
from outgate.tcp_listener import HANDSHAKE_SECONDS, TcpListener, bind

STORING = 30.0  # seconds that a message may take to be stored while the server stops
FAREWELL = 0.5  # seconds that clients have to read that the server stops
BACKLOG = 1024
NOT_TRUSTED = b"554 5.7.1 This port is for trusted servers (relay.trusted_networks)\r\n"
TOO_MANY_SESSIONS = b"421 4.7.0 Too many connections; try again later\r\n"

_SESSIONS = Gauge("outgate_submission_sessions", "Sessions of mail programs that are open")

_log = structlog.get_logger("accept")


class SubmissionListener:
    """Accepts submissions until it is closed: at most `max_sessions` at once, over both doors."""

    def __init__(self, services: SessionServices, max_sessions: int) -> None:
        self._services = services
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._is_open = False
        limit = PeerLimit(services.config.submission.max_sessions_per_peer, max_sessions)
        context = services.certificate.context
        self._doors = {
            # In the clear there is a word for who finds no room; a handshake for it would be dear.
            "starttls": TcpListener("starttls", limit, partial(self._serve, context=None), farewell=TOO_MANY_SESSIONS),
            "tls": TcpListener("tls", limit, partial(self._serve, context=context)),
        }
        if services.config.relay.port:
            trusted = [ip_network(one) for one in services.config.relay.trusted_networks]
            self._doors["relay"] = TcpListener(
                "relay",
                limit,
                self._serve_relay,
                farewell=TOO_MANY_SESSIONS,
                admits=partial(is_within, networks=trusted),
                refusal=NOT_TRUSTED,
            )

    @property
    def ports(self) -> dict[str, int]:
        """Where it listens, by door."""
        return {name: door.port for name, door in self._doors.items()}

    @property
    def is_open(self) -> bool:
        """Whether it takes connections."""
        return self._is_open

    async def open(self) -> None:
        """Take connections at all ports, or at none: OSError names the one that can't be had."""
        with ExitStack() as bound:
            listening = {name: bound.enter_context(self._bind(name)) for name in self._doors}
            bound.pop_all()  # each is its door's now
        for name, door in self._doors.items():
            door.open(listening[name])
        self._is_open = True

    def _bind(self, name: str) -> socket.socket:
        settings = self._services.config.submission
        shared = self._services.config.processes > 1
        relay = self._services.config.relay
        places = {
            "starttls": (settings.address, settings.starttls_port),
            "tls": (settings.address, settings.tls_port),
            "relay": (relay.address, relay.port),
        }
        address, port = places[name]
        try:
            return bind(address, port, backlog=BACKLOG, shared=shared, dual=True)
        except OSError as error:
            where = f"{address}, port {port} ({name})"
            raise OSError(error.errno, f"can't listen on {where}: {error.strerror}") from None

    def reload_certificate(self) -> None:
        """Read the certificate again (SIGHUP)."""
        try:
            self._services.certificate.reload()
        except CertificateError as error:
            _log.error("certificate not reloaded, the former one stays in use", error=str(error))
        else:
            _log.info("certificate reloaded")

    async def close(self) -> None:
        """As `drain`; then whoever is still there is sent away."""
        await self.drain()
        for door in self._doors.values():
            await door.close(FAREWELL)

    async def drain(self) -> None:
        """Take no new connections until `open`, let sessions store what they are storing, say 421 to the rest."""
        self._is_open = False
        for door in self._doors.values():
            await door.stop_taking()
        busy = [answer for session in list(self._sessions) if (answer := session.stop())]
        if busy:
            await asyncio.wait(busy, timeout=STORING)
        await asyncio.gather(*self._services.tasks, return_exceptions=True)

    async def _serve(self, connection: socket.socket, host: str, *, context: ssl.SSLContext | None) -> None:
        """One connection of a mail program."""
        await self._drive(Session(self._services, host, implicit_tls=context is not None), connection, context)

    async def _serve_relay(self, connection: socket.socket, host: str) -> None:
        """One of a server in front."""
        await self._drive(RelaySession(self._services, host, implicit_tls=False), connection, None)

    async def _drive(self, session: Session, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        """From its handshake to its end."""
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
