"""The contract of the queue, the same on SQLite and PostgreSQL."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError

from outgate.model import QueueKey, QueueKind
from outgate.queue import Defer, Finish, Item, Message, Put, Queue, Recipient, Room
from outgate.queue.changes import CLAIMED_AT_ONCE, QUEUES_AT_ONCE, STEP, AddChunk
from outgate.queue.mail_queue import KEPT_BYTES
from outgate.record import events, message_log
from outgate.store import tables
from outgate.store.batch import apply
from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.group_commit import GroupCommit

NOW = 1_800_000_000.0
LEASE = 60.0
BOB = "bob@x.example"


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
        envid=None,
        ret=None,
        protocol="ESMTPSA",
        received_at=NOW,
    )
    recipients = [
        Recipient(n, address, QueueKey(QueueKind.MX, "recipient.example"))
        for n, address in enumerate(addresses or ("bob@x.example",))
    ]
    return Put(message, recipients, last, [], due_at)


def finish(item: Item, done: Sequence[int], deferred: Sequence[Defer] = (), by: str = "node") -> Finish:
    passage = events.Passage(item.message.id, "alice@dominiopartner.example", "mx:x.example", "direct")
    fact = events.delivered(passage, NOW, recipient="bob@x.example", by="peer", reply="250 ok", delay=0.5)
    return Finish(item.message.id, done, deferred, [fact], by)


@pytest_asyncio.fixture
async def commits(engine: Engine) -> AsyncIterator[GroupCommit]:
    made = GroupCommit(engine)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def waiting(engine: Engine, commits: GroupCommit) -> AsyncIterator[Queue]:
    queue = Queue(engine, commits, "node", LEASE)
    yield queue
    queue.close()


@pytest_asyncio.fixture
async def other(engine: Engine) -> AsyncIterator[Queue]:
    """Another node's."""
    made = GroupCommit(engine)
    queue = Queue(engine, made, "other", LEASE)
    yield queue
    await made.close()
    queue.close()


@pytest_asyncio.fixture
async def dying(engine: Engine, commits: GroupCommit) -> AsyncIterator[Queue]:
    """A worker's whose leases have run out at once."""
    queue = Queue(engine, commits, "dying", 0.0)
    yield queue
    queue.close()


async def claimed_in_steps(queue: Queue, now: float, room: Room) -> tuple[list[Item], set[QueueKey]]:
    """All that is due, as far as there is room: what came, and the queues in which more is."""
    items, left_behind, queues = list[Item](), set[QueueKey](), await queue.due_queues(now)
    while queues:
        step = await queue.claim(now, room, queues)
        items += step.items
        left_behind |= step.left_behind
        for place in {one.queue for item in step.items for one in item.recipients}:
            room = room.less(place, sum(item.recipients[0].queue == place for item in step.items))
        queues = step.queues
    return items, left_behind


async def claim(queue: Queue, now: float = NOW, places: int = 200) -> list[Item]:
    return (await claimed_in_steps(queue, now, Room(places, {})))[0]


def count(engine: Engine, table: str) -> int:
    with read(engine) as conn:
        return conn.scalar(select(func.count()).select_from(text(table))) or 0


async def content(queue: Queue, item: Item) -> list[bytes]:
    return [piece async for piece in queue.content(item)]


async def test_a_message_that_was_put_is_claimed_with_its_recipients(waiting: Queue) -> None:
    await waiting.put(put(1, "bob@x.example", "carol@x.example"))
    (item,) = await claim(waiting, NOW)
    assert item.message == put(1).message
    assert [recipient.address for recipient in item.recipients] == ["bob@x.example", "carol@x.example"]


async def test_content_comes_back_in_the_pieces_it_was_stored_in(waiting: Queue) -> None:
    await waiting.add_chunk(1, 0, b"first")
    await waiting.add_chunk(1, 1, b"\0\xff second")
    await waiting.put(put(1, chunks=3))
    (item,) = await claim(waiting, NOW)
    assert await content(waiting, item) == [b"first", b"\0\xff second", b"last"]


async def test_what_is_leased_is_not_claimed_again_however_wall_time_jumps(waiting: Queue, other: Queue) -> None:
    await waiting.put(put(1))
    assert len(await claim(waiting)) == 1
    assert [await claim(queue, NOW + jump) for queue in (waiting, other) for jump in (0, LEASE, 1e6)] == [[]] * 6


