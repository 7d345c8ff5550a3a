"""What policy says of content that leaves by a user's gateway: knows no message, only what was found in it."""

import asyncio
import unicodedata
from collections.abc import Sequence
from typing import Final

from outgate.mail.attachments import Attachment, Scanner
from outgate.model import Policy

_AT_ONCE: Final = 16 * 1024  # bytes that are looked through in less time than a thread takes to begin


def looks_at_attachments(policy: Policy) -> bool:
    """Whether a message must be looked into at all."""
    return bool(policy.attachment_bytes or policy.refused_attachments)


async def scan(scanner: Scanner, piece: bytes) -> None:
    """Look through a piece of a message; a large one in a thread, so that nobody else waits."""
    if len(piece) <= _AT_ONCE:
        scanner.feed(piece)
    else:
        await asyncio.to_thread(scanner.feed, piece)


def refuses_attachments(policy: Policy, attachments: Sequence[Attachment]) -> str | None:
    """Why a message with these attachments may not leave by a user's gateway; None if it may."""
    for one in attachments:
        if reason := _refuses(policy, one):
            name = f"'{_shown(one.filename)}'" if one.filename else f"of type {one.media_type}"
            return f"the attachment {name} may not leave by a user's gateway: {reason}"
    return None


def _refuses(policy: Policy, attachment: Attachment) -> str | None:
    if policy.attachment_bytes and attachment.size > policy.attachment_bytes:
        source = policy.source("attachment_bytes")
        return f"it has {attachment.size} bytes, maxAttachmentBytes is {policy.attachment_bytes} ({source})"
    for kind in policy.refused_attachments:
        if _is(attachment, kind):
            return f"{kind} is on the list deniedAttachmentTypes ({policy.source('refused_attachments')})"
    return None


def _is(attachment: Attachment, kind: str) -> bool:
    """`.exe` means the last ending of the name, as a system would see it; `application/*` a whole family of types."""
    if kind.startswith("."):
        return any(_seen(name).endswith(kind) for name in (attachment.filename, attachment.other_name))
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
