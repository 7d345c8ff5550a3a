"""Every reply of the grammar at every place, made by rule; the peer that says it; and what may come of it.

The oracle knows the script alone and RFC 5321 (sections 3.3, 4.2, 4.3.2), RFC 2033 and 3030; nothing of the client.
"""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from deliver.scripted import Talk

CODES = (
    *(200, 211, 220, 221, 250, 251, 252, 299, 300, 334, 354, 399),
    *(400, 421, 450, 451, 452, 454, 499, 500, 502, 503, 521, 530, 535, 550, 552, 554, 599),
)
SAMPLES = (250, 354, 421, 451, 550)  # of each kind one, with every form
# What is said for a code. The first three characters of the last line decide, whatever stands behind them.
FORMS = {
    "plain": "{code} words\r\n",
    "bare": "{code}\r\n",
    "status": "{code} {kind}.1.5 words\r\n",
    "another status": "{code} {other}.0.0 words\r\n",
    "lines": "{code}-one\r\n{code}-two\r\n{code} three\r\n",
    "codes that differ": "{wrong}-one\r\n{code} two\r\n",
    "long": "{code} " + "x" * 5000 + "\r\n",
    "many lines": "{code}-more\r\n" * 300 + "{code} last\r\n",
    "line feed": "{code} words\n",
    "tab": "{code}\twords\r\n",
    "octets": "{code} \x1b[31m\x00\x7f\xe9\xff\r\n",
}
AFTER = ("goes on", "drips", "closes", "resets")
WORDLESS = ("is silent", "leaves", "199 words", "600 words", "25 words", "no reply at all")
MODES = {
    "step by step": ("8BITMIME",),
    "pipelined": ("PIPELINING", "8BITMIME"),
    "chunked": ("PIPELINING", "8BITMIME", "CHUNKING"),
    "lmtp": ("PIPELINING", "8BITMIME"),
    "lmtp chunked": ("PIPELINING", "8BITMIME", "CHUNKING"),
}
PLACES = ("greeting", "hello", "MAIL", "RCPT", "DATA", "end")
RECIPIENTS = 2  # the first is answered by the script, the second as by anybody


@dataclass(frozen=True, slots=True)
class Saying:
    """What is said once at a place, and what then. `code` is 0 for what is no reply."""

    mode: str
    place: str
    code: int
    text: str
    after: str
    name: str

    @property
    def kind(self) -> int:
        """The first digit; 0 if nothing can be understood."""
        return self.code // 100

    @property
    def understood(self) -> bool:
        """It can be an answer there: 3xx asks for more, which only DATA has (RFC 5321 section 4.2.1)."""
        return self.kind in (2, 4, 5) or (self.code == 354 and self.place == "DATA")

    @property
    def certain(self) -> bool:
        """The client hears it, and what follows, for sure: a reset may overtake what was said."""
        return self.understood and self.after != "resets"


def sayings(mode: str, place: str) -> Iterator[Saying]:
    """All of them for one place."""
    for code, form in itertools.product(CODES, FORMS):
        if form == "plain" or code in SAMPLES:
            yield _saying(mode, place, code, form, "goes on")
    for code, after in itertools.product(SAMPLES, AFTER[1:]):
        yield _saying(mode, place, code, "plain", after)
    for words in WORDLESS:
        text = "" if words in ("is silent", "leaves") else f"{words}\r\n"
        yield Saying(mode, place, 0, text, "closes" if words == "leaves" else "is silent", words)


def _saying(mode: str, place: str, code: int, form: str, after: str) -> Saying:
    kind = code // 100
    other = 5 if kind == 2 else 2
    text = FORMS[form].format(code=code, kind=kind, other=other, wrong=other * 100 + 50)
    return Saying(mode, place, code, text, after, f"{code} {form}, {after}")


@dataclass(slots=True)
class Copy:
    """A content that came whole: for whom, and what each of them was answered for; 0 for no answer."""

    recipients: list[int]
    answers: dict[int, int] = field(default_factory=dict)