async def test_what_a_dead_worker_held_is_claimed_when_its_lease_has_run_out(dying: Queue, other: Queue) -> None:
    await dying.put(put(1))
    assert len(await claim(dying)) == 1
    assert len(await claim(other)) == 1


async def test_a_renewed_lease_holds_longer(dying: Queue, other: Queue) -> None:
    await dying.put(put(1))
    await claim(dying)
    dying.lease = LEASE
    await dying.renew([1])
    assert await claim(other) == []


async def test_what_is_given_back_is_claimed_at_once_by_another(waiting: Queue, other: Queue) -> None:
    for identity in (1, 2):
        await waiting.put(put(identity))
    await claim(waiting)
    assert sorted(await waiting.leased()) == [(1, 0), (2, 0)]
    await other.give_back([(1, 0)])  # it was never its own
    assert await claim(other) == []
    await waiting.give_back([(1, 0)])
    assert [item.message.id for item in await claim(other)] == [1]
    assert await waiting.leased() == [(2, 0)]


async def test_what_a_claim_leases_whose_answer_nobody_waits_for_is_among_what_is_leased(waiting: Queue) -> None:
    await waiting.put(put(1))
    queues = await waiting.due_queues(NOW)
    claiming = asyncio.ensure_future(waiting.claim(NOW, Room(10, {}), queues))
    await asyncio.sleep(0)  # it is asked for
    claiming.cancel()
    assert await waiting.leased() == [(1, 0)]


async def test_what_was_released_is_claimed_at_once(waiting: Queue) -> None:
    await waiting.put(put(1))
    await claim(waiting, NOW)
    await waiting.release()
    assert len(await claim(waiting, NOW)) == 1


async def test_nothing_is_claimed_before_it_is_due(waiting: Queue) -> None:
    await waiting.put(put(1, due_at=NOW + 5))
    assert await claim(waiting, NOW) == []
    assert len(await claim(waiting, NOW + 5)) == 1


async def test_a_message_is_gone_when_its_last_recipient_is_done(waiting: Queue, engine: Engine) -> None:
    await waiting.put(put(1, "bob@x.example", "carol@x.example"))
    (item,) = await claim(waiting, NOW)
    await waiting.finish(finish(item, [0]))
    assert (count(engine, "message"), count(engine, "recipient"), count(engine, "chunk")) == (1, 1, 1)
    await waiting.finish(finish(item, [1]))
    assert (count(engine, "message"), count(engine, "recipient"), count(engine, "chunk")) == (0, 0, 0)
    with read(engine) as conn:
        assert [fact.kind for fact in message_log.history(conn, 1)] == ["delivered", "delivered"]


async def test_a_deferred_recipient_comes_back_when_it_is_due_with_its_count(waiting: Queue) -> None:
    await waiting.put(put(1))
    (item,) = await claim(waiting, NOW)
    tried = Recipient(0, "bob@x.example", QueueKey(QueueKind.GATEWAY, "3"), attempts=1)
    await waiting.finish(finish(item, [], [Defer(tried, NOW + 30, "451 later")]))
    assert await claim(waiting, NOW + 29) == []
    (again,) = await claim(waiting, NOW + 30)
    assert again.recipients == (replace(tried, last_reply="451 later"),)


async def test_a_worker_that_lost_its_lease_does_not_put_off_what_another_holds(dying: Queue, other: Queue) -> None:
    await dying.put(put(1))
    (item,) = await claim(dying)
    await claim(other)
    tried = Recipient(0, "bob@x.example", QueueKey(QueueKind.GATEWAY, "3"), attempts=1)
    await dying.finish(finish(item, [], [Defer(tried, NOW + 999, "451 later")], by="dying"))
    await other.give_back([(1, 0)])
    (again,) = await claim(other)
    assert again.recipients[0].attempts == 0


async def test_an_outcome_whose_answer_was_lost_is_found_to_be_committed_or_not(waiting: Queue) -> None:
    await waiting.put(put(1, "bob@x.example", "carol@x.example"))
    (item,) = await claim(waiting)
    tried = Recipient(1, "carol@x.example", QueueKey(QueueKind.GATEWAY, "3"), attempts=1)
    outcome = finish(item, [0], [Defer(tried, NOW + 30, "451 later")])
    assert not await waiting.was_finished(outcome)
    await waiting.finish(outcome)
    assert await waiting.was_finished(outcome)


