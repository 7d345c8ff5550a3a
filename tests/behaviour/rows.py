"""The rows: what the peer does once, at which place of the dialogue, and what may become of the message.

Knows RFC 5321 and no server. `ours` is what Outgate does, which is one of what may be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of a message after one attempt with the peer."""

    DELIVERED = "delivered"  # once, and not tried again
    RETRIED = "retried"  # later, when the peer is well
    RETURNED = "returned"  # to its sender, and not tried again


GREETING, HELLO, STARTTLS, MAIL, RCPT, DATA, END, QUIT = (
    *("greeting", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA"),
    *("the final dot", "QUIT"),
)
PLACES = (GREETING, HELLO, MAIL, RCPT, DATA, END)
GOES_ON, CLOSES, RESETS, HANGS = "goes on", "closes", "resets", "hangs"


@dataclass(frozen=True)
class Row:
    """At `at` the peer says `says` (None: what it should) and then does `then`; `offers` are its extensions.

    `twice` says that the message may arrive twice: the peer had it whole when it broke off.
    """

    number: int
    at: str
    words: str
    says: bytes | None
    then: str
    may: frozenset[Fate]
    ours: Fate
    offers: tuple[str, ...] = ("8BITMIME", "SIZE 1000000")
    twice: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.at}: {self.words}"

    @property
    def with_next_host(self) -> Fate:
        """What Outgate does where there is a further host, which is well: it gets what the first can't take now, unless
        that may have it already.
        """
        return Fate.DELIVERED if self.ours is Fate.RETRIED and not self.twice else self.ours


@dataclass(frozen=True)
class _Case:
    at: str
    words: str
    says: bytes | None
    then: str
    may: tuple[Fate, ...]
    offers: tuple[str, ...] = ("8BITMIME", "SIZE 1000000")
    twice: bool = False


_D, _L, _R = Fate.DELIVERED, Fate.RETRIED, Fate.RETURNED  # of several that may be, the first is ours

_TEMPORARY = (
    ("421", "421 4.3.2 Closing down"),
    ("450", "450 4.2.0 Mailbox busy"),
    ("451", "451 4.7.1 Try again later"),
    ("452", "452 4.3.1 Out of space"),
    ("499", "499 Who knows"),
)
_PERMANENT = (
    ("501", "501 5.5.4 Bad argument"),
    ("503", "503 5.5.1 Bad sequence"),
    ("550", "550 5.7.1 Not here"),
    ("554", "554 5.7.1 Refused"),
    ("599", "599 Never"),
)
_ODD = (
    ("nothing but a code", b"%d\r\n"),
    ("many lines", b"%d-one\r\n" * 50 + b"%d last\r\n"),
    ("lines whose codes differ", b"999-one\r\n%d two\r\n"),
    ("a line of 4,000 octets", b"%d " + b"x" * 4000 + b"\r\n"),
    ("octets that are no text", b"%d \x00\x1b[31m\xff\r\n"),
)
_NONSENSE = (
    ("words without a code", b"hello there\r\n"),
    ("a code of two digits", b"25 ok\r\n"),
    ("a code of 6xx", b"650 ok\r\n"),
    ("an empty line", b"\r\n"),
    ("a 1xx", b"150 wait\r\n"),
)


def _line(text: str) -> bytes:
    return f"{text}\r\n".encode()


def _replies() -> Iterator[_Case]:
    """Each class of reply at each place. A greeting or EHLO that is refused speaks of the host, not of the message."""
    for at in PLACES:
        for words, text in _TEMPORARY:
            then = CLOSES if words == "421" else GOES_ON
            yield _Case(at, words, _line(text), then, (_L,))
        for words, text in _PERMANENT:
            yield _Case(at, words, _line(text), GOES_ON, _refused(at, words))


def _refused(at: str, code: str) -> tuple[Fate, ...]:
    """HELO is tried where EHLO is not understood (RFC 5321 section 4.1.4)."""
    if at == HELLO and code != "554":
        return (_D, _L, _R)
    return (_L, _R, _D) if at in (GREETING, HELLO) else (_R,)


def _breaks() -> Iterator[_Case]:
    for at in PLACES:
        for then in (CLOSES, RESETS, HANGS):
            twice = at == END
            yield _Case(at, f"no reply, {then}", b"", then, (_L,), twice=twice)
    yield _Case(END, "half of a reply, closes", b"25", CLOSES, (_L,), twice=True)
    yield _Case(QUIT, "no reply, hangs", b"", HANGS, (_D,))
    yield _Case(QUIT, "closes without a word", b"", CLOSES, (_D,))
    yield _Case(END, "250, and closes at once", _line("250 2.0.0 Ok"), CLOSES, (_D,))
    yield _Case(END, "250, and resets", _line("250 2.0.0 Ok"), RESETS, (_D, _L), twice=True)
    yield _Case(END, "250, and a 550 that nobody asked for", b"250 2.0.0 Ok\r\n550 no\r\n", GOES_ON, (_D,))
    yield _Case(END, "250 and a farewell", b"250 2.0.0 Ok\r\n421 4.3.2 Bye\r\n", CLOSES, (_D,))


