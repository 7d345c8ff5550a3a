"""Adds a footer to a message's own text, as plain text and as HTML, and leaves every other byte as it came. Pure.

Only the first text/plain and the first text/html part that are no attachments are written anew. What is signed or
encrypted is left alone: a footer would break it.
"""

import base64
import html
import quopri
import re
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final

_PARSER: Final = BytesHeaderParser()
_MAX_DEPTH: Final = 10
_SEALED: Final = ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_PGP: Final = re.compile(rb"^-----BEGIN PGP (SIGNED )?MESSAGE-----", re.MULTILINE)
_END_OF_BODY: Final = re.compile(r"</body\s*>|</html\s*>", re.IGNORECASE)


class NoFooter(Exception):
    """The message must not or can't be given a footer; the text says why."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A text part: where its header begins, where its body begins and ends, in bytes."""

    header: Message
    start: int
    body: int
    end: int


def with_footer(raw: bytes, text: str) -> bytes:
    """The message with `text` (lines by LF) below its own. Raises NoFooter."""
    header = _PARSER.parsebytes(raw[: _body_of(raw, 0, len(raw))])
    if header.get_content_type() in _SEALED or _PGP.search(raw):
        raise NoFooter("the message is signed or encrypted")
    if "DKIM-Signature" in header:
        raise NoFooter("the message has a DKIM signature of its own")
    texts: dict[str, _Text] = {}
    _find(raw, 0, len(raw), texts, 0)
    if not texts:
        raise NoFooter("the message has no text of its own")
    for found in sorted(texts.values(), key=lambda one: one.start, reverse=True):
        raw = raw[: found.start] + _rewritten(raw, found, text) + raw[found.end :]
    return raw


def _body_of(raw: bytes, start: int, end: int) -> int:
    """Where the body begins: behind the first empty line."""
    if raw.startswith(b"\r\n", start):
        return start + 2
    found = raw.find(b"\r\n\r\n", start, end)
    return end if found < 0 else found + 4


def _find(raw: bytes, start: int, end: int, texts: dict[str, _Text], depth: int) -> None:
    body = _body_of(raw, start, end)
    header = _PARSER.parsebytes(raw[start:body])
    kind = header.get_content_type()
    if kind in _SEALED or depth > _MAX_DEPTH:
        raise NoFooter("the message is signed or encrypted, or nested too deeply")
    if kind.startswith("multipart/"):
        for first, last in _parts(raw, body, end, header.get_boundary() or ""):
            _find(raw, first, last, texts, depth + 1)
    elif kind in ("text/plain", "text/html") and kind not in texts and not _is_attachment(header):
        texts[kind] = _Text(header, start, body, end)


def _is_attachment(header: Message) -> bool:
    disposition = str(header.get("Content-Disposition", "")).strip().lower()
    return disposition.startswith("attachment") or header.get_filename() is not None


def _parts(raw: bytes, start: int, end: int, boundary: str) -> list[tuple[int, int]]:
    """Where each part begins and ends. The CRLF before a delimiter belongs to it (RFC 2046 section 5.1.1)."""
    if not boundary:
        return []
    mark = re.escape(b"--" + boundary.encode("utf-8", "surrogateescape"))
    found = [
        (one.start(), one.end(), bool(one.group(1)))
        for one in re.finditer(rb"(?:(?<=\r\n)|\A)" + mark + rb"(--)?[ \t]*(?:\r\n|\Z)", raw[:end])
        if one.start() >= start
    ]
    parts = []
    for (_, begins, last), (ends, _, _) in zip(found, [*found[1:], (end + 2, 0, True)], strict=True):
        if last:
            break
        parts.append((begins, max(begins, ends - 2)))
    return parts


def _rewritten(raw: bytes, part: _Text, text: str) -> bytes:
    """Header and body of the part anew; of its header only the type's charset and the encoding change, if they must."""
    header, body = raw[part.start : part.body], raw[part.body : part.end]
    encoding = str(part.header.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    charset = str(part.header.get_content_charset("us-ascii"))
    decoded = _decoded(body, encoding, charset)
    is_html = part.header.get_content_type() == "text/html"
    added = _html(decoded, text) if is_html else _plain(decoded, text)
    try:
        data, kept = added.encode(charset), True
    except (UnicodeEncodeError, LookupError):
        data, kept = added.encode(), False
    data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if not kept:
        header = _with_charset(header)
    fits = encoding in ("quoted-printable", "base64") or (encoding in ("7bit", "8bit") and _fits(data, encoding))
    if not fits:
        header, encoding = _with_encoding(header), "quoted-printable"
    return header + _encoded(data, encoding)


def _decoded(body: bytes, encoding: str, charset: str) -> str:
    if encoding == "base64":
        body = base64.b64decode(body)
    elif encoding == "quoted-printable":
        body = quopri.decodestring(body)
    elif encoding not in ("7bit", "8bit"):
        raise NoFooter(f"the encoding '{encoding[:20]}' of the text is not known")
    try:
        return body.decode(charset)
    except (UnicodeDecodeError, LookupError):
        raise NoFooter("the text is not in the character set that it says") from None


def _plain(text: str, footer: str) -> str:
    return f"{text.rstrip()}\n\n-- \n{footer}\n" if text.strip() else f"{footer}\n"


def _html(text: str, footer: str) -> str:
    block = f"<hr><p>{html.escape(footer).replace(chr(10), '<br>')}</p>"
    end = _END_OF_BODY.search(text)
    return text[: end.start()] + block + text[end.start() :] if end else text + block


def _fits(data: bytes, encoding: str) -> bool:
    return (encoding == "8bit" or data.isascii()) and all(len(line) <= 998 for line in data.split(b"\r\n"))


def _encoded(data: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        return quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return data


_TYPE_FIELD: Final = re.compile(rb"(?im)^content-type:.*(?:\r\n[ \t].*)*\r\n")
_ENCODING_FIELD: Final = re.compile(rb"(?im)^content-transfer-encoding:.*(?:\r\n[ \t].*)*\r\n")
_CHARSET: Final = re.compile(rb'(?i)(charset\s*=\s*)("[^"]*"|[^;\s]+)')


def _with_charset(header: bytes) -> bytes:
    """The same field with UTF-8 as its charset; one is added where there was none."""
    field = _TYPE_FIELD.search(header)
    if field is None:
        return b"Content-Type: text/plain; charset=utf-8\r\n" + header
    raw = field.group()
    new = _CHARSET.sub(rb"\1utf-8", raw) if _CHARSET.search(raw) else raw.rstrip(b"\r\n;") + b"; charset=utf-8\r\n"
    return header[: field.start()] + new + header[field.end() :]


def _with_encoding(header: bytes) -> bytes:
    line = b"Content-Transfer-Encoding: quoted-printable\r\n"
    field = _ENCODING_FIELD.search(header)
    if field is None:
        return line + header
    return header[: field.start()] + line + header[field.end() :]
