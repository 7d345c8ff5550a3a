"""The footer that policy asks for: put on a message that comes in pieces, of which only the beginning is in memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from outgate.frozen import frozen
from outgate.mail.footer import NoFooter, with_footer

_BEGINNING: Final = 1024 * 1024  # bytes of a message in which its text is looked for


@frozen
class FooterResult:
    """The message's beginning as it leaves, the pieces after it (None if there are none), by how many bytes it has
    grown, and what the record says: that the footer was added, or why not."""

    beginning: bytes
    more: AsyncIterator[bytes] | None
    growth: int
    remark: str


async def add_footer(pieces: AsyncIterator[bytes], size: int, text: str) -> FooterResult:
    """Put the footer `text` on a message of `size` bytes."""
    read = bytearray()
    async for piece in pieces:
        read += piece
        if len(read) >= _BEGINNING:
            break
    beginning = bytes(read)
    whole = len(beginning) == size
    try:
        edited = await asyncio.to_thread(with_footer, beginning, text, whole=whole)
        remark = "added"
    except NoFooter as error:
        edited, remark = beginning, f"not added: {error}"
    return FooterResult(edited, None if whole else pieces, len(edited) - len(beginning), remark)