async def test_an_outcome_is_found_to_be_committed_though_it_was_due_and_claimed_again_before_anybody_asked(
    waiting: Queue,
) -> None:
    await waiting.put(put(1))
    (item,) = await claim(waiting)
    tried = Recipient(0, "bob@x.example", QueueKey(QueueKind.GATEWAY, "3"), attempts=1)
    outcome = finish(item, [], [Defer(tried, NOW + 0.001, "451 later")])
    await waiting.finish(outcome)
    assert await claim(waiting, NOW + 1)
    assert await waiting.was_finished(outcome)


@pytest.mark.parametrize("untried", [False, True])
async def test_an_outcome_is_found_to_be_committed_or_not_whatever_is_hastened_or_tried(
    waiting: Queue, untried: bool
) -> None:
    """What was tried may have been hastened since, and what was not tried has no other count than before."""
    await waiting.put(put(1))
    (item,) = await claim(waiting)
    place = item.recipients[0].queue
    tried = replace(item.recipients[0], attempts=0 if untried else 1)
    outcome = finish(item, [], [Defer(tried, NOW + 30, "451 later", untried)])
    assert not await waiting.was_finished(outcome)
    await waiting.finish(outcome)
    if untried:
        assert await claim(waiting, NOW + 31)
    else:
        await waiting.hasten(place, NOW + 1)
        assert await claim(waiting, NOW + 2)
    assert await waiting.was_finished(outcome)


async def test_two_nodes_never_claim_the_same_message(waiting: Queue, other: Queue) -> None:
    await asyncio.gather(*(waiting.put(put(n)) for n in range(60)))
    claims = [claim(queue, NOW, 70) for _ in range(12) for queue in (waiting, other)]
    claimed = [item.message.id for items in await asyncio.gather(*claims) for item in items]
    left = [item.message.id for item in await claim(waiting)]
    assert sorted(claimed + left) == list(range(60))


def for_many(identity: int, count: int = 12) -> Put:
    """By a user's gateway."""
    gateway = QueueKey(QueueKind.GATEWAY, "1")
    return replace(put(identity), recipients=[Recipient(n, f"r{n}@x.example", gateway) for n in range(count)])


async def test_what_a_gateway_has_to_get_is_claimed_by_whole_messages(waiting: Queue, other: Queue) -> None:
    await asyncio.gather(*(waiting.put(for_many(n)) for n in range(20)))
    claims = [claim(queue, NOW, 10 * places) for places in (1, 3, 5) for queue in (waiting, other)]
    claimed = [item for items in await asyncio.gather(*claims) for item in items]
    claimed += [item for _ in range(20) for item in await claim(waiting, NOW, 100)]
    assert sorted(item.message.id for item in claimed) == list(range(20))
    assert {len(item.recipients) for item in claimed} == {12}


async def test_a_part_of_a_message_knows_until_when_the_others_wait(waiting: Queue) -> None:
    await waiting.put(for_many(1, 3))
    (item,) = await claim(waiting)
    assert await waiting.others_due(item) is None
    await waiting.finish(finish(item, [], [Defer(one, NOW + one.number, "451 later") for one in item.recipients]))
    (part,) = await claim(waiting, NOW)
    assert (len(part.recipients), await waiting.others_due(part)) == (1, NOW + 2)


async def test_what_is_hastened_is_hastened_by_whole_messages(waiting: Queue) -> None:
    await waiting.put(replace(for_many(1, STEP + 1), due_at=NOW + 60))
    await waiting.hasten(QueueKey(QueueKind.GATEWAY, "1"), NOW)
    (item,) = await claim(waiting, NOW)
    assert len(item.recipients) == STEP + 1


class _OneAtATime:
    """A taker with room for one message."""

    def __init__(self) -> None:
        self.reserved: list[int] = []
        self.taken: list[Item] = []

    def reserve(self, put: Put) -> bool:
        if self.reserved:
            return False
        self.reserved.append(put.message.id)
        return True

    def take(self, item: Item) -> None:
        self.taken.append(item)

    def forget(self, put: Put) -> None:
        self.reserved.remove(put.message.id)


