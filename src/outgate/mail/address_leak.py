"""Finds an address in header text in all the ways in which programs write one. Knows no field's meaning.

It is a net for what mail programs and servers add by themselves (account names, bounce addresses, unsubscribe links),
not for a user who wants to tell an address: who writes it in a way of their own, means to.
"""

import re
from functools import lru_cache
from unicodedata import normalize
from urllib.parse import unquote

import idna

from outgate.mail.addresses import decode_words, split

_XTEXT = re.compile(r"\+([2-7][0-9A-Fa-f])")  # RFC 3461 section 4, printable US-ASCII
_ENCODED = re.compile(r"=\?|%|\+[2-7][0-9A-Fa-f]|\\x\{")  # what every encoding looked for here begins with
_UTF8_XTEXT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")  # RFC 6533 section 3

# What may stand between the parts of an address without changing it: white space, quotes, comments (RFC 5322 3.2.2).
_GAP = r'(?:[\s"]|\([^()]*\))*'


class AddressMatcher:
    """One address to look for, in compared form (`mail.addresses.canonical`)."""

    def __init__(self, address: str) -> None:
        local, domain = split(address)
        self._local = local.strip('"').replace("\\", "")
        name = re.escape(self._local)
        domains = "|".join([_GAP.join(map(re.escape, re.split(r"(\.)", form))) for form in sorted(_forms(domain))])
        # alice@, alice+tag@, alice%... (relayed), bounce-alice=... (VERP); example.com=alice@ (SRS), example.com!alice.
        self._pattern = re.compile(
            rf"(?<![^\W_]){name}(?:\+[^@\s]{{0,64}})?{_GAP}(?:@|=40|[=%]){_GAP}(?:{domains})(?!-?[^\W_]|\.[^\W_])"
            rf"|(?<![^\W_])(?:{domains})[=!]{name}(?![^\W_])"
        )

    def found_in(self, text: bytes) -> bool:
        """Whether any reading of this header text (fields as they stand) contains the address."""
        plain = text.decode("utf-8", "replace")
        if not _ENCODED.search(plain):  # as most
            return self._is_in(_folded(plain))
        return any(self._is_in(reading) for reading in _readings(plain))

    def _is_in(self, reading: str) -> bool:
        return self._local in reading and self._pattern.search(reading) is not None


@lru_cache(maxsize=1024)
def needle(address: str) -> AddressMatcher:
    """The needle for an address, made once."""
    return AddressMatcher(address)


def _readings(plain: str) -> list[str]:
    """The text as it stands and decoded in the ways in which an address is written inside something else."""
    readings = [plain]
    if (words := decode_words(plain)) != plain:
        readings.append(words)
    if "%" in words:
        readings.append(unquote(unquote(words)))
    for reading in tuple(readings):
        if (decoded := _XTEXT.sub(_character, _UTF8_XTEXT.sub(_character, reading))) != reading:
            readings.append(decoded)
    return [_folded(reading) for reading in readings]


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code < 0x110000 else match[0]


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else normalize("NFC", normalize("NFC", text).lower())


def _forms(domain: str) -> set[str]:
    """The domain as A-labels and as U-labels."""
    try:
        return {domain, idna.decode(domain)}
    except (idna.IDNAError, UnicodeError):
        return {domain}
