"""PostgreSQL is away for some seconds while messages are in memory: all leave soon after it is back, each once."""

import asyncio
import contextlib
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from corpus.peer import RawPeer
from outgate.model import Security
from way.place import Site, eventually, install, listens, serve
from way.submit import client, message

ALICE = "alice@example.com"
SOCKET = ".s.PGSQL.5432"
MESSAGES = 150


class Door:
    """Stands before PostgreSQL; while it is shut every connection is closed, those that are open as well."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self._upstream, self._shut = upstream, threading.Event()
        self._open: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / SOCKET))
        self._listening.listen(100)
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        self._shut.set()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def open_again(self) -> None:
        self._shut.clear()

    def close(self) -> None:
        self._listening.close()
        self.shut()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listening.accept()
            except OSError:
                return
            if self._shut.is_set():
                inner.close()
                continue
            outer = socket.socket(socket.AF_UNIX)
            outer.connect(self._upstream)
            self._open += [inner, outer]
            for source, target in ((inner, outer), (outer, inner)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def door(new_postgresql: Callable[..., str]) -> Iterator[tuple[Door, str]]:
    """The door, and a database's URL through it."""
    url = make_url(new_postgresql())
    folder = Path(tempfile.mkdtemp(prefix="outgate-door-", dir="/tmp"))
    made = Door(folder, str(Path(str(url.query["host"])) / SOCKET))
    yield made, url.set(query={"host": str(folder)}).render_as_string(hide_password=False)
    made.close()
    shutil.rmtree(folder)


async def test_what_was_in_memory_leaves_soon_after_the_database_is_back(
    door: tuple[Door, str], tmp_path: Path
) -> None:
    database, url = door
    settings, log = {"connections_per_queue": 1}, tmp_path / "outgate.log"
    site = install(tmp_path / "outgate", database_url=url, top={"database_url": url}, delivery=settings)

    def slowly(line: str) -> str | None:
        if line == ".":
            time.sleep(0.03)  # of the gateway's loop alone: the server is another process
        return None

    async with RawPeer(answer=slowly) as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        process = await serve(site)
        try:
            await eventually(lambda: listens(site), "it serves", 60)
            await asyncio.to_thread(_submit, site)
            delivered = len(relay.messages)
            assert delivered < MESSAGES, "nothing is in memory any more"
            database.shut()
            await eventually(lambda: "directory can't be read" in log.read_text(), "the server finds it away")
            database.open_again()
            await relay.wait_for(MESSAGES, timeout=60)
        finally:
            process.terminate()
            await process.wait()
    subjects = Counter(one.content.partition(b"Subject: ")[2].partition(b"\r\n")[0] for one in relay.messages)
    assert subjects == {b"Number %d" % number: 1 for number in range(MESSAGES)}


def _submit(site: Site) -> None:
    with client(site) as session:
        for number in range(MESSAGES):
            session.sendmail(ALICE, ["carol@recipient.example"], message(ALICE, f"Number {number}"))
