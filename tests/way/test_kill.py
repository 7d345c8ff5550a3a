"""kill -9 under load: what was acknowledged arrives, and whatever arrives twice is explained."""

import asyncio
import os
import random
import re
import signal
import smtplib
import threading
from collections import Counter
from pathlib import Path

import pytest

from corpus.peer import RawPeer
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, serve
from way.submit import client, message


class Load:
    """Submits from several threads until it is stopped; knows what was acknowledged. Each try has its own subject."""

    def __init__(self, site: Site, threads: int) -> None:
        self._site = site
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._count = 0
        self.acknowledged: set[str] = set()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with client(self._site) as session:
                    while not self._stopped.is_set():
                        self._one(session)
            except (OSError, smtplib.SMTPException):
                self._stopped.wait(0.05)  # the server is down; try again soon

    def _one(self, session: smtplib.SMTP) -> None:
        with self._lock:
            self._count += 1
            subject = f"try-{self._count}-end"
        session.sendmail(PARTNER, ["carol@recipient.example"], message(PARTNER, subject))
        self.acknowledged.add(subject)


def _subjects(peer: RawPeer) -> list[str]:
    return [match[0] for one in peer.messages if (match := re.search(r"try-\d+-end", one.content.decode()))]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("processes", "kills"), [(1, 20), (2, 10)])
async def test_kills_under_load_lose_nothing(tmp_path: Path, processes: int, kills: int) -> None:
    seed = int(os.environ.get("OUTGATE_TEST_SEED", random.randrange(10**6)))
    chance = random.Random(seed)
    site = install(tmp_path / "outgate", delivery={"retry_first": 1, "retry_factor": 1}, top={"processes": processes})
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        process = await serve(site)
        load = Load(site, threads=8)
        killed_at: list[int] = []  # how many messages had arrived at each kill
        for _ in range(kills):
            before = len(load.acknowledged)
            await eventually(lambda before=before: len(load.acknowledged) > before + 20, f"seed {seed}: it serves")
            await asyncio.sleep(chance.uniform(0.0, 0.4))  # the random moment is what is tested
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await eventually(lambda: not gateway.connected, "the gateway has read what was sent before")
            killed_at.append(len(gateway.messages))
            process = await serve(site)
        await asyncio.to_thread(load.stop)
        await eventually(lambda: load.acknowledged <= set(_subjects(gateway)), f"seed {seed}: all arrived", 60)
        process.terminate()
        await process.wait()
        arrived = _subjects(gateway)
    duplicates = {subject: count for subject, count in Counter(arrived).items() if count > 1}
    unexplained = [subject for subject in duplicates if not _around_a_kill(arrived, subject, killed_at)]
    print(f"seed {seed}: {len(load.acknowledged)} acknowledged, {len(arrived)} arrived, {len(duplicates)} twice")
    assert unexplained == []


def _around_a_kill(arrived: list[str], subject: str, killed_at: list[int]) -> bool:
    """Its first copy was among the last before a kill: the peer had answered, the commit had not been made."""
    first = arrived.index(subject)
    return any(kill - 50 <= first < kill for kill in killed_at)
