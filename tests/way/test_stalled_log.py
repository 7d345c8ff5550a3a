"""Whoever reads the server's log stops to: mail goes on, and the server ends when it is told to."""

import asyncio
import os
import select
import sys
from pathlib import Path

from way.place import eventually, install, listens
from way.submit import client, message

ALICE = "alice@example.com"
MESSAGES = 400


async def test_a_full_pipe_holds_up_no_mail_and_no_end(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", record={"log": "all"})
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "outgate", "--data", str(site.data), "serve"]
    process = await asyncio.create_subprocess_exec(*command, stderr=writing)
    try:
        await eventually(lambda: listens(site), "it serves", 60)
        session = await asyncio.to_thread(client, site)
        for _ in range(MESSAGES):
            await asyncio.to_thread(session.sendmail, ALICE, ["bob@example.com"], message(ALICE))
        session.close()
        mailbox = site.data / "mail"
        await eventually(lambda: sum(1 for _ in mailbox.rglob("new/*")) == MESSAGES, "all are delivered", 60)
        await eventually(lambda: _is_full(writing), "the pipe is full")
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
        os.close(writing)
        os.close(reading)


def _is_full(pipe: int) -> bool:
    """Whether the server has nothing to write to any more. Nothing is written for it: it would fill the pipe."""
    _, free, _ = select.select([], [pipe], [], 0)
    return not free
