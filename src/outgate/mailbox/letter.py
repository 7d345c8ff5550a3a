"""A letter in a mailbox: its head as lists show it, and its content as it is read. Pure.

Whoever wrote it may be hostile or careless: what can't be read is shown as it is, and nothing raises.
"""

import codecs
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message as MimePart
from email.parser import BytesHeaderParser
from email.utils import collapse_rfc2231_value, getaddresses, parsedate_to_datetime
from functools import lru_cache
from typing import Final

from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, Mailbox, canonical
from outgate.mailbox.html_text import text_of
from outgate.printable import printable

MAX_PARTS: Final = 200
MAX_TEXT: Final = 512 * 1024  # characters that are shown
MAX_TAGS: Final = 10_000  # of an HTML text: the time to read them grows with the square of those that are open
MAX_INLINE: Final = 4 * 1024 * 1024  # bytes of pictures within an HTML text
_MAX_FIELD: Final = 1000  # characters of a field that are shown
_MAX_ENCODED: Final = 8 * _MAX_FIELD  # characters that are decoded for them
_MAX_FIELDS: Final = 100_000  # characters of all fields of one name that are read
_MAX_PEOPLE: Final = 200
_OFTEN_SEEN: Final = 300  # characters of people who are remembered
_SLOW: Final = ("punycode", "idna")  # names' encodings, whose time grows with the square; no text has them
_ID: Final = re.compile(r"<[!-;=?-~]{1,250}>")  # a Message-ID without spaces, brackets within, or what is not US-ASCII
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f]+")
_PICTURES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")


@frozen
class LetterHead:
    """What lists and replies need. `key` names the letter in its mailbox; `at` is in seconds since the epoch; `ids` are
    those that it refers to, the oldest first."""

    key: str
    sender: Mailbox
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    reply_to: tuple[Mailbox, ...]
    subject: str
    at: float
    message_id: str
    references: tuple[str, ...]
    is_seen: bool = True

    @property
    def sender_name(self) -> str:
        """What people call the sender."""
        return self.sender.display_name or self.sender.address


@frozen
class LetterFile:
    """A file that came with a letter; `number` names it there, `size` is in bytes."""

    number: int
    name: str
    content_type: str
    size: int


@frozen
class Letter:
    """The content. `html` is as it was sent, empty if there is none; `pictures` are those that it shows, by their
    Content-ID: content type and bytes."""

    head: LetterHead
    text: str
    html: str
    files: tuple[LetterFile, ...]
    pictures: dict[str, tuple[str, bytes]]


def head_of(raw: bytes, key: str, at: float, *, is_seen: bool = True) -> LetterHead:
    """Of a header, or of a whole message; `at` is when it came, for one that has no date."""
    return _head(BytesHeaderParser().parsebytes(raw), key, at, is_seen)


def letter_of(raw: bytes, key: str, at: float) -> Letter:
    """Of a whole message."""
    message = _parsed(raw)
    texts, files = dict[str, str](), list[LetterFile]()
    pictures, room = dict[str, tuple[str, bytes]](), MAX_INLINE
    for number, part in enumerate(_leaves(message)):
        kind, name = part.get_content_type(), _file_name(part)
        if kind in ("text/plain", "text/html") and not name and not _is_attached(part) and kind not in texts:
            texts[kind] = _text(part)
            continue
        content = _content(part)
        identity = _field(part, "Content-ID").strip("<> ")
        if identity and kind in _PICTURES and len(content) <= room:
            pictures[identity] = (kind, content)
            room -= len(content)
        if not identity or name:
            files.append(LetterFile(number, name or f"part-{number}", kind, len(content)))
    html = _with_few_tags(texts.get("text/html", ""))
    text = texts["text/plain"] if "text/plain" in texts else text_of(html)[:MAX_TEXT]
    return Letter(_head(message, key, at, is_seen=True), text, html, tuple(files), pictures)


def file_of(raw: bytes, number: int) -> tuple[str, bytes] | None:
    """A file of a letter by its number: its name and content."""
    return files_of(raw, (number,)).get(number)


def files_of(raw: bytes, numbers: Collection[int]) -> dict[int, tuple[str, bytes]]:
    """Several by their numbers, from one reading of the letter."""
    return {
        number: (_file_name(part) or f"part-{number}", _content(part))
        for number, part in enumerate(_leaves(_parsed(raw)))
        if number in numbers
    }


def ids_in(text: str) -> tuple[str, ...]:
    """The Message-IDs in a field."""
    return tuple(dict.fromkeys(_ID.findall(text)))


def _parsed(raw: bytes) -> MimePart:
    """The header alone of a message whose parts are nested too deep to be told apart."""
    try:
        return message_from_bytes(raw)
    except RecursionError:
        return BytesHeaderParser().parsebytes(raw)


