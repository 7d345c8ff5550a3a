"""The journal copy: a message to the archive with the one that leaves attached, exactly as it leaves (RFC 5322, 2046).

Made of values, piece by piece, so that memory does not grow with the message. Knows no queue. Pure but for the chance
in a boundary that nobody can guess.
"""

import secrets
from collections.abc import AsyncIterator, Sequence

from outgate.frozen import frozen
from outgate.mail.headers import format_date, split_fields, value
from outgate.model import Gateway


@frozen
class JournalNote:
    """What the archive is told of the message that leaves. Times in seconds since the epoch, queue ids as people see
    them; `account` is the primary address of who sent it."""

    queue_id: str
    account: str
    reverse_path: str
    recipients: Sequence[str]
    gateway: Gateway | None
    accepted_at: float


@frozen
class JournalCopy:
    """The copy: its envelope sender, its header with the empty line, and its body around the attached message."""

    sender: str
    header: bytes
    opening: bytes
    closing: bytes

    async def body(self, attached: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body in pieces, with the message that leaves between its parts."""
        yield self.opening
        async for piece in attached:
            yield piece
        yield self.closing


def journal_copy(
    note: JournalNote, attached_header: bytes, *, eight_bit: bool, sender: str, to: str, queue_id: str, at: float
) -> JournalCopy:
    """The copy of a message with this header block, from the organisation's `sender` to the archive `to`. `queue_id` is
    the copy's own.

    `eight_bit` says whether anything in the message that leaves is not US-ASCII.
    """
    domain, boundary = sender.rpartition("@")[2], f"outgate-{secrets.token_hex(16)}"
    text = _text(note, _message_id(attached_header), at)
    eight_bit = eight_bit or not attached_header.isascii() or not text.isascii()
    encoding = "8bit" if eight_bit else "7bit"
    count = len(note.recipients)
    lines = [
        f"From: {sender}",
        f"To: {to}",
        f"Subject: Journal: {note.queue_id} to {count} recipient{'' if count == 1 else 's'}",
        f"Date: {format_date(int(at))}",
        f"Message-ID: <{queue_id}@{domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        f"Content-Transfer-Encoding: {encoding}",
    ]
    header = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
    opening = _opening(text, boundary, attached_header, encoding)
    return JournalCopy(sender, header, opening, f"\r\n--{boundary}--\r\n".encode())


def _opening(text: str, boundary: str, attached_header: bytes, encoding: str) -> bytes:
    """The part that tells, and the header of the part with the message: message/global if that is UTF-8 (RFC 6532)."""
    kind = "message/rfc822" if attached_header.isascii() else "message/global"
    return (
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        f"{text}\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        'Content-Disposition: attachment; filename="message.eml"\r\n\r\n'
    ).encode()


def _message_id(header: bytes) -> str:
    fields = split_fields(header.removesuffix(b"\r\n") if header.endswith(b"\r\n\r\n") else header)
    found = next((field for field in fields if field.name == b"message-id"), None)
    return " ".join(value(found).decode("utf-8", "replace").split())[:900] if found else ""


def _text(note: JournalNote, message_id: str, at: float) -> str:
    pairs: Sequence[tuple[str, str]] = [
        ("Account", note.account),
        ("MAIL FROM", note.reverse_path),
        *(("Recipient", one) for one in note.recipients),
        ("Gateway", f"{note.gateway.host}:{note.gateway.port}" if note.gateway else ""),
        ("Queue id", note.queue_id),
        ("Message-ID", message_id),
        ("Accepted", format_date(int(note.accepted_at))),
        ("Copied", format_date(int(at))),
    ]
    return "".join(f"{name}: {content}\r\n" for name, content in pairs)
