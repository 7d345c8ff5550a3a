"""PostgreSQL is away for some seconds while messages are in memory: all leave soon after it is back, each once."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corpus.peer import RawPeer
from outgate.model import Security
from way.place import Site, eventually, install, listens, serve
from way.postgresql_door import Door, before
from way.submit import client, message

ALICE = "alice@example.com"
MESSAGES = 150


@pytest.fixture
def door(new_postgresql: Callable[..., str]) -> Iterator[tuple[Door, str]]:
    """The door, and a database's URL through it."""
    with before(new_postgresql(), Door) as made:
        yield made


async def test_what_was_in_memory_leaves_soon_after_the_database_is_back(
    door: tuple[Door, str], tmp_path: Path
) -> None:
    database, url = door
    settings, log = {"connections_per_queue": 1}, tmp_path / "outgate.log"
    site = install(tmp_path / "outgate", database_url=url, top={"database_url": url}, delivery=settings)

    is_away = threading.Event()

    def slowly(line: str) -> str | None:
        if line == ".":
            # Of the gateway's loop alone: the server is another process, and who submits another thread.
            is_away.wait(60)
            time.sleep(0.03)
        return None

    async with RawPeer(answer=slowly) as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        process = await serve(site)
        try:
            await eventually(lambda: listens(site), "it serves", 60)
            await asyncio.to_thread(_submit_all_and_take_away, site, database, is_away)
            await eventually(lambda: "delivery waits for the database" in log.read_text(), "the server finds it away")
            database.open_again()
            await relay.wait_for(MESSAGES, timeout=60)
        finally:
            process.terminate()
            await process.wait()
    subjects = Counter(one.content.partition(b"Subject: ")[2].partition(b"\r\n")[0] for one in relay.messages)
    assert subjects == {b"Number %d" % number: 1 for number in range(MESSAGES)}


def _submit_all_and_take_away(site: Site, database: Door, is_away: threading.Event) -> None:
    """No outcome is known before the database is away."""
    with client(site) as session:
        for number in range(MESSAGES):
            session.sendmail(ALICE, ["carol@recipient.example"], message(ALICE, f"Number {number}"))
    database.shut()
    is_away.set()
