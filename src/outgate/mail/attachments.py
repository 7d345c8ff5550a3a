"""Finds a message's attachments while it streams by: names, types and sizes, never the content. Pure.

Boundaries are followed line by line (RFC 2046 section 5.1), so that memory does not grow with the message. What is
nested deeper than any mail program does, or has more parts, is refused as a whole.
"""

import re
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import collapse_rfc2231_value
from typing import Final

from outgate.mail.addresses import decode_words

MAX_DEPTH: Final = 30
MAX_PARTS: Final = 2000
_MAX_HEADER: Final = 256 * 1024  # bytes of one part's header
_MAX_LINE: Final = 128 * 1024  # bytes that are held back while a line's end has not come

_TEXTS: Final = ("text/plain", "text/html", "text/enriched")
_MESSAGES: Final = ("message/rfc822", "message/global")

_ESCAPE = re.compile(rb"=[0-9A-Fa-f]{2}")
_PARSER: Final = BytesHeaderParser()


class TooComplex(ValueError):
    """The message is nested deeper, or has more parts, than is looked into."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is not the message's own text: `size` is in bytes as decoded; type and name are as declared."""

    filename: str
    media_type: str
    size: int


@dataclass(slots=True)
class _Part:
    """A part that is open: its boundary if it is a multipart, else what is known of it."""

    boundary: bytes = b""
    header: list[bytes] = field(default_factory=list)
    in_header: bool = True
    header_size: int = 0
    media_type: str = ""
    filename: str = ""
    encoding: str = ""
    counts: bool = False
    size: int = 0


class Scanner:
    """Feed it the whole message, then ask for `attachments`. Raises TooComplex from either."""

    def __init__(self) -> None:
        self._open = [_Part()]
        self._found: list[Attachment] = []
        self._held = b""
        self._parts = 1

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        lines = (self._held + data).splitlines(keepends=True)
        self._held = b""
        if lines and not lines[-1].endswith(b"\n") and len(lines[-1]) < _MAX_LINE:
            self._held = lines.pop()
        for line in lines:
            self._line(line)

    def attachments(self) -> list[Attachment]:
        """All that were found; nothing can be fed after this."""
        if self._held:
            self._line(self._held)
            self._held = b""
        while self._open:
            self._close()
        return self._found

    def _line(self, line: bytes) -> None:
        if line.startswith(b"--") and self._is_delimiter(line.rstrip()):
            return
        part = self._open[-1]
        for outer in self._open[:-1]:
            if outer.counts:  # a message that is attached: what is in it is its size
                outer.size += len(line)
        if part.in_header:
            self._header_line(part, line)
        elif part.counts:
            part.size += _decoded_size(line, part.encoding)

    def _is_delimiter(self, line: bytes) -> bool:
        for depth in range(len(self._open) - 1, -1, -1):
            boundary = self._open[depth].boundary
            if boundary and line in (b"--" + boundary, b"--" + boundary + b"--"):
                while len(self._open) > depth + 1:
                    self._close()
                if line.endswith(b"--") and line != b"--" + boundary:
                    self._open[depth].boundary = b""
                    self._open[depth].in_header = False
                else:
                    self._start()
                return True
        return False

    def _start(self) -> None:
        self._parts += 1
        if len(self._open) >= MAX_DEPTH or self._parts > MAX_PARTS:
            raise TooComplex("the message is nested too deeply, or has too many parts, to be looked into")
        self._open.append(_Part())

    def _header_line(self, part: _Part, line: bytes) -> None:
        if line.strip(b"\r\n"):
            part.header_size += len(line)
            if part.header_size > _MAX_HEADER:
                raise TooComplex("a part of the message has a header that is too long to be looked into")
            part.header.append(line)
            return
        _read_header(part)
        if part.media_type in _MESSAGES:
            self._start()  # its body begins with a header of its own

    def _close(self) -> None:
        part = self._open.pop()
        if part.in_header and part.header:
            _read_header(part)
        if part.counts:
            self._found.append(Attachment(part.filename, part.media_type, part.size))


def _read_header(part: _Part) -> None:
    header = _PARSER.parsebytes(b"".join(part.header))
    part.in_header, part.header = False, []
    part.media_type = header.get_content_type()
    part.encoding = str(header.get("Content-Transfer-Encoding", "")).strip().lower()
    if part.media_type.startswith("multipart/"):
        part.boundary = (header.get_boundary() or "").encode("utf-8", "surrogateescape")
        return
    part.filename = _filename(header)
    disposition = str(header.get("Content-Disposition", "")).strip().lower()
    part.counts = bool(part.filename) or disposition.startswith("attachment") or part.media_type not in _TEXTS


def _filename(header: Message) -> str:
    """The name by Content-Disposition or Content-Type, decoded from RFC 2231 and, as programs write it, RFC 2047."""
    for name, parameter in (("filename", "content-disposition"), ("name", "content-type")):
        found = header.get_param(name, header=parameter)
        if found is not None:
            return decode_words(collapse_rfc2231_value(found).strip())
    return ""


def _decoded_size(line: bytes, encoding: str) -> int:
    if encoding == "base64":
        return len(line.strip().rstrip(b"=")) * 3 // 4
    if encoding == "quoted-printable":
        line = line.rstrip(b"\r\n")
        end = -1 if line.endswith(b"=") else 2  # a soft line break, or a real one
        return len(line) + end - 2 * len(_ESCAPE.findall(line))
    return len(line)
