"""Group commit: changes from many sessions in one transaction, in the order in which they came.

While one group's commit is on its way to the disk the next one gathers. Who is alone never waits for others; where many
come just now, a group is given some time to grow: what each costs is mostly the group's. All frequent writes of one
process pass here, so that they never wait for each other's locks. Knows no change's meaning.

A thread begins and commits, which is where a database makes one wait. The statements in between run where they are
quickest: on the event loop for a local file (in the thread, each row would hand Python's lock over and back, which cost
half of the throughput), in the thread for a database behind a network.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Engine

from outgate.store.batch import Change, apply
from outgate.store.engine import StoreUnavailable, Writer
from outgate.store.writers_turn import WritersTurn

GROUP_CHANGES = 500
GROUP_BYTES = 8 * 1024 * 1024  # keeps a group of large pieces from holding up small messages for long
MANY: Final = 4  # changes of one group, from which on the next one is given time to grow
GROWS: Final = 0.005  # seconds of that at most: as long as the last group took, with its turn and its commit
SOON: Final = 0.01  # seconds after a group in which another one belongs to the same rush

T = TypeVar("T")


@dataclass(slots=True)
class _Asked:
    change: Change[Any]
    answer: asyncio.Future[Any]


Answer = tuple[_Asked, Any, Exception | None]
_Done = tuple[object, Exception | None]  # what came of work that the loop did


class GroupCommit:
    """Makes changes durable. The future that `make` returns is done after the commit that holds the change."""

    def __init__(self, engine: Engine) -> None:
        self._writer = Writer(engine)  # the thread's
        self._on_loop = engine.dialect.name == "sqlite"
        self._turn = WritersTurn.served(engine)
        self._loop = asyncio.get_running_loop()
        self._pending: list[_Asked] = []  # touched on the loop only
        self._rush_until = 0.0  # monotonic; touched in the thread only
        self._working = False
        self._idle: asyncio.Future[None] | None = None  # done when closing has nothing more to wait for
        self._rounds: queue.SimpleQueue[bool] = queue.SimpleQueue()  # True: there is work; False: the end
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()  # one piece of work at a time
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def make(self, change: Change[T]) -> asyncio.Future[T]:
        """Ask for a change; the future's exception is StoreUnavailable if it could not be committed."""
        asked = _Asked(change, self._loop.create_future())
        self._pending.append(asked)
        self._go_on()
        return asked.answer

    async def close(self) -> None:
        """Commit what was asked for so far, then stop."""
        if self._working:
            self._idle = self._loop.create_future()
            await self._idle
        self._rounds.put(False)
        await asyncio.to_thread(self._thread.join)
        self._turn.close()

    def _go_on(self) -> None:
        if self._pending and not self._working:
            self._working = True
            self._rounds.put(True)

    def _take(self) -> list[_Asked]:
        """The next group: all that is pending by now, within limits."""
        size = count = 0
        for asked in self._pending:
            if count >= GROUP_CHANGES or size >= GROUP_BYTES:
                break
            count += 1
            size += asked.change.weight
        group, self._pending = self._pending[:count], self._pending[count:]
        return group

    # --- in the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        took = 0.0
        while self._rounds.get():
            if time.monotonic() < self._rush_until:
                time.sleep(min(took, GROWS))
            began = time.monotonic()
            answers = self._round()
            ended = time.monotonic()
            took, self._rush_until = ended - began, ended + SOON if len(answers) >= MANY else 0.0
            self._loop.call_soon_threadsafe(self._settle, answers)
        self._writer.close()

    def _round(self) -> list[Answer]:
        """Commit one group. If one change is bad, each is committed on its own: it must not fail its neighbours."""
        group: list[_Asked] = []
        try:
            with self._turn, self._writer.transaction() as conn:
                results = self._fill(conn, group)
        except StoreUnavailable as error:
            return [(asked, None, error) for asked in group or self._call(self._take)]
        except Exception as error:  # whatever it is, those who wait must hear of it
            if not group:  # our turn did not come: nothing was asked of the database yet
                return [(asked, None, StoreUnavailable(str(error))) for asked in self._call(self._take)]
            return [self._alone(asked) for asked in group]
        return [(asked, result, None) for asked, result in zip(group, results, strict=True)]

    def _fill(self, conn: Connection, group: list[_Asked]) -> list[Any]:
        """Take the next group, after the lock is ours so that the wait for it fills the group, and write its rows."""
        if self._on_loop:
            return self._call(lambda: _written(conn, group, self._take()))
        return _written(conn, group, self._call(self._take))

    def _alone(self, asked: _Asked) -> Answer:
        try:
            with self._turn, self._writer.transaction() as conn:
                (result,) = self._apply(conn, asked.change)
        except Exception as error:
            return asked, None, error
        return asked, result, None

    def _apply(self, conn: Connection, change: Change[Any]) -> list[Any]:
        if self._on_loop:
            return self._call(lambda: apply(conn, [change]))
        return apply(conn, [change])

    def _call(self, work: Callable[[], T]) -> T:
        """Have the loop do it."""
        self._loop.call_soon_threadsafe(_do, work, self._done)
        result, error = self._done.get()
        if error:
            raise error
        return cast(T, result)

    # --- on the loop ---------------------------------------------------------------------------------------------

    def _settle(self, answers: Sequence[Answer]) -> None:
        self._working = False
        self._go_on()
        if self._idle and not self._working:
            self._idle.set_result(None)
        for asked, result, error in answers:
            if asked.answer.cancelled():
                continue
            if error:
                asked.answer.set_exception(error)
            else:
                asked.answer.set_result(result)


def _written(conn: Connection, group: list[_Asked], taken: Sequence[_Asked]) -> list[Any]:
    group += taken  # first: whatever comes of the rows, those who wait must hear of it
    return apply(conn, [asked.change for asked in group])


def _do(work: Callable[[], object], done: "queue.SimpleQueue[_Done]") -> None:
    try:
        done.put((work(), None))
    except Exception as error:
        done.put((None, error))
