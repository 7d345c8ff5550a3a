"""A message that is in memory as a whole, as a command, an API call or a page has it: checked as SMTP's content is, and
cut into the pieces that the queue keeps. What arrives piece by piece is accept.incoming's. Pure.
"""

from collections.abc import Sequence

from outgate.mail.addresses import AddressError, canonical
from outgate.mail.dkim import BodyDigest
from outgate.mail.header_check import CheckedHeader, MessageFault, examine, split_message
from outgate.model import Account
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.smtp.content import ContentCheck
from outgate.submit.refusal import Refusal, RefusalReason
from outgate.submit.submission import Content, Envelope, EnvelopeRecipient, MessageLimits, Submission


def whole_message(
    identity: int,
    at: float,
    account: Account,
    raw: bytes,
    *,
    reverse_path: str,
    recipients: Sequence[str],
    limits: MessageLimits,
    hold_until: float | None = None,
) -> Submission | Refusal:
    """The submission of `raw` (RFC 5322, lines end with CRLF), or why it can't be one.

    It asks for SMTPUTF8 where an address of its envelope needs that: a header in UTF-8 goes as it is.
    """
    check = ContentCheck(limits.line_bytes, limits.message_bytes)
    check.feed(raw)
    check.end()
    if fault := check.fault:
        reason = RefusalReason.TOO_LARGE if fault.code == 552 else RefusalReason.MALFORMED
        return Refusal(reason, fault.code, fault.enhanced, " ".join(fault.lines))
    read = read_header(raw[:CHUNK_BYTES])
    if isinstance(read, Refusal):
        return read
    if refusal := _wrong_address(reverse_path, recipients):
        return refusal
    header, header_size = read
    utf8 = not all(one.isascii() for one in (reverse_path, *recipients))
    envelope = Envelope(
        reverse_path,
        [EnvelopeRecipient(one) for one in recipients],
        protocol="UTF8SMTP" if utf8 else "ESMTP",
        smtputf8=utf8,
        hold_until=hold_until,
    )
    return Submission(identity, at, account, envelope, header, content_of(raw, header_size))


def read_header(first_chunk: bytes) -> tuple[CheckedHeader, int] | Refusal:
    """The header at the beginning of a message's first piece and its size in bytes, or why it can't be taken.

    The piece is the whole message, or CHUNK_BYTES of it: far above the header that any client makes.
    """
    end = split_message(first_chunk)
    if end is None and len(first_chunk) >= CHUNK_BYTES:
        text = "The header is longer than 256 KiB; send fewer or shorter fields"
        return Refusal(RefusalReason.TOO_LARGE, 552, "5.3.4", text)
    size = len(first_chunk) if end is None else end
    try:
        return examine(first_chunk[:size]), size
    except MessageFault as fault:
        return Refusal(RefusalReason.MALFORMED, 550, fault.status, str(fault))


def content_of(raw: bytes, header_size: int) -> Content:
    """A message in the pieces that the queue keeps, all of them here."""
    digest = BodyDigest()
    digest.update(raw[header_size:])
    pieces = [raw[start : start + CHUNK_BYTES] for start in range(0, len(raw), CHUNK_BYTES)] or [b""]
    return Content(
        size=len(raw),
        header_size=header_size,
        chunks=len(pieces),
        body_digest=digest.digest(),
        eight_bit=not raw.isascii(),
        last_chunk=pieces[-1],
        earlier_chunks=pieces[:-1],
    )


def _wrong_address(reverse_path: str, recipients: Sequence[str]) -> Refusal | None:
    """As an SMTP session answers MAIL and RCPT."""
    senders = [("5.1.7", reverse_path)] if reverse_path else []
    for status, address in (*senders, *(("5.1.3", one) for one in recipients)):
        try:
            canonical(address)
        except AddressError as error:
            return Refusal(RefusalReason.MALFORMED, 553, status, str(error))
    return None