def _head(message: MimePart, key: str, at: float, is_seen: bool) -> LetterHead:
    references = ids_in(_field(message, "References")) or ids_in(_field(message, "In-Reply-To"))
    sender = _people(message, "From")
    return LetterHead(
        key=key,
        sender=sender[0] if sender else Mailbox("", ""),
        to=_people(message, "To"),
        cc=_people(message, "Cc"),
        reply_to=_people(message, "Reply-To"),
        subject=_decoded(_field(message, "Subject")),
        at=_date(message, at),
        message_id=next(iter(ids_in(_field(message, "Message-ID"))), ""),
        references=references[-50:],
        is_seen=is_seen,
    )


def _field(part: MimePart, name: str) -> str:
    return " ".join(str(part.get(name, ""))[:20_000].split())


def _decoded(text: str) -> str:
    """With its encoded words decoded; what was sent raw is taken for UTF-8."""
    text = text[:_MAX_ENCODED]
    if "=?" in text:
        with suppress(HeaderParseError, LookupError, ValueError):
            text = str(make_header([(word, charset and _charset(charset)) for word, charset in decode_header(text)]))
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return printable(" ".join(text.split()), _MAX_FIELD)


def _people(message: MimePart, name: str) -> tuple[Mailbox, ...]:
    """Leniently, since it is only shown: what is replied to is checked like everything that is typed."""
    text = ", ".join(str(one)[:_MAX_FIELDS] for one in message.get_all(name, [])[:_MAX_PEOPLE])[:_MAX_FIELDS]
    return _often_seen(text) if len(text) <= _OFTEN_SEEN else _people_in(text)


def _people_in(text: str) -> tuple[Mailbox, ...]:
    if not text:
        return ()
    try:
        found = getaddresses([text], strict=False)
    except RecursionError:  # comments within comments (RFC 5322 section 3.2.2)
        found = [(text, "")]
    named = [(label, address) for label, address in found if label or address]
    return tuple(Mailbox(_decoded(label), _decoded(address)) for label, address in named[:_MAX_PEOPLE])


# An inbox is from few people, and to one: a list of 500 letters takes half of the time.
_often_seen = lru_cache(2000)(_people_in)


def compared(address: str) -> str:
    """For comparing whom a letter is from or to; what is no address is itself."""
    try:
        return canonical(address)
    except AddressError:
        return address.lower()


def _date(message: MimePart, at: float) -> float:
    try:
        found = parsedate_to_datetime(str(message.get("Date", ""))[:200]).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return at
    return found if 0 < found < at + 86400 else at


def _leaves(message: MimePart) -> Iterator[MimePart]:
    """The parts that have content, a message within it among them as a whole."""
    waiting, count = [message], 0
    while waiting and count < MAX_PARTS:
        part = waiting.pop()
        within = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(within, list):
            waiting += [one for one in reversed(within) if isinstance(one, MimePart)]
            continue
        count += 1
        yield part


def _is_attached(part: MimePart) -> bool:
    return part.get_content_disposition() == "attachment"


def _file_name(part: MimePart) -> str:
    try:
        stated = part.get_param("filename", "", "content-disposition") or part.get_param("name", "")
        if isinstance(stated, tuple):  # RFC 2231 section 4
            charset, language, text = stated
            stated = (_charset(charset or "us-ascii"), language, text[:_MAX_ENCODED])
        name = collapse_rfc2231_value(stated)
    except (ValueError, LookupError, TypeError):
        name = ""
    return _decoded(re.sub(r"[/\\]", "_", name[:_MAX_ENCODED]))[:200]


def _content(part: MimePart) -> bytes:
    if part.get_content_maintype() == "message":
        within: object = part.get_payload()
        inner = within[0] if isinstance(within, list) and within else part
        with suppress(RecursionError):
            return inner.as_bytes() if isinstance(inner, MimePart) and inner is not part else b""
        return b""
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: MimePart) -> str:
    content = _content(part)[: 4 * MAX_TEXT]
    try:
        text = content.decode(_charset(part.get_content_charset("utf-8")), "replace")
    except (LookupError, ValueError):
        text = content.decode("utf-8", "replace")
    return _without_controls(text[: 2 * MAX_TEXT].replace("\r\n", "\n"))[:MAX_TEXT]


def _charset(stated: str) -> str:
    """By what a text is decoded. Raises LookupError and ValueError if there is none of that name."""
    return "utf-8" if codecs.lookup(stated).name in _SLOW else stated


def _with_few_tags(html: str) -> str:
    return "<".join(html.split("<", MAX_TAGS + 1)[: MAX_TAGS + 1])


def _without_controls(text: str) -> str:
    return _CONTROLS.sub("", text)


def people_text(people: Sequence[Mailbox]) -> str:
    """As somebody would type them."""
    return ", ".join(
        f"{_quoted(one.display_name)} <{one.address}>" if one.display_name else one.address for one in people
    )


def _quoted(name: str) -> str:
    if re.fullmatch(r"[\w !#$%&'*+/=?^`{|}~-]+", name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