async def test_a_message_is_handed_over_in_memory_while_there_is_room(waiting: Queue) -> None:
    taker = _OneAtATime()
    waiting.hand_over_to(taker)
    await asyncio.gather(waiting.put(put(1, last=b"whole")), waiting.put(put(2)))
    assert [(item.message.id, item.content) for item in taker.taken] == [(1, b"whole")]
    assert [item.message.id for item in await claim(waiting)] == [2]


async def test_the_content_of_a_large_message_is_not_kept_in_memory_while_it_waits(waiting: Queue) -> None:
    taker = _OneAtATime()
    waiting.hand_over_to(taker)
    large = b"x" * (KEPT_BYTES + 1)
    await waiting.put(put(1, last=large))
    (item,) = taker.taken
    assert item.content is None
    assert b"".join([piece async for piece in waiting.content(item)]) == large


async def test_the_place_of_a_message_that_could_not_be_stored_is_free_again(waiting: Queue) -> None:
    await waiting.put(put(1))
    taker = _OneAtATime()
    waiting.hand_over_to(taker)
    with pytest.raises(IntegrityError):
        await waiting.put(put(1))
    assert (taker.reserved, taker.taken) == ([], [])


async def test_of_each_queue_no_more_is_claimed_than_there_is_room_for(waiting: Queue) -> None:
    slow, other = QueueKey(QueueKind.GATEWAY, "1"), QueueKey(QueueKind.GATEWAY, "2")
    for number in range(60):
        message = put(number, due_at=NOW - 70 + number / 10)
        await waiting.put(replace(message, recipients=[Recipient(0, "bob@x.example", slow)]))
    await waiting.put(replace(put(99), recipients=[Recipient(0, "bob@x.example", other)]))
    queues = await waiting.due_queues(NOW)
    assert queues == [slow, other]
    claimed = await waiting.claim(NOW, Room(100, {}), queues)
    assert [item.message.id for item in claimed.items] == [*range(10), 99]
    assert (set(claimed.left_behind), claimed.queues) == ({slow}, ())
    assert await waiting.due_queues(NOW) == [slow]
    claimed = await waiting.claim(NOW, Room(89, {slow: 10, other: 1}), [slow])
    assert not claimed.items
    assert (set(claimed.left_behind), claimed.queues) == ({slow}, ())


async def test_a_claim_goes_in_steps_of_few_messages_and_few_queues(waiting: Queue) -> None:
    places = [QueueKey(QueueKind.GATEWAY, str(number)) for number in range(20)]
    for number in range(200):
        place = places[0] if number < 120 else places[number % 20]
        await waiting.put(replace(put(number, due_at=NOW - 200 + number), recipients=[Recipient(0, BOB, place)]))
    every = await waiting.due_queues(NOW)
    assert (every[0], set(every)) == (places[0], set(places))
    first = await waiting.claim(NOW, Room(2000, {}), every)
    assert [item.message.id for item in first.items] == list(range(CLAIMED_AT_ONCE))
    assert (first.left_behind, first.queues) == (frozenset(), (*every[1:], every[0]))
    second = await waiting.claim(NOW, Room(2000 - CLAIMED_AT_ONCE, {places[0]: CLAIMED_AT_ONCE}), first.queues)
    assert second.queues == first.queues[QUEUES_AT_ONCE:]
    assert {one.queue for item in second.items for one in item.recipients} == set(first.queues[:QUEUES_AT_ONCE])


@pytest.mark.parametrize("kind", [QueueKind.GATEWAY, QueueKind.COMMON_GATEWAY, QueueKind.MX, QueueKind.DOMAIN_GATEWAY])
@pytest.mark.parametrize("ahead", [0, CLAIMED_AT_ONCE - 5])
async def test_a_message_for_more_than_a_step_is_claimed_whole(waiting: Queue, kind: QueueKind, ahead: int) -> None:
    place, first = QueueKey(kind, "" if kind is QueueKind.DOMAIN_GATEWAY else "1"), QueueKey(QueueKind.GATEWAY, "9")
    for number in range(ahead):
        one = put(number, due_at=NOW - 9)
        await waiting.put(replace(one, recipients=[Recipient(0, BOB, first)]))
    many = [Recipient(number, f"u{number}@x.example", place) for number in range(3 * CLAIMED_AT_ONCE)]
    await waiting.put(replace(put(999, due_at=NOW - 1), recipients=many))
    items, _ = await claimed_in_steps(waiting, NOW, Room(5000, {}))
    assert [len(item.recipients) for item in items if item.message.id == 999] == [len(many)]


