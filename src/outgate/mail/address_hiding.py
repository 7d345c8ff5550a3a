"""Takes an address out of a header field and leaves what the message can't do without.

Of a list of ids or links the one entry goes, of a Content- field the names alone. What describes the body stays in
any case: without its type and encoding nobody can read it (RFC 2045). Knows no route.
"""

import re
from typing import Final

from outgate.mail.address_leak import AddressMatcher
from outgate.mail.headers import Field, value

# Entries of a list; a quoted string or angle brackets never end one.
_IDS: Final = re.compile(rb"<[^<>]*>|[^<>\s]+")
_LINKS: Final = re.compile(rb'(?:<[^<>]*>|"(?:[^"\\]|\\.)*"|[^<>",])+')
_PARAMETERS: Final = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^";])+')

_ID_LISTS: Final = frozenset({b"references", b"in-reply-to"})
_DESCRIBES_BODY: Final = frozenset({b"content-type", b"content-transfer-encoding", b"content-disposition"})
# Parameters that a program shows but does not need.
_SHOWN: Final = re.compile(rb"\s*(?:file)?name\*?[0-9]*\*?\s*=", re.IGNORECASE)


def hiding(field: Field, hidden: AddressMatcher) -> Field | None:
    """The field without what tells of the address; None if nothing is left of it."""
    if not hidden.found_in(field.raw):
        return field
    if field.name in _DESCRIBES_BODY:
        return _without_names(field)
    if field.name in _ID_LISTS:
        return _without_entries(field, _IDS, b"\r\n\t", hidden)
    if field.name.startswith(b"list-"):
        return _without_entries(field, _LINKS, b",\r\n\t", hidden)
    return None


def _without_names(field: Field) -> Field:
    """All names go: one may be cut into several parameters (RFC 2231 section 3)."""
    essence, *parameters = _PARAMETERS.findall(value(field)) or [b""]
    return _of(field, b";\r\n\t".join([essence.strip(), *(one.strip() for one in parameters if not _SHOWN.match(one))]))


def _without_entries(field: Field, entry: re.Pattern[bytes], joint: bytes, hidden: AddressMatcher) -> Field | None:
    entries = [one.strip() for one in entry.findall(value(field))]
    kept = _of(field, joint.join([one for one in entries if one and not hidden.found_in(one)]))
    return kept if value(kept) and not hidden.found_in(kept.raw) else None


def _of(field: Field, content: bytes) -> Field:
    return Field(field.name, field.raw[: len(field.name)] + b": " + content + b"\r\n")
