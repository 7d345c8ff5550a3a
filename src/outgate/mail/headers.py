"""The raw header block as a list of fields (RFC 5322 section 2.2). Knows no field's meaning; changes no byte."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import NamedTuple

# A name of printable US-ASCII but the colon, the colon right behind it, then text and continuation lines.
# White space before the colon is obsolete syntax (RFC 5322 4.5.8) that programs read differently: refused.
# That each line end is a CRLF is seen to apart, by counting, which is quicker than a class without CR and LF here.
_FIELD = re.compile(rb"(?m)^(([!-9;-~]+):.*\n(?:[ \t].*\n)*)")


class HeaderError(ValueError):
    """The block is not a list of header fields; the text names the line, never its content."""


class Field(NamedTuple):
    """One header field: its name in lower case, and all its bytes with every CRLF."""

    name: bytes
    raw: bytes


_new = tuple.__new__  # a NamedTuple's own constructor takes twice as long, and this is done for each field


def split_fields(block: bytes) -> list[Field]:
    """Split a header block (CRLF line ends, without the empty line); raises HeaderError on a line that is no field."""
    pairs = _FIELD.findall(block)
    if sum([len(raw) for raw, _ in pairs]) != len(block) or _has_bare_line_end(block):
        raise HeaderError(_fault(block))
    return [_new(Field, (name.lower(), raw)) for raw, name in pairs]


def value(field: Field) -> bytes:
    """The field's body, unfolded (RFC 5322 2.2.3) and without white space around it."""
    return field.raw[len(field.name) + 1 :].replace(b"\r\n", b"").strip(b" \t")


@lru_cache(maxsize=64)
def format_date(seconds: int) -> str:
    """Seconds since the epoch as an RFC 5322 date-time in UTC."""
    return format_datetime(datetime.fromtimestamp(seconds, UTC))


def _has_bare_line_end(block: bytes) -> bool:
    return not block.count(b"\r\n") == block.count(b"\n") == block.count(b"\r")


def _fault(block: bytes) -> str:
    position = 0
    while (match := _FIELD.match(block, position)) and not _has_bare_line_end(match[0]):
        position = match.end()
    line = block.count(b"\n", 0, position) + 1
    if block[position : position + 1] in (b" ", b"\t"):
        return f"line {line} of the header continues no field"
    if _has_bare_line_end(match[0] if match else block[position:]):
        return f"the header field in line {line} has a bare CR or LF; lines must end with CRLF"
    text = block[position:].partition(b"\r\n")[0]
    name, colon, _ = text.partition(b":")
    if colon and name != name.rstrip(b" \t"):
        return f"line {line} of the header has white space before the colon"
    return f"line {line} of the header is not a header field ('Name: value', the name in US-ASCII, ending with CRLF)"
