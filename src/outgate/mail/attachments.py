"""Finds a message's attachments while it streams by: names, types and sizes, never the content. Pure.

Boundaries are followed line by line (RFC 2046 section 5.1), so that memory does not grow with the message. What is
nested deeper than any mail program does, has more parts, or can be read in more than one way, is refused as a whole.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from outgate.frozen import frozen
from outgate.mail.mime_fields import MimeField, TwoReadings, read_mime_field

MAX_DEPTH: Final = 30
MAX_PARTS: Final = 2000
MAX_FIELDS: Final = 4 * 1024  # bytes of one part's Content- fields: the parser takes quadratic time for some of them
MAX_PARAMETERS: Final = 100  # in one part's Content- fields
MAX_HEADERS: Final = 1024 * 1024  # bytes of all headers together
_MAX_LINE: Final = 128 * 1024  # bytes that are held back while a line's end has not come

_TEXTS: Final = ("text/plain", "text/html", "text/enriched")
_MESSAGES: Final = ("message/rfc822", "message/global")
# RFC 2045 section 6.4: nothing else for a multipart or a message. RFC 6532 section 3.7 lets message/global have more.
_IDENTITY: Final = ("", "7bit", "8bit", "binary")

_HEADER_LINE = re.compile(rb"[!-9;-~]+:")
_ESCAPE = re.compile(rb"=[0-9A-Fa-f]{2}")
_NOWHERE = re.compile(rb"(?!)")


class TooComplex(ValueError):
    """The message can't be looked into so that everybody would find the same in it; the text says why."""


@frozen
class Attachment:
    """A part that is not the message's own text: `size` is in bytes as decoded; type and name are as declared.

    `other_names` are further names that a part can have: programs differ on which of them they show.
    """

    filename: str
    media_type: str
    size: int
    other_names: tuple[str, ...] = ()


@dataclass(slots=True)
class _Part:
    """A part that is open: its boundary if it is a multipart, else what is known of it."""

    media_type: str = "text/plain"  # as long as no field says otherwise
    boundary: bytes = b""
    header: list[bytes] = field(default_factory=list)  # lines of its Content- fields
    fields_size: int = 0
    in_header: bool = True
    in_content_field: bool = False
    names: tuple[str, ...] = ()
    encoding: str = ""
    counts: bool = False
    size: int = 0


class Scanner:
    """Feed it the whole message, then ask for `attachments`. Raises TooComplex from either."""

    def __init__(self) -> None:
        self._open = [_Part()]
        self._delimiter = _NOWHERE
        self._found: list[Attachment] = []
        self._held = b""
        self._parts = 1
        self._headers = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        data = self._held + data
        whole = data.rfind(b"\n") + 1
        if len(data) - whole >= _MAX_LINE:
            whole = len(data)
        self._held = data[whole:]
        self._walk(data[:whole])

    def attachments(self) -> list[Attachment]:
        """All that were found; nothing can be fed after this."""
        self._walk(self._held)
        while self._open:
            self._close()
        return self._found

    def _walk(self, lines: bytes) -> None:
        """A header goes line by line, a body in one up to the next delimiter."""
        position = 0
        while position < len(lines):
            in_header = self._open[-1].in_header
            if in_header:
                end = lines.find(b"\n", position) + 1 or len(lines)
                match = self._delimiter.match(lines, position)
            else:
                match = self._delimiter.search(lines, position)
                end = match.start() if match else len(lines)
            if match and match.start() == position:
                end = lines.find(b"\n", position) + 1 or len(lines)
                self._delimited(match.group().rstrip())
            elif in_header:
                self._header_line(self._open[-1], lines[position:end])
            else:
                self._body(lines[position:end])
            self._inside_of_messages(end - position)
            position = end

    def _inside_of_messages(self, count: int) -> None:
        """What is in an attached message is its size."""
        for outer in self._open[:-1]:
            if outer.counts:
                outer.size += count

    def _body(self, lines: bytes) -> None:
        part = self._open[-1]
        if part.counts:
            part.size += _decoded_size(lines, part.encoding)

    def _delimited(self, line: bytes) -> None:
        """The innermost multipart that has this boundary goes on, or ends."""
        depth = max(n for n, one in enumerate(self._open) if one.boundary and line in _delimiters(one.boundary))
        part = self._open[depth]
        while self._open[-1] is not part:
            self._close(delimited=True)
        if line == b"--" + part.boundary:
            # RFC 2046 section 5.1.5: in a digest a part that does not say what it is is a message.
            self._start("message/rfc822" if part.media_type == "multipart/digest" else "text/plain")
        else:
            part.boundary = b""
        self._look_for_delimiters()

    def _look_for_delimiters(self) -> None:
        boundaries = [re.escape(one.boundary) for one in self._open if one.boundary]
        self._delimiter = (
            re.compile(rb"(?m)^--(?:" + b"|".join(boundaries) + rb")(?:--)?[ \t\r]*$") if boundaries else _NOWHERE
        )

    def _start(self, media_type: str) -> None:
        self._parts += 1
        if len(self._open) >= MAX_DEPTH or self._parts > MAX_PARTS:
            raise TooComplex("the message is nested too deeply, or has too many parts, to be looked into")
        self._open.append(_Part(media_type))

    def _header_line(self, part: _Part, line: bytes) -> None:
        self._headers += len(line)
        if not line.strip(b"\r\n"):
            self._end_header(part)
            return
        if line[:1] not in b" \t":
            if not _HEADER_LINE.match(line):
                raise TooComplex("a part of the message has a header with a line that is no field")
            part.in_content_field = line[:8].lower() == b"content-"
        if part.in_content_field:
            part.header.append(line)
            part.fields_size += len(line)
        if part.fields_size > MAX_FIELDS or self._headers > MAX_HEADERS:
            raise TooComplex("the message has headers that are too long to be looked into")

    def _end_header(self, part: _Part) -> None:
        _read_header(part)
        if part.media_type in _MESSAGES:
            self._start("text/plain")  # its body begins with a header of its own
        elif part.boundary:
            self._look_for_delimiters()

    def _close(self, *, delimited: bool = False) -> None:
        part = self._open.pop()
        if part.in_header:
            _read_header(part)
        if delimited and part.encoding != "base64":
            part.size = max(0, part.size - 2)  # the CRLF before a delimiter belongs to it (RFC 2046 section 5.1.1)
        if part.counts:
            name, *others = part.names or ("",)
            self._found.append(Attachment(name, part.media_type, part.size, tuple(others)))


