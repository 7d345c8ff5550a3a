"""The recipients' server: checks SPF, DKIM and DMARC of what comes and says what its user would see.

It believes only what it finds itself: the peer's address, its name by reverse DNS, the message.
"""

import asyncio
import email
import email.policy
from contextlib import AsyncExitStack
from email.message import EmailMessage

import dns.exception
import dns.resolver
from aiosmtpd.smtp import SMTP, Envelope, Session

from outgate.demo import mta
from outgate.demo.certificates import Authority
from outgate.demo.checks import Checks, check
from outgate.demo.network import RECIPIENTS, Network
from outgate.frozen import frozen


@frozen
class Arrival:
    """One message as it reached its recipient."""

    message_id: str
    subject: str
    header_from: str
    sender: str | None
    envelope_from: str
    delivered_by: str
    checks: Checks

    @property
    def on_behalf_of(self) -> bool:
        """RFC 5322 section 3.6.2: Sender says who sent it for the author."""
        return self.sender is not None and self.sender != self.header_from

    @property
    def shown_as(self) -> str:
        """The author as a recipient's program shows it, in the order of Google's page on per-user gateways."""
        return f"{self.header_from} on behalf of {self.sender}" if self.on_behalf_of else self.header_from

    @property
    def shown_by_outlook(self) -> str:
        """The same as Outlook writes it: the other way round."""
        return f"{self.sender} on behalf of {self.header_from}" if self.on_behalf_of else self.header_from

    @property
    def folder(self) -> str:
        """Where it is filed: what fails DMARC goes where the author's domain asks."""
        return "junk" if self.checks.dmarc == "fail" and self.checks.policy != "none" else "inbox"


class RecipientServer(mta.MailServer):
    """Every address of the recipients' domain exists; `arrivals` are to be taken from the queue."""

    def __init__(self, network: Network, authority: Authority) -> None:
        self.address = f"carol@{RECIPIENTS}"
        self.arrivals: asyncio.Queue[Arrival] = asyncio.Queue()
        self._network = network
        self._authority = authority

    async def start(self, stack: AsyncExitStack) -> None:
        """Listen until the stack is closed."""
        host = self._network.recipient
        tls = self._authority.server_context(host)
        await stack.enter_async_context(mta.listening(self, host, self._network.smtp_port, tls))

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.rpartition("@")[2].lower() != RECIPIENTS:
            return "550 5.7.1 this server takes mail for its own domain only"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- as above
        self.arrivals.put_nowait(await asyncio.to_thread(examine, mta.incoming(session, envelope)))
        return "250 2.0.0 OK"


def examine(incoming: mta.ReceivedMessage) -> Arrival:
    """What the server learns of a message. Blocks on DNS."""
    message = email.message_from_bytes(incoming.content, policy=email.policy.default)
    return Arrival(
        message_id=str(message["Message-ID"] or ""),
        subject=str(message["Subject"] or ""),
        header_from=_address(message, "From") or "",
        sender=_address(message, "Sender"),
        envelope_from=incoming.reverse_path,
        delivered_by=_host_name(incoming.address),
        checks=check(incoming.content, incoming.address, incoming.helo, incoming.reverse_path),
    )


def _address(message: EmailMessage, field: str) -> str | None:
    """The address alone of From or Sender; the text itself where it can't be parsed."""
    header = message[field]
    if header is None:
        return None
    return header.addresses[0].addr_spec if header.addresses else str(header)


def _host_name(address: str) -> str:
    try:
        return str(dns.resolver.resolve_address(address)[0]).rstrip(".")
    except dns.exception.DNSException:
        return address
