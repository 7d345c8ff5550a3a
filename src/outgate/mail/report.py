"""Writes delivery reports (RFC 3464; RFC 6533 where an address or the original header is UTF-8). Bytes out.

Knows no queue and no account: it is handed what became of each recipient. Its envelope sender is null, which is for the
caller to set. A report stays small whatever servers say and clients submit (RFC 3461 section 6.2): replies share a
length, and a header is cut behind a line.
"""

import quopri
import re
import textwrap
from collections.abc import Sequence
from dataclasses import field
from email.header import Header
from typing import Final

from outgate.frozen import frozen
from outgate.mail.addresses import ascii_form, decode_words, format_mailbox
from outgate.mail.headers import HeaderError, format_date, split_fields, value
from outgate.mail.report_text import Action, Occasion, RecipientInWords, Remedy, subject_line, text

REPLIES: Final = 32 * 1024  # characters of all replies together
LEAST_REPLY: Final = 240  # characters that each may have in any case
HEADER: Final = 64 * 1024  # bytes of the original header
SUBJECT: Final = 200  # characters

_XTEXT: Final = re.compile(r"\+([2-7][0-9A-F])")  # RFC 3461 section 4, printable US-ASCII


@frozen
class ReportedRecipient:
    """What became of one recipient.

    `original` is ORCPT as the client gave it (`rfc822;addr` in xtext, RFC 3461), `status` an RFC 3463 code such as
    5.1.1, `reply` the remote server's answer and `remote_mta` its name; both None if no server gave one: then `words`
    say what happened.
    """

    address: str
    action: Action
    status: str
    remedy: Remedy = Remedy.NOTHING
    words: str = ""
    reply: str | None = None
    remote_mta: str | None = None
    original: str | None = None
    last_attempt: float | None = None


@frozen
class ReportedMessage:
    """The message that is reported on: its header block as submitted, with or without the empty line, and all of it in
    `content` if it is to be returned whole. `sender` is its From address, `tried_until` when it is given up."""

    header: bytes = field(repr=False)
    sender: str
    queue_id: str
    arrived_at: float
    tried_until: float
    gateway: str = ""
    envid: str | None = None
    content: bytes | None = field(default=None, repr=False)


@frozen
class Letterhead:
    """Who reports (`postmaster` is an address that somebody reads), to whom, in what language, when, under what
    Message-ID (without angle brackets)."""

    hostname: str
    postmaster: str
    recipient: str
    language: str
    date: float
    message_id: str


