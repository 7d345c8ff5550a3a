"""What a server offers in its reply to EHLO (RFC 5321 section 4.1.1.1). Knows no connection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an EHLO reply offers. `size` is the peer's limit in bytes, None if it names none."""

    pipelining: bool = False
    chunking: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    starttls: bool = False
    dsn: bool = False
    enhanced: bool = False
    size: int | None = None
    sized: bool = False
    auth: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """From the lines of an EHLO reply after the first."""
        offered: dict[str, list[str]] = {}
        for line in lines:
            # "AUTH=LOGIN PLAIN" is how servers of old wrote it.
            words = line.replace("AUTH=", "AUTH ", 1).upper().split()
            if words:
                offered.setdefault(words[0], []).extend(words[1:])
        size = next((int(word) for word in offered.get("SIZE", []) if word.isascii() and word.isdigit()), 0)
        return cls(
            pipelining="PIPELINING" in offered,
            chunking="CHUNKING" in offered,
            eight_bit="8BITMIME" in offered,
            smtputf8="SMTPUTF8" in offered,
            starttls="STARTTLS" in offered,
            dsn="DSN" in offered,
            enhanced="ENHANCEDSTATUSCODES" in offered,
            size=size or None,
            sized="SIZE" in offered,
            auth=frozenset(offered.get("AUTH", [])),
        )
