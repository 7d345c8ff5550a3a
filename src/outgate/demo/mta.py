"""What the servers of the small internet share: listening (aiosmtpd), a trace line, handing over to the next server.

Knows no party. None of it is Outgate's own SMTP code, so that an error there can't hide behind the same error here.
"""

import asyncio
import contextlib
import email
import email.policy
import email.utils
import logging
import secrets
import smtplib
import ssl
import weakref
from collections.abc import AsyncIterator
from dataclasses import field
from typing import Any

import dns.exception
import dns.resolver
from aiosmtpd.smtp import SMTP, Envelope, Session

from outgate import clock
from outgate.demo.network import VirtualHost
from outgate.frozen import frozen

MAX_BYTES = 64 * 1024 * 1024
_SESSION_SECONDS = 120
_HAND_OVER_SECONDS = 20

logger = logging.getLogger(__name__)
# aiosmtpd 1.4.6 warns there, at each log-in, of an attribute that nobody but itself sets.
logging.getLogger("mail.log").setLevel(logging.ERROR)


@frozen
class ReceivedMessage:
    """One message as a client gave it: who from, envelope and content. `queue_id` is this server's name for it."""

    queue_id: str
    address: str
    helo: str
    protocol: str
    reverse_path: str
    recipients: tuple[str, ...]
    options: tuple[str, ...]
    content: bytes = field(repr=False)


@frozen
class ReceivedEntry:
    """A line of a server's own log: it handed this message over."""

    queue_id: str
    reverse_path: str
    recipients: tuple[str, ...]
    message_id: str


class MailServer:
    """The hooks of aiosmtpd that are the same for all; a party adds handle_MAIL, handle_RCPT and handle_DATA."""

    offers_auth = False

    async def handle_EHLO(  # noqa: N802 -- aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, name: str, replies: list[str]
    ) -> list[str]:
        """Offer AUTH only where somebody can log in: aiosmtpd offers it to everyone under TLS."""
        session.host_name = name
        return [reply for reply in replies if self.offers_auth or not reply.startswith("250-AUTH")]

    async def handle_exception(self, error: Exception) -> str:
        """A fault of the demonstration itself: told to whoever runs it, not to the peer."""
        logger.error("a server of the demonstration failed", exc_info=error)
        return "451 4.3.0 local error in processing"


@contextlib.asynccontextmanager
async def listening(
    handler: MailServer, host: VirtualHost, port: int, tls: ssl.SSLContext, **options: Any
) -> AsyncIterator[None]:
    """Serve SMTP on the host's address until the block ends; `options` are those of aiosmtpd's SMTP.

    On asyncio's own loop only: aiosmtpd's STARTTLS reaches into its transports.
    """
    loop = asyncio.get_running_loop()
    sessions: weakref.WeakSet[SMTP] = weakref.WeakSet()

    def session() -> SMTP:
        protocol = SMTP(
            handler,
            hostname=host.name,
            ident="ESMTP",
            tls_context=tls,
            loop=loop,
            enable_SMTPUTF8=True,
            data_size_limit=MAX_BYTES,
            timeout=_SESSION_SECONDS,
            **options,
        )
        sessions.add(protocol)
        return protocol

    server = await loop.create_server(session, host.address, port)
    try:
        yield
    finally:
        server.close()
        for protocol in list(sessions):
            if isinstance(protocol.transport, asyncio.Transport):
                protocol.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)  # lets the aborted transports tell their protocols


def incoming(session: Session, envelope: Envelope) -> ReceivedMessage:
    """What aiosmtpd has at the end of DATA, with the types that it has by then."""
    assert session.peer
    assert isinstance(envelope.content, bytes)
    return ReceivedMessage(
        queue_id=secrets.token_hex(5).upper(),
        address=session.peer[0],
        helo=session.host_name or "",
        protocol="ESMTP" + ("S" if session.ssl else "") + ("A" if session.authenticated else ""),  # RFC 3848
        reverse_path=envelope.mail_from or "",
        recipients=tuple(envelope.rcpt_tos),
        options=tuple(envelope.mail_options),
        content=envelope.content,
    )


def entry(message: ReceivedMessage) -> ReceivedEntry:
    """The line for the log."""
    parsed = email.message_from_bytes(message.content, policy=email.policy.default)
    return ReceivedEntry(message.queue_id, message.reverse_path, message.recipients, str(parsed["Message-ID"] or ""))


def traced(host: VirtualHost, message: ReceivedMessage) -> bytes:
    """The content with this host's Received line before it (RFC 5321 section 4.4)."""
    now = email.utils.formatdate(clock.now())
    line = (
        f"Received: from {message.helo} ([{message.address}])\r\n"
        f"\tby {host.name} with {message.protocol} id {message.queue_id};\r\n\t{now}\r\n"
    )
    return line.encode() + message.content


@frozen
class Outbound:
    """The way out of a server: from its own address, to the common port, over TLS of the authority that it trusts."""

    source: VirtualHost
    port: int
    tls: ssl.SSLContext

    async def hand_over(self, message: ReceivedMessage, content: bytes) -> str:
        """Give `content` to the MX of the message's recipients; returns the reply for the client.

        There is no queue here: the answer to the client waits for the next server's. All recipients must be of one
        domain.
        """
        domains = {recipient.rpartition("@")[2].lower() for recipient in message.recipients}
        if len(domains) != 1:
            return "451 4.5.3 one domain a message, please"
        try:
            await asyncio.to_thread(self._transfer, domains.pop(), message, content)
        except smtplib.SMTPRecipientsRefused as error:
            return _reply(*next(iter(error.recipients.values())))
        except smtplib.SMTPResponseException as error:
            return _reply(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException, dns.exception.DNSException):
            return "451 4.4.1 the recipient's mail server can't be reached"
        return f"250 2.0.0 OK, queued as {message.queue_id}"

    def _transfer(self, domain: str, message: ReceivedMessage, content: bytes) -> None:
        exchange = min(dns.resolver.resolve(domain, "MX"), key=lambda record: int(record.preference))
        address = str(dns.resolver.resolve(exchange.exchange, "A")[0])
        passed_on = [option for option in message.options if option.upper().startswith(("SMTPUTF8", "BODY="))]
        with smtplib.SMTP(
            address,
            self.port,
            local_hostname=self.source.name,
            timeout=_HAND_OVER_SECONDS,
            source_address=(self.source.address, 0),
        ) as client:
            client.starttls(context=self.tls)
            client.sendmail(message.reverse_path, list(message.recipients), content, mail_options=passed_on)


def _reply(code: int, text: bytes | str) -> str:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(shown.split())}"