def delivery_report(letterhead: Letterhead, message: ReportedMessage, recipients: Sequence[ReportedRecipient]) -> bytes:
    """The report. It has bytes beyond US-ASCII (and so asks for 8BITMIME) only if an address or the message has."""
    length = max(LEAST_REPLY, REPLIES // len(recipients))
    subject = _subject(message.header)
    parts = [
        _text_part(letterhead, message, subject, recipients, length),
        _status_part(letterhead.hostname, message, recipients, length),
        _returned(message),
    ]
    boundary = f"report-{re.sub(r'[^A-Za-z0-9]', '-', letterhead.message_id)}"[:60]
    body = b"".join([b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts])
    title = subject_line(letterhead.language, [one.action for one in recipients], subject)
    head = _head(letterhead, title, boundary, eight_bit=not body.isascii())
    return b"%b\r\nThis is a delivery report in MIME format.\r\n\r\n%b--%b--\r\n" % (head, body, boundary.encode())


def _head(letterhead: Letterhead, title: str, boundary: str, *, eight_bit: bool) -> bytes:
    written = Header(title, "us-ascii" if title.isascii() else "utf-8", maxlinelen=75, header_name="Subject")
    lines = [
        f"From: {format_mailbox('Mail Delivery System', letterhead.postmaster)}",
        f"To: {ascii_form(letterhead.recipient) or letterhead.recipient}",
        f"Subject: {written.encode(linesep=chr(13) + chr(10))}",
        f"Date: {format_date(int(letterhead.date))}",
        f"Message-ID: <{letterhead.message_id}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
    ]
    if eight_bit:
        lines.append("Content-Transfer-Encoding: 8bit")
    return "".join([f"{line}\r\n" for line in lines]).encode()


def _subject(header: bytes) -> str:
    try:
        fields = split_fields(_block(header))
    except HeaderError:
        return ""
    found = next((value(one) for one in fields if one.name == b"subject"), b"")
    return _one_line(decode_words(found.decode("utf-8", "replace")))[:SUBJECT]


def _block(header: bytes) -> bytes:
    return header.removesuffix(b"\r\n") if header.endswith(b"\r\n\r\n") or header == b"\r\n" else header


def _part(content_type: str, encoding: str, content: bytes) -> bytes:
    fields = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return fields.encode() + content


# --- for people ------------------------------------------------------------------------------------------------------


def _text_part(
    letterhead: Letterhead,
    message: ReportedMessage,
    subject: str,
    recipients: Sequence[ReportedRecipient],
    length: int,
) -> bytes:
    occasion = Occasion(
        subject,
        message.sender,
        message.queue_id,
        message.arrived_at,
        message.tried_until,
        message.gateway,
        letterhead.postmaster,
    )
    words = text(letterhead.language, occasion, [_explained(one, length) for one in recipients])
    encoded = quopri.encodestring(words.encode()).replace(b"\n", b"\r\n")
    return _part("text/plain; charset=utf-8", "quoted-printable", encoded)


def _explained(one: ReportedRecipient, length: int) -> RecipientInWords:
    said, by = _cut(one.reply or "", length), _one_line(one.remote_mta or "")
    return RecipientInWords(one.action, one.address, one.remedy, said, by, _cut(one.words, length))


# --- for programs ----------------------------------------------------------------------------------------------------


def _status_part(
    hostname: str, message: ReportedMessage, recipients: Sequence[ReportedRecipient], length: int
) -> bytes:
    """The fields of RFC 3464: one group for the message, then one for each recipient."""
    utf8 = any(ascii_form(one.address) is None or not (one.original or "").isascii() for one in recipients)
    of_message = [f"Reporting-MTA: dns; {hostname}", f"Arrival-Date: {format_date(int(message.arrived_at))}"]
    if message.envid:
        of_message.insert(0, f"Original-Envelope-Id: {_decoded(message.envid)}")
    groups = [of_message, *[_recipient(one, message, length, utf8=utf8) for one in recipients]]
    status = "\r\n".join(["".join([f"{line}\r\n" for line in group]) for group in groups]).encode()
    if utf8:
        return _part("message/global-delivery-status", "8bit", status)
    return _part("message/delivery-status", "7bit", status)


def _recipient(one: ReportedRecipient, message: ReportedMessage, length: int, *, utf8: bool) -> list[str]:
    lines = [] if one.original is None else [f"Original-Recipient: {_original(one.original)}"]
    lines.append(f"Final-Recipient: {_typed(one.address)}")
    lines += [f"Action: {one.action}", f"Status: {one.status}"]
    if one.remote_mta:
        lines.append(f"Remote-MTA: dns; {_one_line(one.remote_mta)}")
    if one.reply:
        reply = _cut(one.reply, length)
        shown = reply if utf8 else reply.encode("ascii", "replace").decode()
        lines.append("\r\n\t".join(textwrap.wrap(f"Diagnostic-Code: smtp; {shown}", 200, break_on_hyphens=False)))
    if one.last_attempt is not None:
        lines.append(f"Last-Attempt-Date: {format_date(int(one.last_attempt))}")
    if one.action is Action.DELAYED:
        lines.append(f"Will-Retry-Until: {format_date(int(message.tried_until))}")
    return lines


def _typed(address: str) -> str:
    """An address with its type: `rfc822` while it has a US-ASCII form, else `utf-8` (RFC 6533 section 3)."""
    plain = ascii_form(address)
    return f"utf-8; {address}" if plain is None else f"rfc822; {plain}"


def _original(orcpt: str) -> str:
    kind, _, address = _one_line(orcpt).partition(";")
    return f"{kind}; {_decoded(address)}"


def _decoded(xtext: str) -> str:
    """As the client meant it (RFC 3461 section 6.3); what is not to be printed stays encoded."""
    return _XTEXT.sub(_printable, _one_line(xtext))


def _printable(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if char.isprintable() else match[0]


# --- the message itself ----------------------------------------------------------------------------------------------


def _returned(message: ReportedMessage) -> bytes:
    """The message whole, or as much of its header as there is room for."""
    header = _block(message.header)
    if message.content is not None:
        content = message.content if message.content.endswith(b"\r\n") else message.content + b"\r\n"
        kind = "message/rfc822" if header.isascii() else "message/global"
        return _part(kind, "7bit" if content.isascii() else "8bit", content)
    if len(header) > HEADER:
        header = header[: header.rfind(b"\r\n", 0, HEADER) + 2]
    if header.isascii():
        return _part("text/rfc822-headers", "7bit", header)
    return _part("message/global-headers; charset=utf-8", "8bit", header)


def _cut(words: str, length: int) -> str:
    line = _one_line(words)
    return line if len(line) <= length else f"{line[:length]}…"


def _one_line(words: str) -> str:
    """Remote text on one line, without control characters: it must not make fields or parts of its own."""
    return "".join([char if char.isprintable() else " " for char in words]).strip()
