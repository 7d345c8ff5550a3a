"""Two nodes on one PostgreSQL: a change of policy is in force on both, under load, at once."""

import asyncio
import contextlib
import shutil
import smtplib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench.scratch import free_port

from corpus.peer import RawPeer
from outgate import clock
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.installation import Installation
from outgate.operations import policy_operations, propagation
from outgate.operations.actor import Actor
from outgate.operations.context import writing
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, listens, serve
from way.submit import client, message

FLIPS = 100
PAUSE = 0.15  # seconds of load between two changes, so that both nodes are in full swing at each


def _second_node(first: Site, data: Path) -> Site:
    """Another node of the same installation: keys, certificates and database are those of the first."""
    shutil.copytree(first.data, data)
    second = replace(first, data=data, starttls=free_port(), tls=free_port())
    settings = (data / "outgate.toml").read_text()
    for old, new in ((first.starttls, second.starttls), (first.tls, second.tls)):
        settings = settings.replace(f"port = {old}\n", f"port = {new}\n")
    (data / "outgate.toml").write_text(settings.replace('"mail.example.com"', '"mail2.example.com"', 1))
    return second


class _Sink:
    """Remembers when each MAIL came; accepts everything."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def answer(self, line: str) -> None:
        if line.startswith("MAIL"):
            self.at.append(time.monotonic())


@contextlib.contextmanager
def _load(*sites: Site) -> Iterator[list[int]]:
    """A client of each node submits one message after the other."""
    stopping, sent = threading.Event(), [0] * len(sites)

    def work(number: int, site: Site) -> None:
        with client(site) as session, contextlib.suppress(smtplib.SMTPServerDisconnected):
            while not stopping.is_set():
                session.sendmail(PARTNER, ["carol@recipient.example"], message(PARTNER))
                sent[number] += 1

    threads = [threading.Thread(target=work, args=(number, site)) for number, site in enumerate(sites)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _flip(place: Installation, on: bool) -> tuple[float, float]:
    """What `outgate policy set` does; returns when it began and when it had returned."""
    began = time.monotonic()
    with writing(place.engine, place.vault, Actor.console("test"), clock.now()) as op:
        policy_operations.set_policy(op, "/", ALLOW_EXTERNAL_SMTP, on)
    assert propagation.wait(place.engine) is None
    return began, time.monotonic()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_flip_of_the_policy_is_in_force_on_both_nodes_at_once(tmp_path: Path, new_postgresql: object) -> None:
    assert callable(new_postgresql)
    url = new_postgresql()
    site = install(tmp_path / "one", database_url=url, top={"database_url": url})
    gateway_sink, relay_sink = _Sink(), _Sink()
    context = site.authority.server_context(LOCALHOST)
    async with (
        RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=gateway_sink.answer) as gateway,
        RawPeer(tls=context, credentials={"relay": GATEWAY_PASSWORD}, answer=relay_sink.answer) as relay,
    ):
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        await site.set_domain_gateway(relay.port)
        second = _second_node(site, tmp_path / "two")
        nodes = [await serve(site), await serve(second)]
        place = site.place()
        flips = []
        try:
            await eventually(lambda: listens(site) and listens(second), "both nodes serve", 60)
            with _load(site, second) as sent:
                await eventually(lambda: min(sent) > 20, "both nodes are at work")
                for number in range(FLIPS):
                    on = number % 2 == 1
                    new, old = (gateway_sink, relay_sink) if on else (relay_sink, gateway_sink)
                    seen = len(new.at)
                    began, returned = await asyncio.to_thread(_flip, place, on)
                    until = time.monotonic() + PAUSE
                    await eventually(lambda new=new, seen=seen: len(new.at) > seen, "the new way is taken")
                    await eventually(lambda until=until: time.monotonic() > until, "a while of load")
                    flips.append((began, returned, new, old, time.monotonic()))
        finally:
            for node in nodes:
                node.terminate()
            for node in nodes:
                assert await node.wait() == 0
            place.engine.dispose()
        delays = sorted(min(at for at in new.at if at >= began) - began for began, _, new, _, _ in flips)
        late = [at - returned for _, returned, _, old, end in flips for at in old.at if returned < at < end]
        print(
            f"{FLIPS} flips, {sum(sent)} messages by two nodes: first message by the new way after"
            f" {delays[len(delays) // 2] * 1000:.0f} ms (median), {delays[int(0.99 * len(delays)) - 1] * 1000:.0f} ms"
            f" (99th percentile); {len(late)} by the old way after the command had returned"
            + (f", up to {max(late) * 1000:.1f} ms later" if late else "")
        )
        assert delays[int(0.99 * len(delays)) - 1] < 1.0
        assert late == []
