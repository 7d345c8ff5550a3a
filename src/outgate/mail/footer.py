"""Adds a footer to a message's own text, as plain text and as HTML, and leaves every other byte as it came. Pure.

Only the last text that is no attachment is written anew, in each of its alternatives (text/plain, text/html). What is
signed or encrypted is left alone: a footer would break it.
"""

import base64
import codecs
import html
import quopri
import re
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final

from outgate.frozen import frozen
from outgate.mail.mime_fields import CHARSET

MAX_DEPTH: Final = 10
MAX_PARTS: Final = 500
MAX_FIELDS: Final = 4 * 1024  # bytes of one part's Content- fields, and parameters in them: as in mail.attachments
MAX_PARAMETERS: Final = 100

_PARSER: Final = BytesHeaderParser()
_TEXTS: Final = ("text/plain", "text/html")
_SEALED: Final = ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_PGP: Final = re.compile(r"^-----BEGIN PGP (?:SIGNED )?MESSAGE-----", re.MULTILINE)
_END_OF_BODY: Final = (re.compile(r"</body\s*>", re.IGNORECASE), re.compile(r"</html\s*>", re.IGNORECASE))


class NoFooter(Exception):
    """The message must not or can't be given a footer; the text says why."""


@frozen
class _Text:
    """A text part: its fields, where its header begins, where its body begins and ends, in bytes."""

    header: Message
    start: int
    body: int
    end: int


def with_footer(raw: bytes, text: str, *, whole: bool = True) -> bytes:
    """The message with `text` (lines by LF) below its own. Raises NoFooter.

    If `raw` is not the whole message but its beginning, only texts that end in it are touched.
    """
    if re.search(rb"(?im)^dkim-signature[ \t]*:", raw[: _body_of(raw, 0, len(raw))]):
        raise NoFooter("the message has a DKIM signature of its own")
    texts = _Texts(raw, whole)
    found = texts.find(0, len(raw), 0)
    if not found:
        raise NoFooter("the text is too long" if texts.unfinished else "the message has no text of its own")
    for part in reversed(found):
        raw = raw[: part.start] + _rewritten(raw, part, text) + raw[part.end :]
    return raw


class _Texts:
    """Looks for the parts that get a footer: below the last text of the message's own, in each of its alternatives.

    Each byte is looked at at most once for each level of nesting.
    """

    def __init__(self, raw: bytes, whole: bool) -> None:
        self.unfinished = False
        self._raw, self._whole = raw, whole
        self._parts = 0

    def find(self, start: int, end: int, depth: int) -> list[_Text]:
        """The texts at the end of the part that lies there."""
        self._parts += 1
        if depth > MAX_DEPTH or self._parts > MAX_PARTS:
            raise NoFooter("the message is nested too deeply, or has too many parts")
        body = _body_of(self._raw, start, end)
        header = _fields(self._raw[start:body])
        kind = header.get_content_type()
        if kind in _SEALED:
            raise NoFooter("the message is signed or encrypted")
        if kind.startswith("multipart/"):
            return self._within(kind, header, body, end, depth)
        if kind not in _TEXTS or _is_attachment(header):
            return []
        if self._whole or end < len(self._raw):
            return [_Text(header, start, body, end)]
        self.unfinished = True
        return []

    def _within(self, kind: str, header: Message, body: int, end: int, depth: int) -> list[_Text]:
        """Alternatives are one text in several forms, and what is related to one is shown in it; else parts follow each
        other. In a digest all is messages (RFC 2046 section 5.1.5), and they are somebody else's.
        """
        if kind == "multipart/digest":
            return []
        lie = _parts(self._raw, body, end, header.get_boundary() or "", self._whole)
        found = [texts for first, last in lie if (texts := self.find(first, last, depth + 1))]
        if kind == "multipart/alternative":
            return [text for texts in found for text in texts]
        return (found[0] if kind == "multipart/related" else found[-1]) if found else []


_CONTENT_FIELD: Final = re.compile(rb"(?im)^content-[!-9;-~]*[ \t]*:.*(?:\n[ \t].*)*\n?")


def _fields(header: bytes) -> Message:
    """The Content- fields, read. Raises NoFooter if they can be read in two ways, or take long."""
    raw = b"".join(_CONTENT_FIELD.findall(header))
    if len(raw) > MAX_FIELDS or raw.count(b";") > MAX_PARAMETERS:
        raise NoFooter("a part of the message has Content- fields that are too long")
    found = _PARSER.parsebytes(raw)
    try:
        found.get_boundary(), found.get_filename(), found.get_content_charset()
    except (ValueError, LookupError, TypeError):  # what the parser makes of hostile parameters
        raise NoFooter("a part of the message has Content- fields that can't be read") from None
    if any(len(found.get_all(name, [])) > 1 for name in ("Content-Type", "Content-Transfer-Encoding")):
        raise NoFooter("a part of the message says twice of what type it is")
    return found


def _body_of(raw: bytes, start: int, end: int) -> int:
    """Where the body begins: behind the first empty line."""
    if raw.startswith(b"\r\n", start, end):
        return start + 2
    found = raw.find(b"\r\n\r\n", start, end)
    return end if found < 0 else found + 4


def _is_attachment(header: Message) -> bool:
    disposition = str(header.get("Content-Disposition", "")).strip().lower()
    return disposition.startswith("attachment") or header.get_filename() is not None


