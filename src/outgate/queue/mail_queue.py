"""The queue as accept and deliver use it: put, claim, finish, and the content in pieces.

Hands a message over in memory at the moment of its commit when there is a taker with room; the disk copy is then only
insurance. Whatever is not handed over is found by `claim`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from sqlalchemy import Engine, and_, exists, func, or_, select

from outgate.model import QueueKey
from outgate.queue.changes import (
    STEP,
    AddChunk,
    Claim,
    Defer,
    Discard,
    Finish,
    GiveBack,
    Hasten,
    Put,
    RecordEvents,
    Release,
    Renew,
    due_queues,
)
from outgate.queue.entry import Claimed, Item, Room
from outgate.record.events import MessageEvent
from outgate.store.engine import StoreUnavailable, read
from outgate.store.group_commit import GroupCommit
from outgate.store.tables import chunk, fact, message, recipient

CHUNK_BYTES = 256 * 1024
KEPT_BYTES: Final = 32 * 1024  # of a message handed over in memory; what is larger is read again when its turn comes
UNSURE = 0.5  # seconds until a second look whether a message was stored

Committed = Callable[[Sequence[MessageEvent]], None]


class Taker(Protocol):
    """Whoever delivers what is handed over in memory."""

    def reserve(self, put: Put) -> bool:
        """Whether there is room for the message; if so it is kept until `take` or `forget`."""

    def take(self, item: Item) -> None:
        """The message is on disk, and its lease ours."""

    def forget(self, put: Put) -> None:
        """It could not be stored, or nobody knows whether it was."""


class Queue:
    """One process's access to the queue. `owner` names it in leases and must be the same after a restart; `lease` is
    how many seconds others leave alone what it holds. `committed` hears of all events after their commit
    (record.publication); it neither raises nor blocks.
    """

    def __init__(
        self, engine: Engine, commits: GroupCommit, owner: str, lease: float, committed: Committed = lambda _: None
    ) -> None:
        self.owner = owner
        self.lease = lease
        self._committed = committed
        self._engine, self._commits = engine, commits
        self._readers = ThreadPoolExecutor(4, "queue-read")
        self._taker: Taker | None = None

    def hand_over_to(self, taker: Taker | None) -> None:
        """From now on, messages go to `taker` right after their commit while it has room."""
        self._taker = taker

    async def add_chunk(self, message_id: int, number: int, data: bytes) -> None:
        """Store a piece of a message that is still arriving."""
        await self._commits.make(AddChunk(message_id, number, data))

    async def discard(self, message_id: int) -> None:
        """Forget the pieces of a message that did not arrive whole."""
        await self._commits.make(Discard(message_id))

    async def put(self, put: Put) -> None:
        """Returns when the message is on disk; raises StoreUnavailable if it is not known to be."""
        taker = self._taker
        if taker is None or put.message.not_before is not None or not taker.reserve(put):
            await self._store(put)
            self._committed(put.events)
            return
        try:
            put.leased_by, put.lease = self.owner, self.lease
            await self._store(put)
        except BaseException:
            taker.forget(put)
            raise
        content = put.last_chunk if put.message.chunks == 1 and len(put.last_chunk) <= KEPT_BYTES else None
        taker.take(Item(put.message, tuple(put.recipients), content, put.fields, put.ways))
        self._committed(put.events)

    async def _store(self, put: Put) -> None:
        """A commit whose answer is lost may have been made: that is found out, else its client would send again."""
        try:
            await self._commits.make(put)
        except StoreUnavailable:
            if await self._is_stored(put.message.id):
                return
            await asyncio.sleep(UNSURE)  # it may be on its way yet
            if not await self._is_stored(put.message.id):
                raise

    async def _is_stored(self, message_id: int) -> bool:
        """Whether a message is, or was, in the queue. False if the store can't say."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._was_put, message_id)
        except StoreUnavailable:
            return False

    async def record(self, events: Sequence[MessageEvent]) -> None:
        """Keep events of a message that is not in the queue."""
        await self._commits.make(RecordEvents(events))
        self._committed(events)

    async def due_queues(self, now: float) -> Sequence[QueueKey]:
        """Queues in which something is due that nobody holds, the most overdue first. Looked for without the write lock
        and beside the loop: there may be many.
        """
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._due_queues, now)

    async def claim(self, now: float, room: Room, queues: Sequence[QueueKey]) -> Claimed:
        """Lease what is due in some of these queues, from the first on, as much as there is room for."""
        return await self._commits.make(Claim(self.owner, now, self.lease, room, queues))

    async def finish(self, finish: Finish) -> None:
        """Commit outcomes, and the delivery report that tells of them, in one transaction."""
        await self._commits.make(finish)
        self._tell_of(finish)

    async def was_finished(self, finish: Finish) -> bool:
        """Whether these outcomes are committed, when the answer to `finish` was lost; if so, their events are told."""
        is_finished = await asyncio.get_running_loop().run_in_executor(self._readers, self._is_finished, finish)
        if is_finished:
            self._tell_of(finish)
        return is_finished

    def _tell_of(self, finish: Finish) -> None:
        self._committed([*finish.events, *(finish.report.events if finish.report else ())])

    async def renew(self, message_ids: Sequence[int]) -> None:
        """Keep the leases of messages that are still being delivered."""
        if message_ids:
            await self._commits.make(Renew(message_ids, self.owner, self.lease))

    async def hasten(self, queue: QueueKey, now: float) -> None:
        """Make due all that waits in a queue, in steps with room between."""
        changed = STEP
        while changed >= STEP:
            changed = await self._commits.make(Hasten(queue, now))

    async def leased(self) -> list[tuple[int, int]]:
        """All recipients that this owner has a lease on: (message id, number)."""
        await self._commits.make(GiveBack((), self.owner))  # nothing: but what was asked for before has ended by then
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._leased)

    async def give_back(self, recipients: Sequence[tuple[int, int]]) -> None:
        """End the leases of these recipients, so that a claim finds them again."""
        if recipients:
            await self._commits.make(GiveBack(recipients, self.owner))

    async def release(self) -> None:
        """Give back every lease of this owner, and of owners whose names begin with its name."""
        await self._commits.make(Release(self.owner))

    async def content(self, item: Item) -> AsyncIterator[bytes]:
        """The message's bytes as they came, in pieces of at most 256 KiB."""
        yield await self.first_piece(item)
        async for piece in self.later_pieces(item):
            yield piece

    async def first_piece(self, item: Item) -> bytes:
        """The beginning of it; of most messages that is all. By itself, since an asynchronous generator that is left
        in the middle costs a task to end it.
        """
        return item.content if item.content is not None else await self.stored(item.message.id, 0)

    async def later_pieces(self, item: Item) -> AsyncIterator[bytes]:
        """What follows the first."""
        for number in range(1, item.message.chunks):
            yield await self.stored(item.message.id, number)

    async def others_due(self, item: Item) -> float | None:
        """When the last of its message's other recipients is due, of those that no administrator has sent elsewhere;
        None if nobody else waits.
        """
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._others_due, item)

    async def stored(self, message_id: int, number: int) -> bytes:
        """A piece of a message, which may be still arriving, as `add_chunk` has stored it."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._chunk, message_id, number)

    async def sweep(self, before: int) -> None:
        """Remove pieces of messages that never arrived whole and whose queue id is below `before`."""
        orphans = await asyncio.get_running_loop().run_in_executor(self._readers, self._orphans, before)
        for message_id in orphans:
            await self.discard(message_id)

    def close(self) -> None:
        """Nothing more is asked; the group commit is closed by whoever made it."""
        self._readers.shutdown()

    def _chunk(self, message_id: int, number: int) -> bytes:
        with read(self._engine) as conn:
            wanted = select(chunk.c.data).where(chunk.c.message_id == message_id, chunk.c.number == number)
            data = bytes(conn.execute(wanted).scalar_one())
            if number and conn.dialect.name == "sqlite":  # of a large message, which nobody reads a second time
                conn.exec_driver_sql("PRAGMA shrink_memory")
            return data

    def _due_queues(self, now: float) -> Sequence[QueueKey]:
        with read(self._engine) as conn:
            return due_queues(conn, now)

    def _others_due(self, item: Item) -> float | None:
        here = [one.number for one in item.recipients]
        others = select(func.max(recipient.c.due_at)).where(
            recipient.c.message_id == item.message.id,
            recipient.c.number.not_in(here),
            recipient.c.instruction.is_(None),
        )
        with read(self._engine) as conn:
            due: float | None = conn.scalar(others)
            return due

    def _is_finished(self, finish: Finish) -> bool:
        columns, put_off = recipient.c, {one.recipient.number: one for one in finish.deferred}
        open_ = or_(columns.number.in_(finish.done), and_(columns.number.in_(put_off), columns.leased_by == self.owner))
        wanted = select(columns.number, columns.due_at, columns.attempts)
        with read(self._engine) as conn:
            rows = conn.execute(wanted.where(columns.message_id == finish.message_id, open_)).all()
        return all(_was_put_off(put_off.get(number), due_at, attempts) for number, due_at, attempts in rows)

    def _leased(self) -> list[tuple[int, int]]:
        held = select(recipient.c.message_id, recipient.c.number).where(recipient.c.leased_by == self.owner)
        with read(self._engine) as conn:
            return [(row.message_id, row.number) for row in conn.execute(held)]

    def _orphans(self, before: int) -> list[int]:
        """Looked for without the write lock: it is a look at all pieces."""
        orphaned = chunk.c.message_id.not_in(select(message.c.id))
        with read(self._engine) as conn:
            found = select(chunk.c.message_id).where(chunk.c.message_id < before, orphaned).distinct()
            return list(conn.scalars(found))

    def _was_put(self, message_id: int) -> bool:
        waits = exists().where(message.c.id == message_id)
        is_recorded = exists().where(fact.c.message_id == message_id)
        with read(self._engine) as conn:
            return bool(conn.scalar(select(or_(waits, is_recorded))))


def _was_put_off(wanted: Defer | None, due_at: float, attempts: int) -> bool:
    """Whether a recipient that is ours is so once more, claimed since it was put off: its try has been counted, or it
    is due as it was to be. Neither is enough by itself: what was not tried is not counted, what is hastened is due
    sooner.
    """
    if wanted is None:
        return False
    return due_at == wanted.due_at or (not wanted.untried and attempts == wanted.recipient.attempts)
