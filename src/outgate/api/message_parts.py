"""A message as programs hand it over: in base64url within JSON, or beside its JSON (multipart/related). Pure."""

import base64
import binascii
import re
from email.errors import MessageError
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

from outgate.api.google_error import invalid

_MULTIPART: Final = re.compile(r"multipart/related\s*;", re.IGNORECASE)


def decoded(raw: str) -> bytes:
    """The bytes that a text in base64url says, with or without its padding; plain base64 as well. Raises ApiError."""
    text = raw.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Invalid value at 'raw': it must be the whole message in base64url.") from None


def encoded(raw: bytes) -> str:
    """In base64url."""
    return base64.urlsafe_b64encode(raw).decode()


def divided(content_type: str, body: bytes) -> tuple[bytes, bytes]:
    """The JSON and the message of an upload of both. Raises ApiError.

    The parts are found by their boundary, so that the message stays as it came.
    """
    match = _MULTIPART.match(content_type)
    boundary = _boundary(content_type) if match else ""
    if not boundary:
        raise invalid("A multipart upload must be multipart/related, with a boundary.")
    parts = [_part(one) for one in _between(b"--" + boundary.encode(), body)]
    if len(parts) != 2:
        raise invalid("A multipart upload must have two parts: JSON, and the message.")
    return parts[0], parts[1]


def _boundary(content_type: str) -> str:
    try:
        head = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode(), headersonly=True)
        found = head.get_boundary()
    except (MessageError, ValueError, LookupError):
        return ""
    return found if found and found.isascii() else ""


def _between(mark: bytes, body: bytes) -> list[bytes]:
    """What stands between the lines that begin with the mark, up to the one that closes."""
    pieces = (b"\n" + body).split(b"\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        return []
    return [piece.partition(b"\n")[2].removesuffix(b"\r") for piece in pieces[1:-1]]


def _part(piece: bytes) -> bytes:
    """A part's content, decoded if its head says so."""
    head, content = _head_and_content(piece)
    if not re.search(rb"(?im)^content-transfer-encoding:[ \t]*base64", head):
        return content
    try:
        return base64.b64decode(content)
    except binascii.Error:
        raise invalid("A part of the multipart upload is not base64, as its head says.") from None


def _head_and_content(piece: bytes) -> tuple[bytes, bytes]:
    match = re.search(rb"(?m)^\r?\n", piece)
    if match is None:
        raise invalid("A part of the multipart upload has no empty line behind its head.")
    return piece[: match.start()], piece[match.end() :]
