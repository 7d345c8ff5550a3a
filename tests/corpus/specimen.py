"""What a specimen is, how one is registered, and the building blocks that specimens share. Bytes only, CRLF only.

Messages are put together by hand, not by a library, since their oddities are what they are for. Everything follows
from the specimen's name and From address, so that a message is the same in each run (signatures excepted).
"""

import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

# Takes the message as received; says what is wrong with it (a signature that does not verify), else nothing.
Check = Callable[[bytes], list[str]]

RECIPIENT = "bob@destinatario.example"

TEXT = (
    "Good morning, here are the figures of the last quarter as we said on Tuesday. The column on the left is what we"
    " planned, the one on the right what came of it. Please have a look before noon, since the board wants an answer"
    " today. The freight from Genova is three days late again, and nobody at the port picks up the phone."
)
WORDS = TEXT.split()


@dataclass(frozen=True)
class Draft:
    """What a builder makes: the message and, where they are not the usual ones, its recipients and its check."""

    raw: bytes
    recipients: Sequence[str] = (RECIPIENT,)
    check: Check | None = None


@dataclass(frozen=True)
class Specimen:
    """One message with its envelope. `smtputf8` and `eight_bit` say which extensions the sender must ask for."""

    name: str
    raw: bytes
    recipients: list[str]
    smtputf8: bool
    eight_bit: bool
    check: Check | None = None

    @property
    def ends_with_crlf(self) -> bool:
        """Whether DATA can carry it unchanged."""
        return self.raw.endswith(b"\r\n")


Builder = Callable[[str], Draft]

_builders: dict[str, Builder] = {}


def specimen(builder: Builder) -> Builder:
    """Register a builder (From address -> Draft) by its function's name."""
    return named(builder.__name__, builder)


def named(name: str, builder: Builder) -> Builder:
    """Register a builder by a name of its own."""
    if name in _builders:
        raise ValueError(f"two specimens are called {name}")
    _builders[name] = builder
    return builder


def names() -> list[str]:
    """The names of all registered specimens, in the order of the files."""
    return list(_builders)


@lru_cache(maxsize=256)
def build(name: str, from_address: str) -> Specimen:
    """The specimen as `from_address` sends it; signed once per process."""
    draft = _builders[name](from_address)
    header, _, _ = draft.raw.partition(b"\r\n\r\n")
    return Specimen(
        name=name,
        raw=draft.raw,
        recipients=list(draft.recipients),
        smtputf8=not header.isascii() or not all(map(str.isascii, draft.recipients)) or b"message/global" in draft.raw,
        eight_bit=not draft.raw.isascii(),
        check=draft.check,
    )


# --- building blocks -------------------------------------------------------------------------------------------------


def seeded(name: str) -> random.Random:
    """Random, but the same for the same name."""
    return random.Random(name)


def lines(*texts: str | bytes) -> bytes:
    """Each text with its CRLF; str becomes UTF-8."""
    return b"".join([(text.encode() if isinstance(text, str) else text) + b"\r\n" for text in texts])


def letter(from_address: str, subject: str, *fields: str | bytes, to: str | None = f"Bob <{RECIPIENT}>") -> bytes:
    """A header block without its empty line: the fields that every message has, then `fields`."""
    draw = seeded(subject)
    usual = [
        f"From: Alice Liddell <{from_address}>",
        *([f"To: {to}"] if to else []),
        f"Subject: {subject}",
        f"Date: Tue, {draw.randrange(10, 29)} Mar 2026 {draw.randrange(10, 24)}:{draw.randrange(10, 60)}:07 +0100",
        f"Message-ID: {message_id(subject)}",
        "MIME-Version: 1.0",
    ]
    return lines(*usual, *fields)


def message_id(seed: str) -> str:
    """A message identifier, the same for the same seed."""
    return f"<{seeded(seed).getrandbits(96):024x}@posta.dominiopartner.example>"


def plain(from_address: str, subject: str, body: bytes, *fields: str | bytes) -> Draft:
    """A message of plain text."""
    return Draft(letter(from_address, subject, *fields) + b"\r\n" + body)


def entity(content_type: str, body: bytes, *fields: str | bytes) -> bytes:
    """One MIME part: its header, the empty line, its body."""
    return lines(f"Content-Type: {content_type}", *fields) + b"\r\n" + body


def multipart(boundary: str, *parts: bytes, preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    """The body of a multipart. The CRLF before a boundary belongs to the boundary (RFC 2046 5.1.1)."""
    opened = b"".join([b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts])
    return preamble + opened + b"--%b--\r\n" % boundary.encode() + epilogue


def base64_entity(content_type: str, content: bytes, filename: str | None = None, *fields: str) -> bytes:
    """One MIME part in base64; an attachment if it has a file name."""
    disposition = [f'Content-Disposition: attachment; filename="{filename}"'] if filename else []
    return entity(content_type, base64_lines(content), "Content-Transfer-Encoding: base64", *disposition, *fields)


def base64_lines(content: bytes) -> bytes:
    """Base64 in lines of 76 characters (RFC 2045 6.8); quick enough for 25 MiB."""
    text = b64encode(content)
    return b"".join([text[start : start + 76] + b"\r\n" for start in range(0, len(text), 76)])


def prose(name: str, count: int) -> bytes:
    """`count` lines of ordinary text, of 40 to 76 characters."""
    draw = seeded(name)
    return b"".join([_sentence(draw) for _ in range(count)])


def _sentence(draw: random.Random) -> bytes:
    start = draw.randrange(len(WORDS) - 12)
    return " ".join(WORDS[start : start + draw.randrange(8, 12)]).encode() + b"\r\n"


@cache
def picture(name: str) -> bytes:
    """Some kilobytes that look like a PNG file from outside."""
    return b"\x89PNG\r\n\x1a\n" + seeded(name).randbytes(9000)
