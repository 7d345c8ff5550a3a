"""A server of several processes: shared ports and queue, watched, and ended together."""

import asyncio
import os
import signal
from pathlib import Path

import psutil

from corpus.peer import RawPeer
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, listens, serve
from way.submit import submit


async def _started(site: Site) -> tuple[asyncio.subprocess.Process, psutil.Process]:
    process = await serve(site)
    await eventually(lambda: listens(site), "it serves", 60)
    parent = psutil.Process(process.pid)
    await eventually(lambda: len(parent.children()) == 2, "both processes run", 60)
    return process, parent


async def test_two_processes_share_the_work_and_one_that_dies_is_started_again(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", top={"processes": 2})
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        process, parent = await _started(site)
        try:
            await asyncio.gather(*(submit(site, PARTNER) for _ in range(20)))
            await gateway.wait_for(20)
            victim = parent.children()[0].pid
            os.kill(victim, signal.SIGKILL)
            await eventually(lambda: _whole(parent, victim), "it is started again", 30)
            await eventually(lambda: listens(site), "it serves again", 30)
        finally:
            process.terminate()
            assert await process.wait() == 0


def _whole(parent: psutil.Process, without: int) -> bool:
    return len([child for child in parent.children() if child.pid != without and child.is_running()]) == 2


async def test_when_the_first_process_is_killed_none_is_left(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", top={"processes": 2})
    process, parent = await _started(site)
    children = parent.children()
    process.kill()
    await process.wait()
    await eventually(lambda: not [child for child in children if child.is_running()], "all are gone")


async def test_the_port_is_free_after_the_end(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", top={"processes": 2})
    process, _ = await _started(site)
    process.terminate()
    assert await process.wait() == 0
    assert not listens(site)
