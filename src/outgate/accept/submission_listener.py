"""The listeners of submission: STARTTLS (587) and implicit TLS (465). Opens and closes them; sessions do the rest."""

import asyncio
import weakref

import structlog

from outgate.accept.session import HANDSHAKE_TIMEOUT, Session
from outgate.accept.session_services import SessionServices
from outgate.accept.tls import CertificateError

STORING = 30.0  # seconds that a message may take to be stored while the server stops

_log = structlog.get_logger("accept")


class SubmissionListener:
    """Accepts submissions until it is closed."""

    def __init__(self, services: SessionServices) -> None:
        self._services = services
        self._servers: list[asyncio.Server] = []
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self.ports: dict[str, int] = {}

    async def open(self) -> None:
        """Bind both ports; OSError names the one that can't be had."""
        settings = self._services.config.submission
        for name, port, implicit in (("starttls", settings.starttls_port, False), ("tls", settings.tls_port, True)):
            server = await self._bind(settings.address, port, implicit_tls=implicit)
            self._servers.append(server)
            self.ports[name] = server.sockets[0].getsockname()[1]

    async def _bind(self, address: str, port: int, *, implicit_tls: bool) -> asyncio.Server:
        def session() -> Session:
            made = Session(self._services, implicit_tls=implicit_tls)
            self._sessions.add(made)
            return made

        context = self._services.certificate.context if implicit_tls else None
        timeout = HANDSHAKE_TIMEOUT if implicit_tls else None
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            session,
            address,
            port,
            ssl=context,
            ssl_handshake_timeout=timeout,
            backlog=1024,
            reuse_address=True,
            reuse_port=self._services.config.processes > 1,
        )

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
        for server in self._servers:
            server.close()
        busy = [answer for session in list(self._sessions) if (answer := session.stop())]
        if busy:
            await asyncio.wait(busy, timeout=STORING)
        await asyncio.gather(*self._services.tasks, return_exceptions=True)
