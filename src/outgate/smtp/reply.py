"""Replies: three digits, an enhanced status code, text (RFC 5321 section 4.2, RFC 2034). From and to the wire.

Knows neither who says them nor why.
"""

import re
import textwrap
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

    @property
    def transient(self) -> bool:
        """4xx: not now."""
        return self.code // 100 == 4

    @property
    def permanent(self) -> bool:
        """5xx: never."""
        return self.code // 100 == 5

    def encode(self, *, utf8: bool = False) -> bytes:
        """As it goes over the wire. What would break a line is left out: text may quote what a peer sent.

        Text beyond US-ASCII is escaped unless the transaction is of SMTPUTF8 (RFC 6531 section 3.7.4.2).
        """
        return _encode(self, utf8)


@lru_cache(1024)  # few replies make up nearly all
def _encode(reply: Reply, utf8: bool) -> bytes:
    status = f"{reply.enhanced} " if reply.enhanced else ""
    words = [part for line in reply.lines for part in _folded(_BREAKS.sub(" ", line), utf8)]
    lines = [f"{reply.code}-{status}{part}\r\n" for part in words]
    lines[-1] = lines[-1].replace("-", " ", 1)
    return "".join(lines).encode("utf-8", "replace")


def _folded(text: str, utf8: bool) -> list[str]:
    """Lines within the 512 bytes of RFC 5321 section 4.5.3.1.5; in UTF-8 a character may take four."""
    if not utf8:
        text = text.encode("ascii", "backslashreplace").decode()
    width = 480 if text.isascii() else 120
    return [text] if len(text) <= width else textwrap.wrap(text, width)


_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
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