def _odd() -> Iterator[_Case]:
    """What can be understood is; what can't be is no success and no refusal."""
    for at, code in ((MAIL, 250), (RCPT, 250), (END, 250), (RCPT, 550), (END, 451)):
        may = {250: _D, 550: _R, 451: _L}[code]
        for words, pattern in _ODD:
            said = pattern.replace(b"%d", str(code).encode())
            yield _Case(at, f"{code}, {words}", said, GOES_ON, (may,))
    for at in (GREETING, MAIL, END):
        for words, said in _NONSENSE:
            yield _Case(at, words, said, GOES_ON, (_L,), twice=at == END)
    yield _Case(DATA, "250 in the place of 354", _line("250 2.0.0 Ok"), GOES_ON, (_L, _R))
    yield _Case(RCPT, "354 in the place of 250", _line("354 Go on"), GOES_ON, (_L,))
    yield _Case(RCPT, "552, which old servers say for 452", _line("552 5.5.3 Too many"), GOES_ON, (_L, _R))
    yield _Case(RCPT, "251, will forward", _line("251 2.1.5 Will forward"), GOES_ON, (_D,))
    yield _Case(RCPT, "252, can't verify", _line("252 2.1.5 Will try"), GOES_ON, (_D,))
    yield _Case(MAIL, "250 with a status of 5", _line("250 5.1.1 Ok"), GOES_ON, (_D,))
    yield _Case(END, "550 with a status of 2", _line("550 2.0.0 No"), GOES_ON, (_R,))
    yield _Case(END, "a store error told as 250", _line("250 4.3.0 queue file write error"), GOES_ON, (_D, _L))


def _capabilities() -> Iterator[_Case]:
    hello = b"250-peer.example\r\n"
    yield _Case(HELLO, "502, knows HELO alone", _line("502 5.5.1 No"), GOES_ON, (_D, _L, _R))
    yield _Case(HELLO, "no extension at all", _line("250 peer.example"), GOES_ON, (_D,))
    yield _Case(HELLO, "SIZE smaller than the message", hello + b"250 SIZE 10\r\n", GOES_ON, (_R,))
    yield _Case(HELLO, "SIZE that is no number", hello + b"250 SIZE lots\r\n", GOES_ON, (_D,))
    yield _Case(HELLO, "SIZE 0, no limit", hello + b"250 SIZE 0\r\n", GOES_ON, (_D,))
    yield _Case(HELLO, "keywords that nobody knows", hello + b"250-X-FOO bar\r\n250 =AUTH\r\n", GOES_ON, (_D,))
    yield _Case(HELLO, "300 keywords", hello + b"250-X-FOO\r\n" * 299 + b"250 X-BAR\r\n", GOES_ON, (_D,))
    yield _Case(HELLO, "keywords in lower case", hello + b"250-size 1000000\r\n250 8bitmime\r\n", GOES_ON, (_D,))
    # CHUNKING is offered, and BDAT is not known: DATA serves as well.
    yield _Case(DATA, "BDAT offered, and 502", _line("502 5.5.1 No"), GOES_ON, (_D, _R, _L), ("CHUNKING", "8BITMIME"))
    yield _Case(DATA, "BDAT offered, and closes", b"", CLOSES, (_L, _D), ("CHUNKING", "8BITMIME"), twice=True)
    yield _Case(MAIL, "pipelining: 421, closes", _line("421 4.3.2 Bye"), CLOSES, (_L,), ("PIPELINING",))
    yield _Case(RCPT, "pipelining: 550", _line("550 5.1.1 No"), GOES_ON, (_R,), ("PIPELINING",))
    yield _Case(RCPT, "pipelining: closes", b"", CLOSES, (_L,), ("PIPELINING",))


def _tls() -> Iterator[_Case]:
    """With TLS as far as the peer has it (RFC 7435): what may go in the clear does, or waits."""
    offers = ("8BITMIME", "STARTTLS")
    for words, said in (("454", "454 4.7.0 TLS not available"), ("501", "501 5.5.4 No"), ("502", "502 5.5.1 No")):
        yield _Case(STARTTLS, words, _line(said), GOES_ON, (_D, _L), offers)
    yield _Case(STARTTLS, "220, and closes", _line("220 Go"), CLOSES, (_D, _L), offers)
    yield _Case(STARTTLS, "220, and what is no TLS", b"220 Go\r\n\x16\x03junk junk\r\n", GOES_ON, (_L, _D), offers)
    yield _Case(STARTTLS, "220, and replies in the clear", b"220 Go\r\n250 evil\r\n", GOES_ON, (_L, _D), offers)
    yield _Case(STARTTLS, "closes without a word", b"", CLOSES, (_L, _D), offers)


def rows() -> list[Row]:
    """All rows, numbered."""
    cases = [*_replies(), *_breaks(), *_odd(), *_capabilities(), *_tls()]
    return [
        Row(n, one.at, one.words, one.says, one.then, frozenset(one.may), one.may[0], one.offers, one.twice)
        for n, one in enumerate(cases, 1)
    ]
