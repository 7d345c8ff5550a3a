"""Group commit: changes from many sessions in one transaction, in one thread, in the order in which they came.

While one group's commit is on its way to the disk the next one gathers; nothing waits for a timer. All writes of the
queue by one process pass here, so that they never wait for each other's locks.
"""

import asyncio
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from outgate.queue.changes import AddChunk, Change, Put, Result, apply
from outgate.store.engine import StoreUnavailable, write

GROUP_CHANGES = 500
GROUP_BYTES = 8 * 1024 * 1024  # keeps a group of large pieces from holding up small messages for long


@dataclass(slots=True)
class _Asked:
    change: Change
    answer: asyncio.Future[Result]


class GroupCommit:
    """Makes changes durable. `make` returns after the commit that holds the change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def make(self, change: Change) -> asyncio.Future[Result]:
        """Ask for a change; the future's exception is StoreUnavailable if it could not be committed."""
        answer: asyncio.Future[Result] = self._loop.create_future()
        self._asked.put(_Asked(change, answer))
        return answer

    async def close(self) -> None:
        """Commit what was asked for so far, then stop."""
        self._asked.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while group := self._gather():
            self._commit(group)

    def _gather(self) -> list[_Asked]:
        """All that is asked for by now, at least one; empty when closed."""
        first = self._asked.get()
        group: list[_Asked] = []
        size = 0
        while first is not None:
            group.append(first)
            size += _weight(first.change)
            if len(group) >= GROUP_CHANGES or size >= GROUP_BYTES:
                return group
            try:
                first = self._asked.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._asked.put(None)  # closed: after this group
        return group

    def _commit(self, group: Sequence[_Asked]) -> None:
        try:
            results = self._transaction([asked.change for asked in group])
        except StoreUnavailable as error:
            self._tell([(asked.answer, None, error) for asked in group])
        except Exception as error:  # whatever it is, those who wait must hear of it
            if len(group) > 1:
                for asked in group:  # one bad change must not fail its neighbours
                    self._commit([asked])
            else:
                self._tell([(group[0].answer, None, error)])
        else:
            self._tell([(asked.answer, result, None) for asked, result in zip(group, results, strict=True)])

    def _transaction(self, changes: Sequence[Change]) -> list[Result]:
        with write(self._engine) as conn:
            return apply(conn, changes)

    def _tell(self, answers: Sequence[tuple[asyncio.Future[Result], Result, Exception | None]]) -> None:
        self._loop.call_soon_threadsafe(_settle, answers)


def _settle(answers: Sequence[tuple[asyncio.Future[Result], Result, Exception | None]]) -> None:
    for answer, result, error in answers:
        if answer.cancelled():
            continue
        if error:
            answer.set_exception(error)
        else:
            answer.set_result(result)


def _weight(change: Change) -> int:
    match change:
        case AddChunk(_, _, data):
            return len(data)
        case Put():
            return len(change.last_chunk)
    return 0
