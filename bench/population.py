"""Who sends what: accounts, their From addresses and credentials, and messages that can be checked on arrival.

Made by rule from numbers, so that generator, sink and both products agree without a file. Knows no process.
"""

import base64
import hashlib
from dataclasses import dataclass
from random import Random

ACCOUNTS = 20
ADDRESSES = 5  # of other domains, for each account
ORGANISATION = "example.com"
PARTNER = "dominiopartner.example"
ID_HEADER = b"X-Bench-Id: "

_LINES = 54  # of 76 characters and CRLF: 4.2 KB


@dataclass(frozen=True, slots=True)
class Sender:
    """An address of another domain, with the log-in that its gateway wants for it and for no other."""

    address: str
    password: str


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in to submit, and the addresses that are theirs. The user name is the primary address."""

    primary: str
    password: str
    senders: tuple[Sender, ...]


def accounts() -> tuple[Account, ...]:
    """The 20 accounts with their 100 senders."""
    return tuple(_account(number) for number in range(ACCOUNTS))


def _account(number: int) -> Account:
    name = f"user{number:02}"
    senders = (Sender(f"{name}.{n}@{PARTNER}", f"gateway-{number}-{n}-secret") for n in range(ADDRESSES))
    return Account(f"{name}@{ORGANISATION}", f"submission-{number}-secret", tuple(senders))


def recipient(number: int) -> str:
    """The recipient of a message."""
    return f"reader{number % 50}@recipient.example"


def content(number: int, sender: str) -> bytes:
    """Header and body of a message as DATA carries them, dots stuffed, without the final dot."""
    header = (
        f"From: <{sender}>\r\nTo: <{recipient(number)}>\r\nSubject: Report {number}\r\n"
        f"Date: Mon, 1 Jun 2026 12:00:00 +0000\r\nMessage-ID: <{number}.bench@{PARTNER}>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
    )
    stuffed = body(number).replace(b"\r\n.", b"\r\n..")
    return header.encode() + ID_HEADER + b"%d\r\n\r\n" % number + stuffed


def body(number: int) -> bytes:
    """About 4 KB of lines of 76 characters that no other message has, one of which begins with a dot."""
    return b"Report %d\r\n.profile\r\n" % number + _TEXTS[number % len(_TEXTS)]


def body_digest(number: int) -> bytes:
    """What the sink must find (SHA-256)."""
    return hashlib.sha256(body(number)).digest()


def _text(seed: int) -> bytes:
    raw = Random(seed).randbytes(57 * _LINES)
    return base64.encodebytes(raw).replace(b"\n", b"\r\n")


_TEXTS = tuple(_text(seed) for seed in range(64))
