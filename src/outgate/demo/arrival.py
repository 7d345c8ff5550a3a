"""What a receiving server learns of a message, and what its user would see of it.

It believes only what it finds itself: the peer's address, its name by reverse DNS, the message. Knows no server.
"""

import email
import email.policy
from dataclasses import field
from email.message import EmailMessage
from typing import Final

import dns.exception
import dns.resolver

from outgate import clock
from outgate.demo import mta
from outgate.demo.checks import Checks, check
from outgate.frozen import frozen

KEPT: Final = 200  # messages
_TEXT: Final = 20_000  # characters of a message's text


@frozen
class Arrival:
    """One message as it reached its recipients; `at` is in seconds since the epoch."""

    at: float
    recipients: tuple[str, ...]
    message_id: str
    subject: str
    header_from: str
    sender: str | None
    envelope_from: str
    delivered_by: str
    checks: Checks
    text: str = field(repr=False)

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


class Arrivals:
    """What came to all mailboxes outside the organisation: `newest` first, `number` in all."""

    def __init__(self) -> None:
        self.newest: tuple[Arrival, ...] = ()
        self.number = 0

    def keep(self, arrival: Arrival) -> None:
        """Add one; the oldest go. Who reads in another thread has the former ones or these."""
        self.newest = (arrival, *self.newest)[:KEPT]
        self.number += 1


def examine(incoming: mta.ReceivedMessage) -> Arrival:
    """What the server learns of a message. Blocks on DNS."""
    message = email.message_from_bytes(incoming.content, policy=email.policy.default)
    return Arrival(
        at=clock.now(),
        recipients=incoming.recipients,
        message_id=str(message["Message-ID"] or ""),
        subject=str(message["Subject"] or ""),
        header_from=_address(message, "From") or "",
        sender=_address(message, "Sender"),
        envelope_from=incoming.reverse_path,
        delivered_by=_host_name(incoming.address),
        checks=check(incoming.content, incoming.address, incoming.helo, incoming.reverse_path),
        text=_text(message)[:_TEXT],
    )


def _address(message: EmailMessage, field: str) -> str | None:
    """The address alone of From or Sender; the text itself where it can't be parsed."""
    header = message[field]
    if header is None:
        return None
    return header.addresses[0].addr_spec if header.addresses else str(header)


def _text(message: EmailMessage) -> str:
    """The plain text, else the HTML as it was written."""
    body = message.get_body(("plain", "html"))
    try:
        return str(body.get_content()) if body else ""
    except (LookupError, ValueError):  # of a character set that nobody knows
        return ""


def _host_name(address: str) -> str:
    try:
        return str(dns.resolver.resolve_address(address)[0]).rstrip(".")
    except dns.exception.DNSException:
        return address
