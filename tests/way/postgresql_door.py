"""What stands before PostgreSQL on its Unix socket, and can take connections away: the database as one that fails."""

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import make_url

SOCKET = ".s.PGSQL.5432"


class Door:
    """Passes on what both sides say. While it is shut, new connections are closed at once."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self._upstream, self._is_shut = upstream, threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / SOCKET))
        self._listening.listen(100)
        self._start(self._accept)

    def shut(self) -> None:
        """Close those that are open as well."""
        self._is_shut.set()
        for one in self._open:
            hang_up(one)

    def open_again(self) -> None:
        self._is_shut.clear()

    def close(self) -> None:
        """When nobody reads from the sockets any more, they are closed."""
        hang_up(self._listening)
        self._threads[0].join()  # the one that accepts: no connection comes behind it
        self.shut()
        for thread in self._threads:
            thread.join()
        for one in (self._listening, *self._open):
            one.close()

    def _start(self, target: Callable[..., None], *given: object) -> None:
        self._threads.append(threading.Thread(target=target, args=given, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listening.accept()
            except OSError:
                return
            if self._is_shut.is_set():
                inner.close()
                continue
            outer = socket.socket(socket.AF_UNIX)
            outer.connect(self._upstream)
            self._open += [inner, outer]
            self._join(inner, outer)

    def _join(self, inner: socket.socket, outer: socket.socket) -> None:
        """Pass on from the program to the database and back."""
        for source, target in ((inner, outer), (outer, inner)):
            self._start(_pass_on, source, target)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    hang_up(target)


def hang_up(one: socket.socket) -> None:
    """End a connection in both directions."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


D = TypeVar("D", bound=Door)


@contextmanager
def before(url: str, new_door: Callable[[Path, str], D]) -> Iterator[tuple[D, str]]:
    """A door before the database at `url`, and the URL through it."""
    database = make_url(url)
    folder = Path(tempfile.mkdtemp(prefix="outgate-door-", dir="/tmp"))  # a socket's path has 107 characters at most
    door = new_door(folder, str(Path(str(database.query["host"])) / SOCKET))
    try:
        yield door, database.set(query={"host": str(folder)}).render_as_string(hide_password=False)
    finally:
        door.close()
        shutil.rmtree(folder)
