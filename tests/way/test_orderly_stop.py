"""The server is told to stop while gateways have messages in hand: what was begun ends, and none is sent twice."""

import asyncio
import signal
from collections import Counter
from dataclasses import dataclass, field

from corpus.inbox import Received
from corpus.peer import RawPeer
from outgate.model import Security
from way.place import Site, eventually, listens, serve
from way.submit import client, message

ALICE = "alice@example.com"
MESSAGES = 60
BEFORE = 5  # messages that are taken before the stop


@dataclass
class Slow(RawPeer):
    """Says nothing of any further content until it may, and then of one after the other."""

    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    pause: float = 0.1

    async def put(self, message: Received) -> None:
        await super().put(message)
        if len(self.messages) > BEFORE:
            await self.goes_on.wait()
            async with self.turn:
                await asyncio.sleep(self.pause)


async def test_a_stop_and_a_start_in_the_middle_send_no_message_twice(site: Site) -> None:
    async with Slow() as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        first = await _started(site)
        await asyncio.to_thread(_submit, site)
        await eventually(lambda: len(relay.messages) > BEFORE, "it is at work")
        first.send_signal(signal.SIGTERM)
        await eventually(lambda: not listens(site), "it has heard that it is to stop")
        relay.goes_on.set()
        assert await asyncio.wait_for(first.wait(), 60) == 0
        assert len(relay.messages) < MESSAGES, "nothing was left to do"
        relay.pause = 0.0
        second = await _started(site)
        try:
            await relay.wait_for(MESSAGES)
        finally:
            second.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(second.wait(), 60) == 0
    subjects = Counter(one.content.partition(b"Subject: ")[2].partition(b"\r\n")[0] for one in relay.messages)
    assert subjects == {b"Number %d" % number: 1 for number in range(MESSAGES)}


async def _started(site: Site) -> asyncio.subprocess.Process:
    process = await serve(site)
    await eventually(lambda: listens(site), "it serves", 60)
    return process


def _submit(site: Site) -> None:
    with client(site) as session:
        for number in range(MESSAGES):
            session.sendmail(ALICE, ["carol@recipient.example"], message(ALICE, f"Number {number}"))
