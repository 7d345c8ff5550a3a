"""The queue as accept and deliver use it: put, claim, finish, and the content in pieces.

Hands a message over in memory at the moment of its commit when there is a taker with room; the disk copy is then only
insurance. Whatever is not handed over is found by `claim`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import Engine, delete, select

from outgate.queue import admin
from outgate.queue.admin import DAY_HOURS, Sent
from outgate.queue.changes import (
    AddChunk,
    Change,
    Claim,
    Discard,
    Finish,
    ForgetUsage,
    InForce,
    Put,
    RecordEvents,
    Release,
    Renew,
    Result,
)
from outgate.queue.entry import Item
from outgate.queue.group_commit import GroupCommit
from outgate.record.events import MessageEvent
from outgate.store.engine import read, write
from outgate.store.tables import chunk, message

CHUNK_BYTES = 256 * 1024
HOUR = 3600.0

Taker = Callable[[Item], None]
Committed = Callable[[Sequence[MessageEvent]], None]


class Queue:
    """One process's access to the queue. `owner` names it in leases and must be the same after a restart.

    `committed` hears of all events after their commit (record.publication); it must neither raise nor block.
    """

    def __init__(self, engine: Engine, owner: str, lease: float, committed: Committed = lambda _: None) -> None:
        self.owner = owner
        self.lease = lease
        self._committed = committed
        self._engine = engine
        self._commits = GroupCommit(engine)
        self._readers = ThreadPoolExecutor(4, "queue-read")
        self._taker: Taker | None = None
        self._tidy_at = 0.0
        self._room: Callable[[], bool] = lambda: False

    def hand_over_to(self, taker: Taker, room: Callable[[], bool]) -> None:
        """From now on, messages go to `taker` right after their commit while `room()` is true."""
        self._taker, self._room = taker, room

    async def add_chunk(self, message_id: int, number: int, data: bytes) -> None:
        """Store a piece of a message that is still arriving."""
        await self._commits.make(AddChunk(message_id, number, data))

    async def discard(self, message_id: int) -> None:
        """Forget the pieces of a message that did not arrive whole."""
        await self._commits.make(Discard(message_id))

    async def put(self, put: Put) -> None:
        """Returns when the message is on disk; raises StoreUnavailable if it could not be stored."""
        handed_over = self._taker is not None and self._room()
        if handed_over:
            put = _leased(put, self.owner, put.due_at + self.lease)
        await self._commits.make(put)
        if handed_over and self._taker:
            content = put.last_chunk if put.message.chunks == 1 else None
            self._taker(Item(put.message, tuple(put.recipients), content, put.fields))
        self._committed(put.events)

    async def record(self, events: Sequence[MessageEvent]) -> None:
        """Keep facts of a message that is not in the queue."""
        await self._commits.make(RecordEvents(events))
        self._committed(events)

    async def claim(self, now: float, limit: int) -> list[Item]:
        """Lease what is due; and once an hour forget what counts for no limit any more."""
        if now >= self._tidy_at:
            self._tidy_at = now + HOUR
            await self._make(ForgetUsage(int(now // HOUR) - DAY_HOURS))
        return await self._make(Claim(self.owner, now, now + self.lease, limit)) or []

    async def finish(self, finish: Finish) -> None:
        """Commit outcomes, and the delivery report that tells of them, in one transaction."""
        await self._make(finish)
        self._committed([*finish.events, *(finish.report.events if finish.report else ())])

    async def renew(self, message_ids: list[int], until: float) -> None:
        """Keep the leases of messages that are still being delivered."""
        await self._make(Renew(message_ids, self.owner, until))

    async def in_force(self, version: int | None, now: float) -> None:
        """Say to all what version of the directory this worker goes by; None when it stops."""
        await self._make(InForce(self.owner, version, now))

    async def release(self) -> None:
        """Give back every lease of this owner, and of owners whose names begin with its name."""
        await self._make(Release(self.owner))

    async def content(self, item: Item) -> AsyncIterator[bytes]:
        """The message's bytes as they came, in pieces of at most 256 KiB."""
        if item.content is not None:
            yield item.content
            return
        loop = asyncio.get_running_loop()
        for number in range(item.message.chunks):
            yield await loop.run_in_executor(self._readers, self._chunk, item.message.id, number)

    async def stored(self, message_id: int, number: int) -> bytes:
        """A piece of a message that is still arriving, as `add_chunk` has stored it."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._chunk, message_id, number)

    async def sent(self, account_id: int, hour: int) -> list[Sent]:
        """What an account has sent in this hour (since the epoch) and in the 23 before it, the oldest first."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._sent, account_id, hour)

    async def sweep(self, before: int) -> None:
        """Remove pieces of messages that never arrived whole and whose queue id is below `before`."""
        await asyncio.get_running_loop().run_in_executor(self._readers, self._sweep, before)

    async def close(self) -> None:
        """Commit what is under way, then stop."""
        await self._commits.close()
        self._readers.shutdown()

    async def _make(self, change: Change) -> Result:
        return await self._commits.make(change)

    def _chunk(self, message_id: int, number: int) -> bytes:
        with read(self._engine) as conn:
            wanted = select(chunk.c.data).where(chunk.c.message_id == message_id, chunk.c.number == number)
            return bytes(conn.execute(wanted).scalar_one())

    def _sent(self, account_id: int, hour: int) -> list[Sent]:
        with read(self._engine) as conn:
            return admin.sent(conn, account_id, hour)

    def _sweep(self, before: int) -> None:
        orphaned = chunk.c.message_id.not_in(select(message.c.id))
        with write(self._engine) as conn:
            conn.execute(delete(chunk).where(chunk.c.message_id < before, orphaned))


def _leased(put: Put, owner: str, until: float) -> Put:
    return replace(put, leased_by=owner, leased_until=until)
