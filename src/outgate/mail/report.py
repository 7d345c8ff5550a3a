"""Writes delivery reports (RFC 3464; RFC 6533 where an address or the original header is UTF-8). Bytes out.

Knows no queue and no account: it is handed what failed. Its envelope sender is null, which is for the caller to set.
"""

import quopri
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from outgate.mail.addresses import ascii_form, format_mailbox
from outgate.mail.headers import format_date


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """One recipient that was given up.

    `original` is ORCPT as the client gave it (`rfc822;addr`, RFC 3461), `status` an RFC 3463 code such as 5.1.1,
    `reply` the remote server's answer and `remote_mta` its name; both None if no server gave one. `reason` says in
    plain words what happened, `advice` what the sender can do.
    """

    address: str
    status: str
    reason: str
    advice: str = ""
    reply: str | None = None
    remote_mta: str | None = None
    original: str | None = None
    last_attempt: float | None = None


def bounce(
    *,
    hostname: str,
    recipient: str,
    failed: Sequence[FailedRecipient],
    original_header: bytes,
    arrived_at: float,
    date: float,
    message_id: str,
    envid: str | None = None,
) -> bytes:
    """The non-delivery report to `recipient`, the sender of the message whose header is `original_header`.

    `original_header` is the block with CRLF line ends, with or without the empty line. `message_id` comes without
    angle brackets. The bytes have UTF-8 (and so ask for SMTPUTF8 or 8BITMIME) only if an address or the header has.
    """
    header = original_header.removesuffix(b"\r\n") if original_header.endswith(b"\r\n\r\n") else original_header
    utf8 = not header.isascii() or any(ascii_form(item.address) is None for item in failed)
    boundary = f"report-{re.sub(r'[^A-Za-z0-9]', '-', message_id)}"[:60]
    parts = [
        _part("text/plain; charset=utf-8", "quoted-printable", _text_part(hostname, failed)),
        _status_part(_status(hostname, failed, arrived_at, envid, utf8=utf8), utf8=utf8),
        _header_part(header),
    ]
    body = b"".join([b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts])
    head = _head(hostname, recipient, date, message_id, boundary, eight_bit=utf8)
    return b"%b\r\nThis is a delivery report in MIME format.\r\n\r\n%b--%b--\r\n" % (head, body, boundary.encode())


def _head(hostname: str, recipient: str, date: float, message_id: str, boundary: str, *, eight_bit: bool) -> bytes:
    sender = format_mailbox("Mail Delivery System", f"MAILER-DAEMON@{hostname}")
    lines = [
        f"From: {sender}",
        f"To: {ascii_form(recipient) or recipient}",
        "Subject: Your message could not be delivered",
        f"Date: {format_date(int(date))}",
        f"Message-ID: <{message_id}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
    ]
    if eight_bit:
        lines.append("Content-Transfer-Encoding: 8bit")
    return "".join([f"{line}\r\n" for line in lines]).encode()


def _part(content_type: str, encoding: str, content: bytes) -> bytes:
    fields = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return fields.encode() + content


def _text_part(hostname: str, failed: Sequence[FailedRecipient]) -> bytes:
    paragraphs = [f"This is the mail server {hostname}. Your message could not be delivered to:"]
    for item in failed:
        paragraphs.append(f"  <{item.address}>")
        paragraphs.append(textwrap.fill(item.reason, 72, initial_indent="    ", subsequent_indent="    "))
        if item.reply:
            said = f"{item.remote_mta or 'The remote server'} said:"
            quoted = textwrap.fill(_one_line(item.reply), 72, initial_indent="      > ", subsequent_indent="      > ")
            paragraphs.append(f"    {said}\n{quoted}")
        if item.advice:
            paragraphs.append(textwrap.fill(item.advice, 72, initial_indent="    ", subsequent_indent="    "))
    paragraphs.append("The server does not try again. A technical report and your message's header follow.")
    text = "\n\n".join(paragraphs) + "\n"
    return quopri.encodestring(text.encode()).replace(b"\n", b"\r\n")


def _status(
    hostname: str, failed: Sequence[FailedRecipient], arrived_at: float, envid: str | None, *, utf8: bool
) -> bytes:
    """The fields of RFC 3464: one group for the message, then one for each recipient."""
    message = [f"Reporting-MTA: dns; {hostname}", f"Arrival-Date: {format_date(int(arrived_at))}"]
    if envid:
        message.insert(0, f"Original-Envelope-Id: {_one_line(envid)}")
    groups = [message, *[_recipient(item, utf8=utf8) for item in failed]]
    return "\r\n".join(["".join([f"{line}\r\n" for line in group]) for group in groups]).encode()


def _recipient(item: FailedRecipient, *, utf8: bool) -> list[str]:
    lines = [] if item.original is None else [f"Original-Recipient: {_original(item.original)}"]
    lines.append(f"Final-Recipient: {_typed(item.address)}")
    lines += ["Action: failed", f"Status: {item.status}"]
    if item.remote_mta:
        lines.append(f"Remote-MTA: dns; {_one_line(item.remote_mta)}")
    if item.reply:
        reply = _one_line(item.reply)
        shown = reply if utf8 else reply.encode("ascii", "replace").decode()
        lines.append("\r\n\t".join(textwrap.wrap(f"Diagnostic-Code: smtp; {shown}", 900, break_on_hyphens=False)))
    if item.last_attempt is not None:
        lines.append(f"Last-Attempt-Date: {format_date(int(item.last_attempt))}")
    return lines


def _typed(address: str) -> str:
    """An address with its type: `rfc822` while it has a US-ASCII form, else `utf-8` (RFC 6533 section 3)."""
    plain = ascii_form(address)
    return f"utf-8; {address}" if plain is None else f"rfc822; {plain}"


def _original(orcpt: str) -> str:
    kind, _, address = _one_line(orcpt).partition(";")
    return f"{kind}; {address.strip()}"


def _status_part(status: bytes, *, utf8: bool) -> bytes:
    if utf8:
        return _part("message/global-delivery-status", "8bit", status)
    return _part("message/delivery-status", "7bit", status)


def _header_part(header: bytes) -> bytes:
    if header.isascii():
        return _part("text/rfc822-headers", "7bit", header)
    return _part("message/global-headers; charset=utf-8", "8bit", header)


def _one_line(text: str) -> str:
    """Remote text on one line, without control characters: it must not make fields or parts of its own."""
    return "".join([char if char.isprintable() else " " for char in text]).strip()
