"""What a server offers in its reply to EHLO (RFC 5321 section 4.1.1.1). Knows no connection."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from outgate.smtp.extensions import EXTENSIONS
from outgate.smtp.transaction import Addressee, Transaction


@dataclass(frozen=True)
class Capabilities:
    """What an EHLO reply offers: the words behind each keyword, all in capitals."""

    keywords: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, lines: Sequence[str], avoided: Collection[str] = ()) -> Self:
        """From the lines of an EHLO reply after the first; what is to be `avoided` counts as not offered."""
        offered: dict[str, list[str]] = {}
        for line in lines:
            words = line.upper().split()
            if words and words[0].startswith("AUTH="):  # how servers of old wrote it
                words[:1] = ["AUTH", words[0].removeprefix("AUTH=")]
            if words and words[0] not in avoided:
                offered.setdefault(words[0], []).extend(words[1:])
        return cls(offered)

    @cached_property
    def mail_words(self) -> tuple[Callable[[Transaction], str], ...]:
        """What makes the parameters of MAIL that the peer takes."""
        return tuple(row.mail_words for row in EXTENSIONS if row.mail_words and row.keyword in self.keywords)

    @cached_property
    def rcpt_words(self) -> tuple[Callable[[Addressee], str], ...]:
        """What makes the parameters of RCPT that the peer takes."""
        return tuple(row.rcpt_words for row in EXTENSIONS if row.rcpt_words and row.keyword in self.keywords)

    @cached_property
    def pipelining(self) -> bool:
        """RFC 2920."""
        return "PIPELINING" in self.keywords

    @cached_property
    def chunking(self) -> bool:
        """RFC 3030."""
        return "CHUNKING" in self.keywords

    @property
    def eight_bit(self) -> bool:
        """RFC 6152."""
        return "8BITMIME" in self.keywords

    @property
    def smtputf8(self) -> bool:
        """RFC 6531."""
        return "SMTPUTF8" in self.keywords

    @property
    def dsn(self) -> bool:
        """RFC 3461."""
        return "DSN" in self.keywords

    @property
    def require_tls(self) -> bool:
        """RFC 8689."""
        return "REQUIRETLS" in self.keywords

    @property
    def starttls(self) -> bool:
        """RFC 3207."""
        return "STARTTLS" in self.keywords

    @cached_property
    def size(self) -> int | None:
        """The largest message in bytes, None if the peer names no limit (RFC 1870)."""
        words = self.keywords.get("SIZE", ())
        return next((int(word) for word in words if word.isascii() and word.isdigit() and len(word) <= 20), 0) or None

    @property
    def auth(self) -> frozenset[str]:
        """Mechanisms of log-in (RFC 4954)."""
        return frozenset(self.keywords.get("AUTH", ()))