class GrammarPeer:
    """Says it on the first connection that reaches the place, once; everything else is as it should be."""

    def __init__(self, saying: Saying) -> None:
        self._saying = saying
        self._said = False
        self.copies: list[Copy] = []
        self.strange: list[str] = []  # what no client may say

    async def talk(self, talk: Talk) -> None:
        """One connection."""
        await self._say(talk, "greeting", "220 peer.example")
        accepted: list[int] = []
        while True:
            line = await talk.hear()
            match line.split(" ")[0]:
                case "EHLO" | "LHLO":
                    offers = MODES[self._saying.mode]
                    text = "\r\n".join([f"250-{offer}" for offer in ("peer.example", *offers[:-1])])
                    await self._say(talk, "hello", f"{text}\r\n250 {offers[-1]}")
                case "MAIL":
                    accepted = []
                    mail = await self._say(talk, "MAIL", "250 Ok")
                case "RCPT":
                    number = int(line.partition("<r")[2].partition("@")[0])
                    said = await self._say(talk, "RCPT" if number == 0 else "", "250 Ok" if mail == 2 else "503 no")
                    accepted += [number] if said == 2 and mail == 2 else []
                case "DATA":
                    if await self._say(talk, "DATA", "354 Go on" if accepted else "554 nobody") == 3 and self._flows:
                        await self._end(talk, await _content(talk), accepted)
                case "BDAT":
                    size, *last = line.split(" ")[1:]
                    content = await talk.reader.readexactly(int(size))
                    await self._end(talk, content if last else b"", accepted)
                case "HELO" | "RSET" | "NOOP" | "QUIT":
                    talk.say("250 Ok")
                case _:
                    self.strange.append(line)
                    return

    async def _end(self, talk: Talk, content: bytes, accepted: list[int]) -> None:
        copy = Copy(accepted)
        if content and accepted:
            self.copies.append(copy)
        lmtp = self._saying.mode.startswith("lmtp")
        for number in accepted if lmtp else accepted[:1]:
            for_whom = [number] if lmtp else accepted
            copy.answers |= dict.fromkeys(for_whom, 0)
            try:
                kind = await self._say(talk, "end" if number == accepted[0] else "", "250 Ok")
            except EndOfTalk as end:
                copy.answers |= dict.fromkeys(for_whom, end.kind)
                raise
            copy.answers |= dict.fromkeys(for_whom, kind)
        if not accepted:
            talk.say("554 nobody")

    async def _say(self, talk: Talk, place: str, usual: str) -> int:
        """The first digit of what was said and heard; EOFError if that was all."""
        saying = self._saying
        self._flows = True
        if place != saying.place or self._said:
            talk.say(usual)
            return int(usual[0])
        self._said = True
        self._flows = saying.code == 354
        await self._write(talk, saying.text.encode("latin-1"))
        if saying.after == "is silent":
            await talk.gone()
        if saying.after == "resets":
            talk.writer.transport.abort()
        if saying.after != "goes on" and saying.after != "drips":
            raise EndOfTalk(saying.kind)
        return saying.kind

    async def _write(self, talk: Talk, text: bytes) -> None:
        if self._saying.after != "drips":
            talk.writer.write(text)
            return
        for octet in text:
            talk.writer.write(bytes([octet]))
            await asyncio.sleep(0)


class EndOfTalk(EOFError):
    """The connection ends behind what was said, which was of this kind."""

    def __init__(self, kind: int) -> None:
        super().__init__()
        self.kind = kind


async def _content(talk: Talk) -> bytes:
    first = await talk.reader.readline()
    return b"" if first == b".\r\n" else first + await talk.reader.readuntil(b"\r\n.\r\n")


def allowed(saying: Saying, number: int) -> set[str]:
    """The verdicts that may be given for a recipient in the attempt in which this was said."""
    found = _by_place(saying, number)
    if saying.after in ("closes", "resets") and not (saying.place == "end" and saying.certain and number == 0):
        found = found - {"delivered"} | {"retry"}  # what comes behind is not heard
    if saying.after == "closes" and saying.place == "end" and not saying.mode.startswith("lmtp") and saying.certain:
        return _by_place(saying, number)  # it was all that was to be said
    if saying.after == "resets" and saying.place == "end":
        found |= _by_place(saying, number)
    return found


def _by_place(saying: Saying, number: int) -> set[str]:
    kind, code = saying.kind, saying.code
    if saying.place == "greeting":
        return {"delivered"} if code == 220 else {"retry"}
    if saying.place == "hello":
        return _hello(saying)
    if kind == 0:
        return _not_understood(saying)
    if saying.place == "DATA":
        return {"delivered"} if code == 354 else {"failed"} if kind == 5 else {"retry"}
    if not saying.understood:
        return {"retry"}  # nobody knows what the next reply answers
    if number != 0 and (saying.place == "RCPT" or (saying.place == "end" and saying.mode.startswith("lmtp"))):
        return {"delivered", "retry"} if code == 421 else {"delivered"}
    if saying.place == "end" and saying.mode.endswith("chunked") and code in range(500, 505):
        return {"delivered", "failed"}  # the command is not known: DATA may be
    if saying.place == "RCPT" and code == 552:
        return {"retry"}  # of old it stands for 452 (RFC 5321 section 4.5.3.1.10)
    return {2: {"delivered"}, 5: {"failed"}}.get(kind, {"retry"})


def _hello(saying: Saying) -> set[str]:
    if saying.code == 250:
        return {"delivered"}
    refuses = saying.kind == 5 and saying.code not in (521, 554) and not saying.mode.startswith("lmtp")
    return {"delivered"} if refuses else {"retry"}


def _not_understood(saying: Saying) -> set[str]:
    """Nothing is known; where it was BDAT that was not answered, DATA may be tried at once."""
    chunked = saying.mode.endswith("chunked") and saying.place == "end"
    return {"retry", "delivered"} if chunked else {"retry"}
