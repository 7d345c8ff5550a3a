"""The partner: a mail server for `dominiopartner.example`, built from aiosmtpd and dkimpy.

Its submission port wants TLS and a log-in, signs with the domain's key and keeps a log; its MX keeps the mail of its
one mailbox in memory. It doesn't know that Outgate exists: to it, Outgate is a mail program of its user.
"""

import asyncio
import base64
import secrets
from contextlib import AsyncExitStack

import dkim
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from outgate.demo import mta, zones
from outgate.demo.arrival import Arrivals, examine
from outgate.demo.certificates import Authority
from outgate.demo.network import PARTNER, Network, VirtualHost

SELECTOR = "partner"


class Partner:
    """`user` and `password` open its submission port; `log` is what it handed over; `mailbox` what came for `user`."""

    def __init__(self, network: Network, authority: Authority, kept: Arrivals) -> None:
        self.user = f"alice@{PARTNER}"
        self.password = secrets.token_urlsafe(12)
        self.log: list[mta.ReceivedEntry] = []
        self.mailbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._network = network
        self._authority = authority
        self._kept = kept
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def dns_record(self) -> str:
        """The record with the public half of the signing key."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return zones.key(PARTNER, SELECTOR, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}")

    def sign(self, content: bytes) -> bytes:
        """The message with the domain's DKIM signature before it."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        signature: bytes = dkim.sign(content, SELECTOR.encode(), PARTNER.encode(), pem)
        return signature + content

    async def start(self, stack: AsyncExitStack) -> None:
        """Listen until the stack is closed."""
        host, tls = self._network.partner, self._authority.server_context(self._network.partner)
        way_out = mta.Outbound(host, self._network.smtp_port, self._authority.client_context())
        await stack.enter_async_context(mta.listening(_Mailbox(self, self._kept), host, self._network.smtp_port, tls))
        await stack.enter_async_context(
            mta.listening(
                _Submission(self, host, way_out),
                host,
                self._network.submission_port,
                tls,
                require_starttls=True,
                auth_required=True,
                authenticator=self._authenticate,
            )
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        given = data if isinstance(data, LoginPassword) else LoginPassword(b"", b"")
        good = given.login == self.user.encode() and secrets.compare_digest(given.password, self.password.encode())
        return AuthResult(success=good, handled=False)


class _Submission(mta.MailServer):
    """Takes mail from the partner's own users, signs it and delivers it."""

    offers_auth = True

    def __init__(self, partner: Partner, host: VirtualHost, way_out: mta.Outbound) -> None:
        self._partner = partner
        self._host = host
        self._way_out = way_out

    async def handle_MAIL(  # noqa: N802 -- aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Its user's own address only, as a well-kept server has it."""
        if address.lower() != self._partner.user:
            return f"553 5.7.1 <{address}>: sender address not owned by {self._partner.user}"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- as above
        message = mta.incoming(session, envelope)
        reply = await self._way_out.hand_over(message, self._partner.sign(mta.traced(self._host, message)))
        if reply.startswith("250"):
            self._partner.log.append(mta.entry(message))
        return reply


class _Mailbox(mta.MailServer):
    """The MX of the partner's domain, with one mailbox."""

    def __init__(self, partner: Partner, kept: Arrivals) -> None:
        self._partner = partner
        self._kept = kept

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.lower() != self._partner.user:
            return f"550 5.1.1 <{address}>: no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- as above
        message = mta.incoming(session, envelope)
        self._kept.keep(await asyncio.to_thread(examine, message))
        self._partner.mailbox.put_nowait(message.content)
        return "250 2.0.0 OK"
