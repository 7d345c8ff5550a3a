"""Replies: three digits, an enhanced status code, text (RFC 5321 section 4.2, RFC 2034). From and to the wire.

Knows neither who says them nor why.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_LINE = 4096  # bytes; RFC 5321 4.5.3.1.5 allows 512, servers with long explanations send more
MAX_LINES = 200  # of one reply; an EHLO reply has some 20


class ProtocolError(Exception):
    """The peer said something that can't be understood; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `enhanced` is an RFC 3463 code or empty; `lines` has at least one entry."""

    code: int
    enhanced: str = ""
    lines: tuple[str, ...] = ("",)

    @property
    def positive(self) -> bool:
        """2xx: done."""
        return self.code // 100 == 2

    @property
    def intermediate(self) -> bool:
        """3xx: go on."""
        return self.code // 100 == 3

    def encode(self) -> bytes:
        """As it goes over the wire. What would break a line is left out: text may quote what a peer sent."""
        return _encode(self)


@lru_cache(1024)  # few replies make up nearly all
def _encode(reply: Reply) -> bytes:
    status = f"{reply.enhanced} " if reply.enhanced else ""
    lines = [f"{reply.code}-{status}{_BREAKS.sub(' ', line)}\r\n" for line in reply.lines]
    lines[-1] = lines[-1].replace("-", " ", 1)
    return "".join(lines).encode()


_BREAKS = re.compile(r"[\x00-\x1f\x7f]+")
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


class ReplyParser:
    """Makes replies of what arrives, in any pieces."""

    def __init__(self) -> None:
        self._buffer = b""
        self._code = 0
        self._lines: list[str] = []

    @property
    def buffered(self) -> bool:
        """Whether bytes came that no reply was made of yet."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire."""
        self._buffer += data

    def next(self) -> Reply | None:
        """The next complete reply; raises ProtocolError when it can't be one."""
        while (end := self._buffer.find(b"\n")) >= 0:
            line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
            if len(line) > MAX_LINE:
                raise ProtocolError("a reply line is too long")
            if self._add(line.removesuffix(b"\r")):
                return self._complete()
        if len(self._buffer) > MAX_LINE:
            raise ProtocolError("a reply line is too long")
        return None

    def _add(self, line: bytes) -> bool:
        """True when this was the reply's last line."""
        match = _LINE.fullmatch(line)
        if not match:
            raise ProtocolError("a reply does not begin with three digits")
        code = int(match[1])
        if self._lines and code != self._code:
            raise ProtocolError("the lines of a reply have different codes")
        if len(self._lines) >= MAX_LINES:
            raise ProtocolError("a reply has too many lines")
        self._code = code
        self._lines.append((match[3] or b"").decode("utf-8", "replace"))
        return match[2] != b"-"

    def _complete(self) -> Reply:
        lines, self._lines = self._lines, []
        match = _ENHANCED.match(lines[0])
        if not match or match[1][0] != str(self._code)[0]:
            return Reply(self._code, "", tuple(lines))
        enhanced = match[1]
        return Reply(self._code, enhanced, tuple(line.removeprefix(enhanced).removeprefix(" ") for line in lines))
