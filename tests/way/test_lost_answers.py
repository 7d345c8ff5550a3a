"""The answer to a commit is lost: the connection to PostgreSQL is cut between COMMIT and its reply."""

import asyncio
import contextlib
import re
import shutil
import smtplib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, make_url, select

from outgate.store import tables
from outgate.store.engine import open_engine, read
from way.place import install, running
from way.submit import client, message

BOB = "bob@example.com"
SOCKET = ".s.PGSQL.5432"


class CuttingProxy:
    """Stands between a program and PostgreSQL. Of `cuts` transactions that insert a message it hands the COMMIT on,
    waits for the answer, and lets nobody hear it.
    """

    def __init__(self, folder: Path, upstream: str, *, deaf_after: bool = False) -> None:
        self.cuts, self.cut = 0, 0
        self._deaf = threading.Event()
        self._deaf_after = deaf_after
        self._upstream = upstream
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / SOCKET))
        self._listening.listen(100)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hear_again(self) -> None:
        self._deaf.clear()

    def close(self) -> None:
        self._listening.close()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listening.accept()
            except OSError:
                return
            if self._deaf.is_set():
                inner.close()
                continue
            outer = socket.socket(socket.AF_UNIX)
            outer.connect(self._upstream)
            self._open += [inner, outer]
            muted = threading.Event()
            threading.Thread(target=self._up, args=(inner, outer, muted), daemon=True).start()
            threading.Thread(target=self._down, args=(inner, outer, muted), daemon=True).start()

    def _up(self, inner: socket.socket, outer: socket.socket, muted: threading.Event) -> None:
        said = b""
        try:
            while data := inner.recv(1 << 20):
                said = (said + data)[-(1 << 20) :]
                if self.cuts > self.cut and re.search(rb"INSERT INTO message ", said) and b"COMMIT" in data:
                    self.cut += 1
                    if self._deaf_after:
                        self._deaf.set()
                    muted.set()
                outer.sendall(data)
                if b"COMMIT" in data:
                    said = b""
        except OSError:
            pass
        if not muted.is_set():
            _shut(outer)

    def _down(self, inner: socket.socket, outer: socket.socket, muted: threading.Event) -> None:
        try:
            while data := outer.recv(1 << 20):
                if muted.is_set():
                    break
                inner.sendall(data)
        except OSError:
            pass
        _shut(inner)
        _shut(outer)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cut(new_postgresql: Callable[..., str], request: pytest.FixtureRequest) -> Iterator[tuple[CuttingProxy, str, str]]:
    """The proxy, a database's URL through it, and without it."""
    url = make_url(new_postgresql())
    folder = Path(tempfile.mkdtemp(prefix="outgate-cut-", dir="/tmp"))
    deaf_after = bool(getattr(request, "param", False))
    proxy = CuttingProxy(folder, str(Path(str(url.query["host"])) / SOCKET), deaf_after=deaf_after)
    through = url.set(query={"host": str(folder)}).render_as_string(hide_password=False)
    yield proxy, through, url.render_as_string(hide_password=False)
    proxy.close()
    shutil.rmtree(folder)


def _submit(session: smtplib.SMTP, content: bytes) -> int:
    """The reply to the content's end."""
    try:
        session.sendmail("alice@example.com", [BOB], content)
    except smtplib.SMTPDataError as error:
        return error.smtp_code
    return 250


def _stored(url: str) -> tuple[int, int]:
    """Messages in bob's mailbox come out of the record: delivered ones; and pieces that are left."""
    engine = open_engine(url)
    with read(engine) as connection:
        delivered = connection.scalar(
            select(func.count()).select_from(tables.fact).where(tables.fact.c.kind == "delivered")
        )
        pieces = connection.scalar(select(func.count()).select_from(tables.chunk))
    engine.dispose()
    return delivered or 0, pieces or 0


@pytest.mark.parametrize("size", [100, 300_000, 900_000])
async def test_a_message_whose_commit_was_made_is_acknowledged_and_delivered_once(
    cut: tuple[CuttingProxy, str, str], tmp_path: Path, size: int
) -> None:
    proxy, through, direct = cut
    site = install(tmp_path / "outgate", database_url=through, top={"database_url": through})
    server = await running(site)
    try:
        session = await asyncio.to_thread(client, site)
        content = message("alice@example.com", body="\r\n".join(["x" * 70] * (size // 72 + 1)))
        proxy.cuts = 1
        assert await asyncio.to_thread(_submit, session, content) == 250
        assert proxy.cut == 1
        assert await asyncio.to_thread(_submit, session, message("alice@example.com", "Next")) == 250
        async with asyncio.timeout(30):
            while len(_mailbox(site.data)) < 2:
                await asyncio.sleep(0.05)
        session.close()
    finally:
        await server.stop()
    bodies = sorted(path.read_bytes().count(b"x" * 70) for path in _mailbox(site.data))
    assert bodies == [0, size // 72 + 1]
    assert _stored(direct)[1] == 0


@pytest.mark.parametrize("cut", [True], indirect=True)
async def test_a_message_whose_fate_stays_unknown_keeps_its_pieces_and_is_delivered(
    cut: tuple[CuttingProxy, str, str], tmp_path: Path
) -> None:
    """The client hears 451, since nobody knows; what the database has, it has whole."""
    proxy, through, _ = cut
    site = install(tmp_path / "outgate", database_url=through, top={"database_url": through})
    server = await running(site)
    try:
        session = await asyncio.to_thread(client, site)
        content = message("alice@example.com", body="\r\n".join(["x" * 70] * 10_000))
        proxy.cuts = 1
        assert await asyncio.to_thread(_submit, session, content) == 451
        proxy.hear_again()
        async with asyncio.timeout(30):
            while not _mailbox(site.data):
                await asyncio.sleep(0.05)
        session.close()
    finally:
        await server.stop()
    [path] = _mailbox(site.data)
    assert path.read_bytes().count(b"x" * 70) == 10_000


def _mailbox(data: Path) -> list[Path]:
    return [path for path in (data / "mail").rglob("new/*") if path.is_file()]
