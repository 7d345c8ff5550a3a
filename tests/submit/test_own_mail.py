"""Mail of the organisation itself, of any size, on both databases."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import Engine, func, select

from outgate.model import QueueKey, QueueKind
from outgate.queue import Put, Queue, Room
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.record import message_log
from outgate.record.events import EventKind
from outgate.store.batch import apply
from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.group_commit import GroupCommit
from outgate.store.tables import chunk
from outgate.submit import originate, originate_pieces
from submissions import CAROL, NOON, ORGANISATION

HEADER = b"From: postmaster@example.com\r\n\r\n"
POSTMASTER = "postmaster@example.com"


@pytest_asyncio.fixture
async def queue(engine: Engine) -> AsyncIterator[Queue]:
    commits = GroupCommit(engine)
    opened = Queue(engine, commits, "node", 60.0)
    yield opened
    await commits.close()
    opened.close()


async def content(queue: Queue) -> bytes:
    (item,) = (await queue.claim(NOON, Room(10, {}), await queue.due_queues(NOON))).items
    return b"".join([piece async for piece in queue.content(item)])


def stored_chunks(engine: Engine) -> int:
    with read(engine) as connection:
        return connection.scalar(select(func.count()).select_from(chunk)) or 0


@pytest.mark.parametrize("size", [10, CHUNK_BYTES, 3 * CHUNK_BYTES + 5])
async def test_own_mail_of_any_size_is_queued_in_one_transaction(queue: Queue, engine: Engine, size: int) -> None:
    raw = HEADER + b"x" * size
    put = originate(1, raw, "", [CAROL], ORGANISATION, NOON)
    assert (put.message.account_id, put.message.is_own, put.message.protocol) == (None, True, "ESMTP")
    assert (put.message.smtputf8, put.message.eight_bit) == (False, False)
    assert [one.queue for one in put.recipients] == [QueueKey(QueueKind.MX, "recipient.example")]
    with write(engine) as connection:
        apply(connection, [put])
    assert await content(queue) == raw
    with read(engine) as connection:
        history = message_log.history(connection, 1)
    assert [(one.kind, one.detail.get("account")) for one in history] == [
        (EventKind.ACCEPTED, "the organisation"),
        (EventKind.ROUTED, None),
    ]


async def test_own_mail_of_any_size_goes_through_the_queue_as_well(queue: Queue) -> None:
    raw = HEADER + b"x" * (2 * CHUNK_BYTES)
    await queue.put(originate(1, raw, "", [CAROL], ORGANISATION, NOON))
    assert await content(queue) == raw


@pytest.mark.parametrize(("raw", "to"), [(HEADER, "größe@recipient.example"), ("From: ö\r\n\r\n".encode(), CAROL)])
def test_own_mail_asks_for_smtputf8_where_it_needs_it(raw: bytes, to: str) -> None:
    assert originate(1, raw, POSTMASTER, [to], ORGANISATION, NOON).message.smtputf8


def test_own_mail_may_be_a_header_alone() -> None:
    assert originate(1, b"From: a@b.example\r\n", "", [CAROL], ORGANISATION, NOON).message.header_size == 19


async def pieces(*sizes: int, fault: Exception | None = None) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"\xff" * size
    if fault:
        raise fault


async def add(queue: Queue, body: AsyncIterator[bytes]) -> None:
    await originate_pieces(queue, 1, HEADER, body, POSTMASTER, [CAROL], ORGANISATION, NOON, journal_of=9)


@pytest.mark.parametrize("sizes", [(), (5,), (CHUNK_BYTES,), (100_000,) * 7, (CHUNK_BYTES * 2 + 1, 3)])
async def test_a_copy_that_comes_in_pieces_is_stored_as_it_came(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]
) -> None:
    whole = HEADER + b"\xff" * sum(sizes)
    put = queue.put
    puts: list[Put] = []

    async def observed(change: Put) -> None:
        puts.append(change)
        await put(change)

    monkeypatch.setattr(queue, "put", observed)
    await add(queue, pieces(*sizes))
    assert await content(queue) == whole
    (copy,) = puts
    expected = originate(1, whole, POSTMASTER, [CAROL], ORGANISATION, NOON).message
    assert copy.message == expected
    assert copy.journal_of == 9
    assert (copy.events[-1].kind, copy.events[-1].message_id) == (EventKind.JOURNALLED, 9)


async def test_nothing_stays_of_a_copy_whose_message_could_not_be_read(queue: Queue, engine: Engine) -> None:
    with pytest.raises(ValueError, match="unreadable"):
        await add(queue, pieces(CHUNK_BYTES, 5, fault=ValueError("unreadable")))
    assert stored_chunks(engine) == 0


@pytest.mark.parametrize("discard_fails", [False, True])
async def test_pieces_of_a_copy_that_can_not_be_put_are_discarded(
    queue: Queue, engine: Engine, monkeypatch: pytest.MonkeyPatch, discard_fails: bool
) -> None:
    async def full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(queue, "put", full)
    if discard_fails:
        monkeypatch.setattr(queue, "discard", full)
    with pytest.raises(StoreUnavailable, match="full"):
        await add(queue, pieces(CHUNK_BYTES * 2))
    assert stored_chunks(engine) == (2 if discard_fails else 0)


async def test_a_copy_whose_commit_only_seemed_to_fail_keeps_its_pieces(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = queue.put

    async def loses_the_answer(change: Put) -> None:
        await put(change)
        raise StoreUnavailable("the connection broke")

    monkeypatch.setattr(queue, "put", loses_the_answer)
    with pytest.raises(StoreUnavailable):
        await add(queue, pieces(CHUNK_BYTES * 2))
    assert await content(queue) == HEADER + b"\xff" * CHUNK_BYTES * 2
