"""What the bytes of a client are at the moment: lines, content with dots, a chunk, or the handshake of TLS.

A mode takes bytes from the buffer and calls whom it was made for with what they are. It knows no command, no reply of
its own and no state of the session; whoever is called puts the next mode in its place.
"""

from collections.abc import Callable
from typing import Protocol

from outgate.smtp.content import DotReader
from outgate.smtp.lines import Inbound
from outgate.smtp.reply import Reply


class Mode(Protocol):
    """One way of reading."""

    def read(self, inbound: Inbound) -> bool:
        """Make something of the bytes at hand; False when there are too few."""


class Lines:
    """Commands, or the messages of an authentication. `limit` in bytes with the CRLF."""

    def __init__(self, limit: int, line: Callable[[bytes], None], bad_line: Callable[[Reply], None]) -> None:
        self._limit, self._line, self._bad_line = limit, line, bad_line

    def read(self, inbound: Inbound) -> bool:
        """One line."""
        line = inbound.line(self._limit)
        if line is None:
            return False
        if isinstance(line, Reply):
            self._bad_line(line)
        else:
            self._line(line)
        return True


class DotContent:
    """What follows DATA, up to CRLF.CRLF and nothing else."""

    def __init__(self, piece: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._piece, self._ended = piece, ended
        self._reader = DotReader()

    def read(self, inbound: Inbound) -> bool:
        """All that is at hand; what stands behind the end goes back."""
        if not inbound:
            return False
        piece, rest = self._reader.feed(inbound.take_all())
        self._piece(piece)
        if self._reader.done:
            inbound.feed(rest)
            self._ended()
        return True


class Chunk:
    """What follows BDAT: so many bytes, whatever they are (RFC 3030).

    `refuse` is set when they are only to be passed over, and says why then.
    """

    def __init__(
        self, size: int, piece: Callable[[bytes], None], ended: "Callable[[Chunk], None]", *, last: bool
    ) -> None:
        self.size, self.last = size, last
        self.refuse: Callable[[], None] | None = None
        self._left, self._piece, self._ended = size, piece, ended

    def read(self, inbound: Inbound) -> bool:
        """What is at hand of it; a chunk of no bytes ends at once."""
        if self._left:
            if not inbound:
                return False
            piece = inbound.take(self._left)
            self._left -= len(piece)
            self._piece(piece)
        if not self._left:
            self._ended(self)
        return True


class Handshake:
    """TLS is being made: nothing that comes now is ours to read."""

    def read(self, inbound: Inbound) -> bool:
        """Nothing."""
        return False
