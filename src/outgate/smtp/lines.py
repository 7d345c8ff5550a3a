"""The bytes that came and are not read yet, and command lines out of them (RFC 5321 section 2.3.8).

Knows no command. A bare LF never begins a command: who passes one on may have been given it by an attacker.
"""

from outgate.smtp.reply import Reply

TOO_LONG = Reply(500, "5.5.2", ("Line too long",))
BARE = Reply(500, "5.5.2", ("A bare CR or LF; lines must end with CRLF",))
NUL = Reply(501, "5.5.2", ("A command can't have NUL bytes",))


class Inbound:
    """A buffer with a reading position, so that pipelined commands are not copied once for each line."""

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._overlong = False  # the line under way lost its beginning already
        self._behind_bare = False  # the line under way follows a bare LF

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire."""
        self._data = self._data[self._at :] + data if self else data
        self._at = 0

    def take(self, most: int) -> bytes:
        """At most so many bytes, as they came."""
        start, self._at = self._at, min(self._at + most, len(self._data))
        return self._data[start : self._at]

    def take_all(self) -> bytes:
        """All bytes, as they came."""
        return self.take(len(self._data))

    def line(self, limit: int) -> bytes | Reply | None:
        """The next line without its CRLF; the reply to refuse it with; None if it is not complete.

        `limit` counts the CRLF. A line that follows a bare LF is refused too, whatever it says.
        """
        end = self._data.find(b"\n", self._at)
        if end < 0:
            self._forget_overlong(limit)
            return None
        start, self._at = self._at, end + 1
        line = self._data[start:end]
        fault = self._fault(line, limit)
        self._overlong, self._behind_bare = False, line[-1:] != b"\r"
        return fault or line[:-1]

    def _fault(self, line: bytes, limit: int) -> Reply | None:
        if self._overlong or len(line) >= limit:
            return TOO_LONG
        if self._behind_bare or not line or line.find(b"\r") != len(line) - 1:
            return BARE
        return NUL if b"\0" in line else None

    def _forget_overlong(self, limit: int) -> None:
        """Memory does not grow with a line that never ends; its last byte may be the CR of its CRLF."""
        if len(self._data) - self._at > limit:
            self._data, self._at, self._overlong = self._data[-1:], 0, True