_FIELD: Final = re.compile(r"(content-[!-9;-~]*):(.*(?:\r?\n[ \t].*)*)\r?\n?", re.IGNORECASE)
_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")


def _read_header(part: _Part) -> None:
    part.in_header = False
    raw = b"".join(part.header)
    if raw.count(b";") > MAX_PARAMETERS:
        raise TooComplex("a part of the message has too many parameters to be looked into")
    try:
        _read_fields(part, raw)
    except TwoReadings as fault:
        raise TooComplex(f"a part of the message has a field that programs read differently: {fault}") from None
    part.header = []


def _read_fields(part: _Part, raw: bytes) -> None:
    try:
        text, charset = raw.decode(), "utf-8"  # RFC 6532
    except UnicodeDecodeError:
        text, charset = raw.decode("latin-1"), "latin-1"  # as older programs write it
    fields = _fields(text)
    kind = read_mime_field(fields["content-type"]) if fields.get("content-type") else MimeField(part.media_type, {})
    shown = read_mime_field(fields["content-disposition"]) if fields.get("content-disposition") else MimeField("", {})
    if "/" not in kind.essence:
        raise TwoReadings("its type has no subtype")
    part.media_type = kind.essence
    part.encoding = fields.get("content-transfer-encoding", "").lower()
    if " " in part.encoding or "(" in part.encoding or ";" in part.encoding:
        raise TwoReadings("its transfer encoding can't be read in one way")
    if part.media_type == "message/partial":
        raise TooComplex("the message is a piece of another one (message/partial), which can't be looked into")
    composite = part.media_type.startswith("multipart/")
    if (composite or part.media_type in _MESSAGES) and part.encoding not in _IDENTITY:
        raise TooComplex(f"a part of the type {part.media_type} is encoded (RFC 2045 section 6.4)")
    if composite:
        part.boundary = kind.one("boundary").encode(charset)
        return
    names = [one.strip() for one in (*shown.parameters.get("filename", ()), *kind.parameters.get("name", ()))]
    part.names = tuple(dict.fromkeys(name for name in names if name))
    part.counts = bool(part.names) or shown.essence == "attachment" or part.media_type not in _TEXTS


def _fields(text: str) -> dict[str, str]:
    """The Content- fields by name, unfolded. Raises TwoReadings."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        field = _FIELD.match(text, position)
        if not field:
            raise TwoReadings("it has no colon, or white space before it")
        name = field[1].lower()
        if name in found and name in _READ:
            raise TwoReadings(f"{name} is there more than once")
        found[name] = _FOLD.sub("", field[2]).strip()
        position = field.end()
    return found


_READ: Final = ("content-type", "content-transfer-encoding", "content-disposition")


def _delimiters(boundary: bytes) -> tuple[bytes, bytes]:
    return b"--" + boundary, b"--" + boundary + b"--"


def _decoded_size(lines: bytes, encoding: str) -> int:
    if encoding == "base64":
        return len(lines.translate(None, b"\r\n \t=")) * 3 // 4
    if encoding == "quoted-printable":
        soft = lines.count(b"=\r\n")
        return len(lines) - 3 * soft - 2 * len(_ESCAPE.findall(lines))
    return len(lines)