def _parts(raw: bytes, start: int, end: int, boundary: str, whole: bool) -> Iterator[tuple[int, int]]:
    """Where each part begins and ends. The CRLF before a delimiter belongs to it (RFC 2046 section 5.1.1).

    Where more is to come a delimiter must be there with its CRLF: else it might be another one's beginning.
    """
    if not boundary:
        return
    mark = re.escape(b"--" + boundary.encode("utf-8", "surrogateescape"))
    close = rb"(?:\r\n|\Z)" if whole else rb"\r\n"
    begins = None
    for one in re.compile(rb"(?m)^" + mark + rb"(--)?[ \t]*" + close).finditer(raw, start, end):
        if begins is not None:
            yield begins, max(begins, one.start() - 2)
        begins = one.end()
        if one[1]:
            return
    if begins is not None:
        yield begins, end  # nobody closed it


def _rewritten(raw: bytes, part: _Text, footer: str) -> bytes:
    """Header and body of the part anew; of its header only charset and transfer encoding change, if they must."""
    header, body = raw[part.start : part.body], raw[part.body : part.end]
    encoding = str(part.header.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    charset = str(part.header.get_content_charset("us-ascii"))
    is_html = part.header.get_content_type() == "text/html"
    text = _decoded(body, encoding, charset)
    if _PGP.search(text):
        raise NoFooter("the message is signed or encrypted")
    text = _html(text, footer) if is_html else _plain(text, footer)
    changes = {}
    data = _in_charset(text, charset, is_html=is_html)
    if data is None:
        data = text.encode()
        changes[b"Content-Type"] = _utf8_type(header)
    # What came in 7 bits stays in 7 bits: the next server may take no others.
    plain = (encoding == "7bit" and data.isascii()) or (encoding == "8bit" and data.isascii() >= body.isascii())
    if encoding not in ("quoted-printable", "base64") and not (plain and _short_lines(data)):
        encoding = "quoted-printable"
        changes[b"Content-Transfer-Encoding"] = b"quoted-printable"
    if changes and part.start == 0 and not re.search(rb"(?im)^mime-version[ \t]*:", header):
        changes[b"MIME-Version"] = b"1.0"
    header = _with_fields(header, changes)
    if b"Content-Type" in changes and _fields(header).get_content_charset() != "utf-8":
        raise NoFooter("the character set of the text can't be changed")
    return header + _encoded(data, encoding)


def _decoded(body: bytes, encoding: str, charset: str) -> str:
    """The text with its lines by LF."""
    try:
        if encoding == "base64":
            body = base64.b64decode(body)
        elif encoding == "quoted-printable":
            body = quopri.decodestring(body)
        elif encoding not in ("7bit", "8bit"):
            raise NoFooter(f"the encoding '{encoding[:20]}' of the text is not known")
        if not CHARSET.fullmatch(codecs.lookup(charset).name):
            raise LookupError
        return body.decode(charset).replace("\r\n", "\n").replace("\r", "\n")
    except (ValueError, LookupError):
        raise NoFooter("the text is not in the encoding and character set that it says") from None


def _plain(text: str, footer: str) -> str:
    return f"{text.rstrip()}\n\n-- \n{footer}\n" if text.strip() else f"{footer}\n"


def _html(text: str, footer: str) -> str:
    """Before the last end of the body: one that comes earlier may stand in a comment."""
    block = f"<hr><p>{html.escape(footer).replace(chr(10), '<br>')}</p>"
    for pattern in _END_OF_BODY:
        *_, last = None, *pattern.finditer(text)
        if last:
            return text[: last.start()] + block + text[last.start() :]
    return text + block + "\n"


def _in_charset(text: str, charset: str, *, is_html: bool) -> bytes | None:
    """The text with its lines by CRLF; None if the character set has no room for it. HTML has a name for everything."""
    try:
        return text.replace("\n", "\r\n").encode(charset, "xmlcharrefreplace" if is_html else "strict")
    except ValueError:
        return None


def _short_lines(data: bytes) -> bool:
    return all(len(line) <= 998 for line in data.split(b"\r\n"))


def _encoded(data: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        return quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return data


_PARAMETER: Final = re.compile(rb'(?i)(;\s*charset)\*?\s*=\s*(?:"[^"]*"|[^;\s]+)')


def _utf8_type(header: bytes) -> bytes:
    """The type with UTF-8 as its character set, and all else that it says as it was."""
    field = _field(b"Content-Type").search(header)
    if field is None:
        return b"text/plain; charset=utf-8"
    kept = field[1].strip()
    if _PARAMETER.search(kept):
        return _PARAMETER.sub(rb"\1=utf-8", kept)
    return kept.rstrip(b"; \t\r\n") + b"; charset=utf-8"


def _field(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?im)^" + name + rb"[ \t]*:(.*(?:\n[ \t].*)*)\n")


def _with_fields(header: bytes, changes: dict[bytes, bytes]) -> bytes:
    """The header with these fields in the place of their like, else at its end; always with its empty line."""
    block = header.rstrip(b"\r\n") + b"\r\n" if header.strip(b"\r\n") else b""
    for name, value in changes.items():
        line = name + b": " + value + b"\r\n"
        field = _field(name).search(block)
        block = block[: field.start()] + line + block[field.end() :] if field else block + line
    return block + b"\r\n"
