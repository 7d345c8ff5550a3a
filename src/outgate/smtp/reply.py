"""Replies: three digits, an enhanced status code, text (RFC 5321 section 4.2, RFC 2034). From and to the wire.

Knows neither who says them nor why.
"""

import re
import textwrap
from functools import lru_cache

from outgate.frozen import frozen

# What is kept of a reply. RFC 5321 section 4.5.3.1.5 allows lines of 512 bytes; long explanations have more.
MAX_LINE = 4096  # bytes
MAX_LINES = 200  # an EHLO reply has some 20
MAX_TEXT = 8192  # bytes of all lines: it is stored for each recipient
MAX_NONSENSE = 100  # lines without a code, before a peer is given up
MAX_UNREAD = 1_048_576  # bytes: the answers to the longest envelope in one write are a tenth of it


class ProtocolError(Exception):
    """The peer said something that can't be understood; the connection is of no more use."""


@frozen
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
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([^0-9])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


class ReplyParser:
    """Makes replies of what arrives, in any pieces.

    Servers break the grammar, and a message that was refused, or taken, must not go out again because of it. So the
    first three characters of a line decide, and of several codes the last (RFC 5321 sections 4.2, 4.3.1); what is too
    long is cut; a line without a code is passed over, but as the very first: then this is no SMTP server.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # so many bytes of the buffer have no line end
        self.flooded = False  # more came than any reply has
        self._fed = 0  # bytes since the last reply
        self._greeted = False
        self._nonsense = 0  # lines without a code since the last reply
        self._lines: list[str] = []
        self._room = MAX_TEXT

    @property
    def buffered(self) -> bool:
        """Whether bytes came that no reply was made of yet."""
        return bool(self._buffer or self._lines or self._nonsense or self.flooded)

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire. Memory does not grow with what nobody reads, and no reply is without end."""
        self._fed += len(data)
        if self._fed > MAX_UNREAD:
            self.flooded = True
        else:
            self._buffer += data

    def next(self) -> Reply | None:
        """The next complete reply; raises ProtocolError when the peer does not speak SMTP."""
        if self.flooded:
            raise ProtocolError("more came than was asked for")
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = bytes(self._buffer[: min(end, MAX_LINE)])
            del self._buffer[: end + 1]
            self._searched = 0
            if reply := self._add(line):
                self._fed = len(self._buffer)
                return reply
        del self._buffer[MAX_LINE:]
        self._searched = len(self._buffer)
        return None

    def _add(self, line: bytes) -> Reply | None:
        """The reply, when this was its last line."""
        if not self._lines and (reply := _of_one_line(line)):
            self._greeted, self._nonsense = True, 0
            return reply
        code = self._add_to_several(line.removesuffix(b"\r"))
        return self._complete(code) if code else None

    def _add_to_several(self, line: bytes) -> int:
        match = _LINE.fullmatch(line)
        if not match:
            self._nonsense += 1
            if not self._greeted or self._nonsense > MAX_NONSENSE:
                raise ProtocolError("a reply does not begin with three digits")
            return 0
        self._greeted = True
        self._keep(match[3] or b"")
        return 0 if match[2] == b"-" else int(match[1])

    def _keep(self, text: bytes) -> None:
        if len(self._lines) >= MAX_LINES or not self._room:
            return
        self._lines.append(_printable(text[: self._room]))
        self._room -= min(len(text), self._room)

    def _complete(self, code: int) -> Reply:
        lines, self._lines, self._room, self._nonsense = self._lines, [], MAX_TEXT, 0
        enhanced = next((found for line in lines if (found := _enhanced(line, code))), "")
        return Reply(code, enhanced, tuple(line.removeprefix(enhanced).lstrip(" ") for line in lines))


@lru_cache(256)  # most are as short as "250 2.1.5 Ok", and the same each time
def _of_one_line(line: bytes) -> Reply | None:
    """The reply that this line is, if it is one by itself."""
    match = _LINE.fullmatch(line.removesuffix(b"\r"))
    if not match or match[2] == b"-":
        return None
    code, text = int(match[1]), _printable(match[3] or b"")
    enhanced = _enhanced(text, code)
    return Reply(code, enhanced, (text.removeprefix(enhanced).lstrip(" "),))


def _printable(text: bytes) -> str:
    line = text.decode("utf-8", "replace")
    return line if line.isprintable() else _BREAKS.sub(" ", line)


def _enhanced(line: str, code: int) -> str:
    match = _ENHANCED.match(line)
    return match[1] if match and match[1][0] == str(code)[0] else ""