@pytest.mark.parametrize("places", [1, 15, 100, 2000])
async def test_a_claims_steps_bring_of_each_queue_what_there_is_room_for(waiting: Queue, places: int) -> None:
    each = {QueueKey(QueueKind.GATEWAY, str(number)): 3 * number for number in range(1, 20)}
    for place, count_of_it in each.items():
        for number in range(count_of_it):
            one = put(1000 * int(place.name) + number, due_at=NOW - 1000 + int(place.name))
            await waiting.put(replace(one, recipients=[Recipient(0, BOB, place)]))
    expected, full, room = dict[QueueKey, int](), set[QueueKey](), Room(places, {})
    for place, count_of_it in each.items():
        if room.of(place) <= count_of_it:
            full.add(place)
        expected[place] = min(count_of_it, room.of(place))
        room = room.less(place, expected[place])
    items, left_behind = await claimed_in_steps(waiting, NOW, Room(places, {}))
    assert len({item.message.id for item in items}) == len(items)
    assert Counter(one.queue for item in items for one in item.recipients) == Counter(expected)
    assert left_behind == full


async def test_discarding_leaves_the_content_of_what_is_in_the_queue_after_all(waiting: Queue) -> None:
    await waiting.add_chunk(1, 0, b"first")
    await waiting.put(put(1, chunks=2))
    await waiting.discard(1)  # by a session that never heard of the commit
    (item,) = await claim(waiting)
    assert await content(waiting, item) == [b"first", b"last"]


async def test_one_bad_change_does_not_fail_its_neighbours(engine: Engine, commits: GroupCommit) -> None:
    await commits.make(put(1))
    answers = await asyncio.gather(*(commits.make(put(n)) for n in (2, 1, 3)), return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert count(engine, "message") == 3


async def test_a_store_that_fails_says_so_to_everybody_who_waits(engine: Engine, commits: GroupCommit) -> None:
    with write(engine) as conn:
        conn.execute(text("ALTER TABLE chunk RENAME TO elsewhere"))
    answers = await asyncio.gather(*(commits.make(put(n)) for n in range(3)), return_exceptions=True)
    assert all(isinstance(answer, Exception) for answer in answers)
    with write(engine) as conn:
        conn.execute(text("ALTER TABLE elsewhere RENAME TO chunk"))
    await commits.make(put(9))
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
    items = await claim(waiting, NOW)
    assert {one.message.id: one.message.journalled for one in items} == {1: True, 2: False, 3: False}


async def test_two_nodes_that_finish_the_last_two_recipients_at_once_leave_nothing(
    waiting: Queue, engine: Engine
) -> None:
    """Each would see the other's row, and leave message and content for ever."""
    await waiting.put(put(1, "bob@x.example", "carol@x.example"))
    (item,) = await claim(waiting)

    def second() -> None:
        with write(engine) as connection:
            apply(connection, [finish(item, [1], by="other")])

    def both() -> None:
        node = threading.Thread(target=second)
        with write(engine) as connection:
            apply(connection, [finish(item, [0])])
            node.start()
            node.join(0.5)  # it has to wait for this commit
            assert node.is_alive()
        node.join()

    await asyncio.to_thread(both)
    with read(engine) as connection:
        for table in (tables.recipient, tables.message, tables.chunk):
            assert connection.scalar(select(func.count()).select_from(table)) == 0


async def test_a_turn_that_can_not_be_had_is_told_to_who_waits_and_the_next_is_served(commits: GroupCommit) -> None:
    class Broken:
        def __enter__(self) -> None:
            raise OSError("no locks available")

        def __exit__(self, *_: object) -> None:
            """Never entered."""

    turn, commits._turn = commits._turn, Broken()  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable, match="no locks"):
        await asyncio.wait_for(commits.make(put(1)), 10)
    commits._turn = turn
    await asyncio.wait_for(commits.make(put(2)), 10)
