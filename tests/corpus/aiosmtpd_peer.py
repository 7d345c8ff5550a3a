"""The receiving peer built on aiosmtpd: a server of other people's, without PIPELINING, CHUNKING and DSN.

async with AiosmtpdPeer() as peer:
    ...                                    # deliver to peer.host:peer.port
    [received] = await peer.wait_for(1)
"""

import asyncio
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from corpus.inbox import Inbox, Received, params


@dataclass
class AiosmtpdPeer(Inbox):
    """A server on loopback, at a free port unless told otherwise; `tls` and `credentials` as with RawPeer."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    credentials: Mapping[str, str] | None = None
    smtputf8: bool = True
    hostname: str = "peer.example"
    _server: asyncio.Server | None = None
    _protocols: list[Any] = field(default_factory=list)  # aiosmtpd publishes no types

    async def __aenter__(self) -> Self:
        context = self.tls if self.implicit_tls else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, self.host, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
        for protocol in self._protocols:
            if protocol.transport:
                protocol.transport.close()
        handlers = [protocol._handler_coroutine for protocol in self._protocols if protocol._handler_coroutine]
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    def _protocol(self) -> asyncio.BaseProtocol:
        self.connections += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of AUTH without STARTTLS, also under implicit TLS
            protocol = SMTP(
                self,
                loop=asyncio.get_running_loop(),
                hostname=self.hostname,
                data_size_limit=64 * 1024 * 1024,
                enable_SMTPUTF8=self.smtputf8,
                tls_context=None if self.implicit_tls else self.tls,
                auth_required=self.credentials is not None,
                auth_require_tls=bool(self.tls) and not self.implicit_tls,
                authenticator=self._authenticate,
            )
        self._protocols.append(protocol)
        return protocol

    def _authenticate(self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and self.credentials is not None
        right = known and self.credentials.get(data.login.decode()) == data.password.decode()  # type: ignore[union-attr]  # known says so
        return AuthResult(success=right, handled=False, auth_data=data)

    # The name is aiosmtpd's; None for its default reply is not among what a hook may return.
    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """A message has come whole."""
        assert envelope.original_content is not None
        assert session.peer
        await self.put(
            Received(
                reverse_path=envelope.mail_from or "",
                recipients=[_quoted(address) for address in envelope.rcpt_tos],
                content=envelope.original_content,
                mail_params=params(" ".join(envelope.mail_options)),
                rcpt_params=[{} for _ in envelope.rcpt_tos],
                by="DATA",
                hello=session.host_name or "",
                tls=_version(server.transport),
                username=session.auth_data.login.decode() if session.auth_data else None,
                client=session.peer[0],
            )
        )
        return f"250 2.0.0 Ok: queued as {len(self.messages)}"


def _version(transport: asyncio.Transport) -> str | None:
    secured = transport.get_extra_info("ssl_object")
    return secured.version() if secured else None


def _quoted(address: str) -> str:
    """aiosmtpd takes a quoted local part's quotes away (RFC 5321 section 4.1.2): they are put back where needed."""
    local, _, domain = address.rpartition("@")
    needs_quotes = not all(local.split(".")) and not local.startswith('"')
    return f'"{local}"@{domain}' if needs_quotes else address
