"""Few open files: the doors give way, and what they let in goes through."""

import asyncio
import resource
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from accept.test_doors import connected
from outgate import open_files
from way.place import eventually, install, listens, serve
from way.submit import submit

pytestmark = pytest.mark.skipif(not shutil.which("prlimit"), reason="util-linux has it, on every Debian")


@pytest.mark.parametrize(
    ("soft", "wanted", "sessions"),
    [(65_536, 1000, 1000), (1024, 1000, 474), (256, 1000, 16), (256, 8, 8), (resource.RLIM_INFINITY, 5000, 5000)],
)
def test_there_are_as_many_sessions_as_files_are_left_for(
    monkeypatch: pytest.MonkeyPatch, soft: int, wanted: int, sessions: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert open_files.room_for_sessions(wanted, 400) == sessions


async def test_the_limit_of_open_files_is_raised_as_far_as_the_system_lets_it(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate")
    process = await serve(site, before=["prlimit", "--nofile=256:4096"])
    await eventually(lambda: listens(site), "it serves", 60)
    try:
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0] == 4096
    finally:
        process.terminate()
        assert await process.wait() == 0
    assert "max_sessions" not in site.data.with_suffix(".log").read_text()


SILENT = 1200


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4 * SILENT, reason="the test itself needs files")
async def test_twelve_hundred_silent_connections_of_one_peer_keep_nobody_out(tmp_path: Path) -> None:
    """With the usual limit of 1,024 files, before any handshake: others log in and send."""
    site = install(tmp_path / "outgate")
    process = await serve(site, before=["prlimit", "--nofile=1024:1024"])
    await eventually(lambda: listens(site), "it serves", 60)
    log = site.data.with_suffix(".log")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * SILENT, before[1]))
    try:
        with ExitStack() as silent:
            for _ in range(SILENT):
                silent.enter_context(connected(site.tls, "127.0.4.1"))
            assert _open_files(process.pid) < 300
            for _ in range(3):
                await submit(site, "alice@example.com", ["bob@example.com"])
            mailbox = site.data / "mail"
            await eventually(lambda: sum(1 for _ in mailbox.rglob("new/*")) == 3, "they are delivered")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        process.terminate()
        assert await process.wait() == 0
    assert "too many connections" in log.read_text()
    assert "could not be taken" not in log.read_text()


async def test_who_opens_all_connections_there_can_be_stops_no_mail_that_is_in(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", submission={"max_sessions_per_peer": 1000}, delivery={"connections": 100})
    process = await serve(site, before=["prlimit", "--nofile=550:550"])
    await eventually(lambda: listens(site), "it serves", 60)
    log = site.data.with_suffix(".log")
    try:
        await eventually(lambda: "raise the limit of open files" in log.read_text(), "it is told what to do")
        with ExitStack() as silent:
            for number in range(90):
                silent.enter_context(connected(site.tls, f"127.0.2.{number + 1}"))
            await submit(site, "alice@example.com", ["bob@example.com"])
            await eventually(lambda: list((site.data / "mail").rglob("new/*")), "it is delivered")
            for number in range(60):
                silent.enter_context(connected(site.tls, f"127.0.3.{number + 1}"))
            await eventually(lambda: "too many connections" in log.read_text(), "the doors are shut")
        await asyncio.sleep(0)
        await eventually(lambda: listens(site), "and open again")
    finally:
        process.terminate()
        assert await process.wait() == 0
    assert "could not be taken" not in log.read_text()


def _open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
