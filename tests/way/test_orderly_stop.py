"""The server is told to stop while gateways have messages in hand: what was begun ends, and none is sent twice."""

import asyncio
import signal
import time
from collections import Counter

from corpus.peer import RawPeer
from outgate.model import Security
from way.place import Site, eventually, listens, serve
from way.submit import client, message

ALICE = "alice@example.com"
MESSAGES = 24


async def test_a_stop_and_a_start_in_the_middle_send_no_message_twice(site: Site) -> None:
    def slowly(line: str) -> str | None:
        if line == ".":
            time.sleep(0.05)  # of the gateway's loop alone: the server is another process
        return None

    async with RawPeer(answer=slowly) as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        first = await _started(site)
        await asyncio.to_thread(_submit, site)
        await eventually(lambda: len(relay.messages) >= 5, "it is at work")
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 30) == 0
        assert len(relay.messages) < MESSAGES, "nothing was left to do"
        second = await _started(site)
        try:
            await relay.wait_for(MESSAGES, timeout=60)
        finally:
            second.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(second.wait(), 30) == 0
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
