"""Takes attached files out of a message that is too large as a whole, so that they can go one by one. Pure.

Only files that stand beside the text (RFC 2046 section 5.1.3) and are attached in base64; the largest first, and no
more than need be. What is left is byte for byte as it was. A message that is signed or encrypted as a whole has none.
"""

import binascii
import mmap
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Final

from outgate.frozen import frozen
from outgate.mail.headers import HeaderError, split_fields, value
from outgate.mail.mime_fields import TwoReadings, read_mime_field

Raw = bytes | mmap.mmap  # a whole message

MAX_PARTS: Final = 500
PIECE: Final = 4 * 1024 * 1024  # bytes of base64 that are decoded at once

_MAX_HEADER: Final = 16 * 1024  # bytes of a part's
_UNNAMED: Final = "attachment"


class NotDetachable(ValueError):
    """Nothing can be taken out, or not enough; the text says why."""


@frozen
class DetachedFile:
    """A file, with where its base64 lies in the message; `size` is in bytes, decoded."""

    name: str
    media_type: str
    start: int
    end: int
    size: int

    def pieces(self, raw: Raw) -> Iterator[bytes]:
        """Its content, in pieces of at most three quarters of PIECE."""
        left = b""
        for at in range(self.start, self.end, PIECE):
            text = left + raw[at : min(at + PIECE, self.end)].translate(None, b"\r\n \t")
            whole = len(text) - len(text) % 4
            left = text[whole:]
            if whole:
                yield b64decode(text[:whole], validate=True)
        if left:
            raise binascii.Error("it ends within a group")


@frozen
class Detached:
    """What is left of a message, and the files in their order."""

    rest: bytes
    files: tuple[DetachedFile, ...]


@frozen
class _MixedPart:
    """Of a multipart: from its delimiter to the next one, and what it is if it can be taken out."""

    start: int
    end: int
    file: DetachedFile | None = None


def detached(raw: Raw, largest: int) -> Detached:
    """What is left of a message has at most `largest` bytes. Raises NotDetachable."""
    parts = list(_parts(raw))
    size, taken = len(raw), list[_MixedPart]()
    for part in sorted((one for one in parts if one.file), key=lambda one: one.start - one.end):
        if size <= largest or len(taken) + 1 == len(parts):
            break
        taken.append(part)
        size -= part.end - part.start
    if size > largest:
        raise NotDetachable(f"without the files that can be taken out of it, it still has {size} bytes")
    taken.sort(key=lambda one: one.start)
    edges = [0, *(edge for part in taken for edge in (part.start, part.end)), len(raw)]
    rest = b"".join([raw[edges[at] : edges[at + 1]] for at in range(0, len(edges), 2)])
    return Detached(rest, tuple(part.file for part in taken if part.file))


def _parts(raw: Raw) -> Iterator[_MixedPart]:
    """Raises NotDetachable."""
    body = raw.find(b"\r\n\r\n") + 4
    try:
        fields = _fields(raw[: max(body - 2, 0)])
    except HeaderError:
        raise NotDetachable("its header can't be read") from None
    if "dkim-signature" in fields:
        raise NotDetachable("it has a DKIM signature of its own, which that would break")
    try:
        kind = read_mime_field(fields.get("content-type", "text/plain"))
        boundary = kind.one("boundary").encode()
    except TwoReadings:
        raise NotDetachable("its type can't be read in one way") from None
    if kind.essence != "multipart/mixed" or not boundary:
        raise NotDetachable("it is no text with files attached to it (multipart/mixed)")
    lines = re.compile(rb"(?m)^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?$")
    before: re.Match[bytes] | None = None
    for number, line in enumerate(lines.finditer(raw, body - 2)):
        if number > MAX_PARTS:
            raise NotDetachable("it has too many parts")
        if before:
            yield _MixedPart(before.start(), line.start(), _file(raw, before.end() + 1, line.start() - 2))
        if line[1]:
            return
        before = line
    raise NotDetachable("it ends within a part")


def _file(raw: Raw, start: int, end: int) -> DetachedFile | None:
    body = raw.find(b"\r\n\r\n", start, min(end, start + _MAX_HEADER)) + 4
    if body < 4:
        return None
    try:
        fields = _fields(raw[start : body - 2])
        shown = read_mime_field(fields.get("content-disposition", "inline"))
        kind = read_mime_field(fields.get("content-type", "text/plain"))
    except (HeaderError, TwoReadings):
        return None
    is_file = shown.essence == "attachment" and not kind.essence.startswith(("multipart/", "message/"))
    if not is_file or fields.get("content-transfer-encoding", "").lower() != "base64":
        return None
    names = (*shown.parameters.get("filename", ()), *kind.parameters.get("name", ()), _UNNAMED)
    found = DetachedFile(next(name for name in names if name), kind.essence, body, end, 0)
    try:
        size = sum(map(len, found.pieces(raw)))
    except binascii.Error:
        return None
    return DetachedFile(found.name, found.media_type, body, end, size) if size else None


def _fields(block: bytes) -> dict[str, str]:
    """The fields that say what a part is, by name in lower case; of several of one name the last."""
    return {one.name.decode(): value(one).decode(errors="replace") for one in split_fields(block)}
