"""The contract of the queue, the same on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError

from outgate.queue import Defer, Finish, Item, Message, Put, Queue, Recipient
from outgate.queue.changes import AddChunk
from outgate.queue.group_commit import GroupCommit
from outgate.record import events, message_log
from outgate.store import tables
from outgate.store.engine import StoreUnavailable, read, write

NOW = 1_800_000_000.0
LEASE = 60.0


def put(identity: int, *addresses: str, chunks: int = 1, last: bytes = b"last", due_at: float = NOW) -> Put:
    message = Message(
        id=identity,
        account_id=7,
        chosen_from="alice@dominiopartner.example",
        reverse_path="alice@dominiopartner.example",
        size=10,
        header_size=4,
        chunks=chunks,
        body_digest=b"\0" * 32,
        eight_bit=False,
        smtputf8=False,
        automatic=False,
        envid=None,
        ret=None,
        protocol="ESMTPSA",
        received_at=NOW,
    )
    recipients = [
        Recipient(n, address, "mx:recipient.example") for n, address in enumerate(addresses or ("bob@x.example",))
    ]
    return Put(message, recipients, last, [], due_at)


def finish(item: Item, done: Sequence[int], deferred: Sequence[Defer] = (), by: str = "node") -> Finish:
    passage = events.Passage(item.message.id, "alice@dominiopartner.example", "mx:x.example", "direct")
    fact = events.delivered(passage, NOW, recipient="bob@x.example", by="peer", reply="250 ok", delay=0.5)
    return Finish(item.message.id, done, deferred, [fact], by)


@pytest_asyncio.fixture
async def waiting(engine: Engine) -> AsyncIterator[Queue]:
    queue = Queue(engine, "node", LEASE)
    yield queue
    await queue.close()


def count(engine: Engine, table: str) -> int:
    with read(engine) as conn:
        return conn.scalar(select(func.count()).select_from(text(table))) or 0


async def content(queue: Queue, item: Item) -> list[bytes]:
    return [piece async for piece in queue.content(item)]


async def test_a_message_that_was_put_is_claimed_with_its_recipients(waiting: Queue) -> None:
    await waiting.put(put(1, "bob@x.example", "carol@x.example"))
    (item,) = await waiting.claim(NOW, 10)
    assert item.message == put(1).message
    assert [recipient.address for recipient in item.recipients] == ["bob@x.example", "carol@x.example"]


async def test_content_comes_back_in_the_pieces_it_was_stored_in(waiting: Queue) -> None:
    await waiting.add_chunk(1, 0, b"first")
    await waiting.add_chunk(1, 1, b"\0\xff second")
    await waiting.put(put(1, chunks=3))
    (item,) = await waiting.claim(NOW, 10)
    assert await content(waiting, item) == [b"first", b"\0\xff second", b"last"]


async def test_what_is_leased_is_not_claimed_again_before_the_lease_runs_out(waiting: Queue) -> None:
    await waiting.put(put(1))
    assert len(await waiting.claim(NOW, 10)) == 1
    assert await waiting.claim(NOW + LEASE - 1, 10) == []
    assert len(await waiting.claim(NOW + LEASE, 10)) == 1


async def test_a_renewed_lease_holds_longer(waiting: Queue) -> None:
    await waiting.put(put(1))
    await waiting.claim(NOW, 10)
    await waiting.renew([1], NOW + 1000)
    assert await waiting.claim(NOW + LEASE, 10) == []


async def test_what_was_released_is_claimed_at_once(waiting: Queue) -> None:
    await waiting.put(put(1))
    await waiting.claim(NOW, 10)
    await waiting.release()
    assert len(await waiting.claim(NOW, 10)) == 1


async def test_nothing_is_claimed_before_it_is_due(waiting: Queue) -> None:
    await waiting.put(put(1, due_at=NOW + 5))
    assert await waiting.claim(NOW, 10) == []
    assert len(await waiting.claim(NOW + 5, 10)) == 1


async def test_a_message_is_gone_when_its_last_recipient_is_done(waiting: Queue, engine: Engine) -> None:
    await waiting.put(put(1, "bob@x.example", "carol@x.example"))
    (item,) = await waiting.claim(NOW, 10)
    await waiting.finish(finish(item, [0]))
    assert (count(engine, "message"), count(engine, "recipient"), count(engine, "chunk")) == (1, 1, 1)
    await waiting.finish(finish(item, [1]))
    assert (count(engine, "message"), count(engine, "recipient"), count(engine, "chunk")) == (0, 0, 0)
    with read(engine) as conn:
        assert [fact.kind for fact in message_log.history(conn, 1)] == ["delivered", "delivered"]


async def test_a_deferred_recipient_comes_back_when_it_is_due_with_its_count(waiting: Queue) -> None:
    await waiting.put(put(1))
    (item,) = await waiting.claim(NOW, 10)
    tried = Recipient(0, "bob@x.example", "gateway:3", attempts=1)
    await waiting.finish(finish(item, [], [Defer(tried, NOW + 30, "451 later")]))
    assert await waiting.claim(NOW + 29, 10) == []
    (again,) = await waiting.claim(NOW + 30, 10)
    assert again.recipients == (tried,)


async def test_a_worker_that_lost_its_lease_does_not_put_off_what_another_holds(engine: Engine, waiting: Queue) -> None:
    other = Queue(engine, "other", LEASE)
    await waiting.put(put(1))
    (item,) = await waiting.claim(NOW, 10)
    await other.claim(NOW + LEASE, 10)
    tried = Recipient(0, "bob@x.example", "gateway:3", attempts=1)
    await waiting.finish(finish(item, [], [Defer(tried, NOW + 999, "451 later")]))
    (again,) = await other.claim(NOW + 2 * LEASE, 10)
    assert again.recipients[0].attempts == 0
    await other.close()


async def test_two_nodes_never_claim_the_same_message(engine: Engine, waiting: Queue) -> None:
    other = Queue(engine, "other", LEASE)
    await asyncio.gather(*(waiting.put(put(n)) for n in range(60)))
    claims = [queue.claim(NOW, 7) for _ in range(12) for queue in (waiting, other)]
    claimed = [item.message.id for items in await asyncio.gather(*claims) for item in items]
    left = [item.message.id for item in await waiting.claim(NOW, 100)]
    assert sorted(claimed + left) == list(range(60))
    await other.close()


async def test_a_message_is_handed_over_in_memory_while_there_is_room(waiting: Queue) -> None:
    taken: list[Item] = []
    waiting.hand_over_to(taken.append, lambda: not taken)
    await waiting.put(put(1, last=b"whole"))
    await waiting.put(put(2))
    assert [(item.message.id, item.content) for item in taken] == [(1, b"whole")]
    assert [item.message.id for item in await waiting.claim(NOW, 10)] == [2]


async def test_one_bad_change_does_not_fail_its_neighbours(engine: Engine) -> None:
    commits = GroupCommit(engine)
    await commits.make(put(1))
    answers = await asyncio.gather(*(commits.make(put(n)) for n in (2, 1, 3)), return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    await commits.close()
    assert count(engine, "message") == 3


async def test_a_store_that_fails_says_so_to_everybody_who_waits(engine: Engine) -> None:
    commits = GroupCommit(engine)
    with write(engine) as conn:
        conn.execute(text("ALTER TABLE chunk RENAME TO elsewhere"))
    answers = await asyncio.gather(*(commits.make(put(n)) for n in range(3)), return_exceptions=True)
    assert all(isinstance(answer, Exception) for answer in answers)
    with write(engine) as conn:
        conn.execute(text("ALTER TABLE elsewhere RENAME TO chunk"))
    await commits.make(put(9))
    await commits.close()
    assert count(engine, "message") == 1


async def test_close_commits_what_was_asked_for(engine: Engine) -> None:
    commits = GroupCommit(engine)
    answers = [commits.make(put(n)) for n in range(20)]
    await commits.close()
    await asyncio.gather(*answers)
    assert count(engine, "message") == 20


async def test_pieces_of_a_message_that_never_came_whole_are_swept(waiting: Queue, engine: Engine) -> None:
    await waiting.add_chunk(1, 0, b"orphan")
    await waiting.add_chunk(2, 0, b"whole")
    await waiting.put(put(2, chunks=2))
    await waiting.add_chunk(50, 0, b"still arriving")
    await waiting.sweep(before=50)
    with read(engine) as conn:
        assert sorted(set(conn.scalars(select(tables.chunk.c.message_id)))) == [2, 50]


async def test_discarded_pieces_are_gone(waiting: Queue, engine: Engine) -> None:
    await waiting.add_chunk(1, 0, b"half")
    await waiting.discard(1)
    assert count(engine, "chunk") == 0


def test_a_locked_sqlite_database_is_reported_as_unavailable(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return  # PostgreSQL locks rows, not the database
    with engine.connect() as quick:
        quick.exec_driver_sql("SELECT 1")
    with write(engine), pytest.raises(StoreUnavailable, match="locked"):
        _write_without_patience(engine)


def _write_without_patience(engine: Engine) -> None:
    with engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA busy_timeout = 10")
        conn.rollback()
        conn.execution_options(outgate_writes=True)
        with conn.begin():
            conn.execute(tables.chunk.insert(), {"message_id": 1, "number": 0, "data": AddChunk(1, 0, b"x").data})


async def test_a_journal_copy_and_the_note_of_it_are_one_transaction(waiting: Queue) -> None:
    for identity in (1, 2):
        await waiting.put(put(identity))
    await waiting.put(replace(put(3), journal_of=1))
    with pytest.raises(IntegrityError):
        await waiting.put(replace(put(3), journal_of=2))  # it can't be stored: there is one of this id
    items = await waiting.claim(NOW, 10)
    assert {one.message.id: one.message.journalled for one in items} == {1: True, 2: False, 3: False}
