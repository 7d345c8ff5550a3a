"""Whose turn it is to write, among the programs that use one SQLite database. PostgreSQL needs no such thing.

SQLite makes writers wait by sleeping, ever longer: beside a busy server, a command would hardly ever come at the right
moment. The kernel wakes the next one at once. SQLite's own lock keeps order with whoever takes no part.
"""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Self

from sqlalchemy import Connection, Engine

from outgate.store.engine import write


class WritersTurn:
    """`with` it, a process of a server writes alone, for one transaction at a time. A command only begins in its turn
    (`begun`): it may be stopped in the middle, and nobody waits longer for it than SQLite lets one wait.
    """

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file

    @classmethod
    def served(cls, engine: Engine) -> Self:
        """For the processes of a server, which make the file. Raises OSError."""
        return cls(_path(engine).open("w") if _is_file(engine) else None)

    @classmethod
    def joined(cls, engine: Engine) -> Self:
        """For who may meet a server: without its file there is none to meet. A command never makes it, since it may
        be given by somebody whose files the server can't open.
        """
        file = None
        if _is_file(engine):
            with suppress(OSError):
                file = _path(engine).open()
        return cls(file)

    def __enter__(self) -> None:
        if self._file:
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._file:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    @contextmanager
    def begun(self, engine: Engine) -> Iterator[Connection]:
        """A transaction that writes, begun in its turn. Raises StoreUnavailable."""
        with ExitStack() as transaction:
            with self:
                connection = transaction.enter_context(write(engine))
            yield connection

    def close(self) -> None:
        """No more turns are asked for."""
        if self._file:
            self._file.close()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes, begun in its turn, beside mail that is being stored all the time. Raises
    StoreUnavailable.
    """
    with closing(WritersTurn.joined(engine)) as turn, turn.begun(engine) as connection:
        yield connection


def _is_file(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _path(engine: Engine) -> Path:
    return Path(f"{engine.url.database}.turn")
