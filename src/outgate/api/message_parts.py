"""A message as programs hand it over: in base64url within JSON, or beside its JSON (multipart/related). Pure.

Parts of a multipart body are found by their boundary alone, so that each stays as it came.
"""

import base64
import binascii
import re
from typing import Final

from outgate.api.google_error import invalid

# At most 70 characters (RFC 2046 5.1.1).
_BOUNDARY: Final = re.compile(r""";\s*boundary=(?:"([!#-~ ]{1,70})"|([!#-:<-~]{1,70})\s*(?:;|$))""", re.IGNORECASE)
_ENCODED: Final = re.compile(rb"(?im)^content-transfer-encoding:[ \t]*base64")


def decoded(raw: str) -> bytes:
    """The bytes that a text in base64url says, with or without its padding; plain base64 as well. Raises ApiError."""
    text = raw.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Invalid value at 'raw': it must be the whole message in base64url.") from None


def divided(content_type: str, body: bytes) -> tuple[bytes, bytes]:
    """The JSON and the message of an upload of both. Raises ApiError."""
    found = parts(content_type, "multipart/related", body, 2)
    if found is None:
        raise invalid("A multipart upload must be multipart/related, with a boundary.")
    if len(found) != 2:
        raise invalid("A multipart upload must have two parts: JSON, and the message.")
    return found[0][1], found[1][1]


def parts(content_type: str, kind: str, body: bytes, at_most: int) -> list[tuple[bytes, bytes]] | None:
    """Head and content of each part, the content decoded if its head says that it is base64. Raises ApiError.

    None if the content is not of the kind (as in `multipart/mixed`), or names no boundary; empty if there are no parts,
    or more than `at_most`.
    """
    match = _BOUNDARY.search(content_type)
    if content_type.partition(";")[0].strip().lower() != kind or match is None:
        return None
    mark = b"--" + (match[1] or match[2]).encode()
    return [_part(one) for one in _between(mark, body, at_most)]


def _between(mark: bytes, body: bytes, at_most: int) -> list[bytes]:
    """What stands between the lines that begin with the mark, up to the one that closes."""
    pieces = (b"\n" + body).split(b"\n" + mark, at_most + 1)  # more are not looked for
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        return []
    return [piece.partition(b"\n")[2].removesuffix(b"\r") for piece in pieces[1:-1]]


def _part(piece: bytes) -> tuple[bytes, bytes]:
    head, content = _head_and_content(piece)
    if not _ENCODED.search(head):
        return head, content
    try:
        return head, base64.b64decode(content)
    except binascii.Error:
        raise invalid("A part of the multipart body is not base64, as its head says.") from None


def _head_and_content(piece: bytes) -> tuple[bytes, bytes]:
    match = re.search(rb"(?m)^\r?\n", piece)
    if match is None:
        raise invalid("A part of the multipart body has no empty line behind its head.")
    return piece[: match.start()], piece[match.end() :]
