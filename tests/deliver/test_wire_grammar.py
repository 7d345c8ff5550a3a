"""Every reply of the grammar at every place: nothing is called delivered that was not, nothing sent twice without need.

Each case is two attempts of one message to two recipients: one with the strange saying, one without for who must wait.
"""

import asyncio
from dataclasses import replace

import pytest

from deliver.reply_grammar import MODES, PLACES, RECIPIENTS, Copy, GrammarPeer, Saying, allowed, sayings
from deliver.scripted import delivery, peer, transport
from outgate.deliver.connection import Timeouts
from outgate.deliver.delivery import Delivery
from outgate.deliver.outcome import Outcome
from outgate.deliver.smtp_transport import SmtpTransport

PATIENCE = Timeouts(connect=10.0, reply=1.0, content=1.0, transaction=10.0)
AT_ONCE = 12  # cases


class Case:
    """A saying, and what came of it."""

    def __init__(self, saying: Saying) -> None:
        self.saying = saying
        self.peer = GrammarPeer(saying)
        self.first: dict[int, Outcome] = {}
        self.last: dict[int, Outcome] = {}
        self.copies_at_first: list[Copy] = []

    async def run(self) -> None:
        """Both attempts."""
        whole = delivery(*["d.example"] * RECIPIENTS)
        async with peer([self.peer.talk]) as host:
            line = transport(host, timeouts=PATIENCE, lmtp=self.saying.mode.startswith("lmtp"))
            try:
                self.first = self.last = await _attempt(line, whole)
                self.copies_at_first = list(self.peer.copies)
                left = tuple(one for one in whole.recipients if self.first[one.number].verdict == "retry")
                if left:
                    self.last = self.first | await _attempt(line, replace(whole, recipients=left))
            finally:
                line.close()

    def faults(self) -> list[str]:
        """What must not be."""
        found = [f"the client says {line!r}" for line in self.peer.strange]
        for number in self.first:
            found += [f"r{number}: {fault}" for fault in self._faults_of(number)]
        return [f"{self.saying.mode}, {self.saying.place}: {self.saying.name}: {fault}" for fault in found]

    def _faults_of(self, number: int) -> list[str]:
        found = []
        verdict = str(self.first[number].verdict)
        answers = [one.answers.get(number, 0) for one in self.copies_at_first if number in one.recipients]
        if verdict not in allowed(self.saying, number):
            found.append(f"{self.first[number].reason[:60]!r} is {verdict}, not {allowed(self.saying, number)}")
        if verdict == "delivered" and 2 not in answers:
            found.append("delivered, and the peer has nothing")
        if verdict != "delivered" and 2 in answers and self.saying.certain:
            found.append(f"{verdict}, and the peer has it")
        if self.last[number].verdict == "retry":
            found.append("it still waits after an attempt in which nothing was strange")
        return found + self._doubled(number)

    def _doubled(self, number: int) -> list[str]:
        """The rule: only what was sent whole, and not answered for as far as anybody can hear, is sent again."""
        copies = [one.answers.get(number, 0) for one in self.peer.copies if number in one.recipients]
        unheard = sum(kind == 0 or not self.saying.certain for kind in copies[:-1])
        taken = sum(kind == 2 for kind in copies)
        return [f"sent {len(copies)} times, answered {copies}"] if taken > 1 + unheard else []


async def _attempt(line: SmtpTransport, what: Delivery) -> dict[int, Outcome]:
    if failed := await line.connect():
        return {one.number: failed for one in what.recipients}
    async with asyncio.timeout(30):
        result = await line.carry(what)
    return {one.number: outcome for one, outcome in zip(what.recipients, result.outcomes, strict=True)}


def _combinations() -> list[tuple[str, str]]:
    """BDAT is the content's end; greeting and hello are the same in each mode."""
    found = [
        (mode, place) for mode in MODES for place in PLACES[2:] if not (mode.endswith("chunked") and place == "DATA")
    ]
    return [("step by step", place) for place in PLACES[:2]] + found


def test_there_are_enough_of_them() -> None:
    assert sum(len(list(sayings(mode, place))) for mode, place in _combinations()) > 1500


@pytest.mark.parametrize(("mode", "place"), _combinations())
async def test_no_reply_makes_a_delivery_that_was_none_nor_a_second_one(mode: str, place: str) -> None:
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: raised.append(context))
    cases = [Case(saying) for saying in sayings(mode, place)]
    room = asyncio.Semaphore(AT_ONCE)

    async def run(case: Case) -> None:
        async with room:
            await case.run()

    await asyncio.gather(*(run(case) for case in cases))
    faults = [fault for case in cases for fault in case.faults()]
    assert not faults, "\n".join(faults)
    assert raised == []
