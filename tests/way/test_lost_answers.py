"""The answer to a commit is lost: the connection to PostgreSQL is cut between COMMIT and its reply."""

import asyncio
import re
import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from outgate.store import tables
from outgate.store.engine import open_engine, read
from way.place import install, running
from way.postgresql_door import Door, before, hang_up
from way.submit import client, message

BOB = "bob@example.com"


class CuttingProxy(Door):
    """Of `cuts` transactions that insert a message it hands the COMMIT on, waits for the answer, and lets nobody hear
    it; with `shut_after` it takes no more connections then.
    """

    def __init__(self, folder: Path, upstream: str, *, shut_after: bool = False) -> None:
        self.cuts, self.cut = 0, 0
        self._shut_after = shut_after
        super().__init__(folder, upstream)

    def _join(self, inner: socket.socket, outer: socket.socket) -> None:
        muted = threading.Event()
        for way in (self._up, self._down):
            self._start(way, inner, outer, muted)

    def _up(self, inner: socket.socket, outer: socket.socket, muted: threading.Event) -> None:
        said = b""
        try:
            while data := inner.recv(1 << 20):
                said = (said + data)[-(1 << 20) :]
                if self.cuts > self.cut and re.search(rb"INSERT INTO message ", said) and b"COMMIT" in data:
                    self.cut += 1
                    if self._shut_after:
                        self._is_shut.set()
                    muted.set()
                outer.sendall(data)
                if b"COMMIT" in data:
                    said = b""
        except OSError:
            pass
        if not muted.is_set():
            hang_up(outer)

    def _down(self, inner: socket.socket, outer: socket.socket, muted: threading.Event) -> None:
        try:
            while data := outer.recv(1 << 20):
                if muted.is_set():
                    break
                inner.sendall(data)
        except OSError:
            pass
        hang_up(inner)
        hang_up(outer)


@pytest.fixture
def cut(new_postgresql: Callable[..., str], request: pytest.FixtureRequest) -> Iterator[tuple[CuttingProxy, str, str]]:
    """The proxy, a database's URL through it, and without it."""
    direct = new_postgresql()
    shut_after = bool(getattr(request, "param", False))
    with before(direct, partial(CuttingProxy, shut_after=shut_after)) as (proxy, through):
        yield proxy, through, direct


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
        proxy.open_again()
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
