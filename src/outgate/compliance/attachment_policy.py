"""What policy says of attachments in mail that leaves by a user's gateway. Knows no message, only its bytes in pieces.

Asked when a message comes, and again right before it is handed over, with the policy of that moment.
"""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from outgate.mail.attachments import Attachment, Scanner, TooComplex
from outgate.model import Policy

_AT_ONCE: Final = 16 * 1024  # bytes that are looked through in less time than a thread takes to begin

Attachments = Sequence[Attachment] | TooComplex  # what was found, or why it can't be told


def looks_at_attachments(policy: Policy) -> bool:
    """Whether a message must be looked into at all."""
    return bool(policy.attachment_bytes or policy.refused_attachments)


def find_attachments(pieces: Iterable[bytes]) -> Attachments:
    """Look through a message that is in memory."""
    scanner = Scanner()
    try:
        for piece in pieces:
            scanner.feed(piece)
        return scanner.attachments()
    except TooComplex as error:
        return error


async def scan_attachments(pieces: AsyncIterator[bytes]) -> Attachments:
    """Look through a message while its pieces are read; a large one in a thread, so that nobody else waits."""
    scanner = Scanner()
    try:
        async for piece in pieces:
            if len(piece) <= _AT_ONCE:
                scanner.feed(piece)
            else:
                await asyncio.to_thread(scanner.feed, piece)
        return scanner.attachments()
    except TooComplex as error:
        return error


def refuses_attachments(policy: Policy, attachments: Attachments) -> str | None:
    """Why a message with these attachments may not leave by a user's gateway; None if it may."""
    if isinstance(attachments, TooComplex):
        return str(attachments)
    for one in attachments:
        if reason := _refuses(policy, one):
            name = f"'{_shown(one.filename)}'" if one.filename else f"of type {one.media_type}"
            return f"the attachment {name} may not leave by a user's gateway: {reason}"
    return None


def _refuses(policy: Policy, attachment: Attachment) -> str | None:
    if policy.attachment_bytes and attachment.size > policy.attachment_bytes:
        source = policy.origin("attachment_bytes")
        return f"it has {attachment.size} bytes, maxAttachmentBytes is {policy.attachment_bytes} ({source})"
    for kind in policy.refused_attachments:
        if _is(attachment, kind):
            return f"{kind} is on the list deniedAttachmentTypes ({policy.origin('refused_attachments')})"
    return None


def _is(attachment: Attachment, kind: str) -> bool:
    """`.exe` means the last ending of the name, as a system would see it; `application/*` a whole family of types."""
    if kind.startswith("."):
        return any(_seen(name).endswith(kind) for name in (attachment.filename, *attachment.other_names))
    if kind.endswith("/*"):
        return attachment.media_type.startswith(kind[:-1])
    return attachment.media_type == kind


def _seen(filename: str) -> str:
    """A name as it looks and works: wide letters as plain ones, without invisible characters, nor dots at its end."""
    plain = unicodedata.normalize("NFKC", filename)
    visible = "".join(char for char in plain if unicodedata.category(char) not in ("Cc", "Cf"))
    return visible.strip().rstrip(". ").lower()


def _shown(filename: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in filename[:100])
