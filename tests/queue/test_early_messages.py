"""A message that may not leave before a time (RFC 4865) does not, whoever asks; then it is like all others."""

import pytest
from sqlalchemy import Engine, update

from outgate.model import QueueKey, QueueKind
from outgate.queue import Message, Put, Recipient, admin
from outgate.queue.admin import Selection
from outgate.queue.census import trouble
from outgate.queue.changes import Claim, Hasten, due_queues
from outgate.queue.clock_watch import ClockWatch
from outgate.queue.entry import Instruction, Room
from outgate.store import tables
from outgate.store.batch import apply
from outgate.store.engine import read, write

NOW = 1_800_000_000.0
LATER = NOW + 7 * 86400.0
ALL = Selection()


def put(identity: int, due_at: float = NOW, not_before: float | None = None) -> Put:
    message = Message(
        id=identity,
        account_id=7,
        chosen_from="alice@dominiopartner.example",
        reverse_path="alice@dominiopartner.example",
        size=10,
        header_size=4,
        chunks=1,
        body_digest=b"\0" * 32,
        eight_bit=False,
        smtputf8=False,
        envid=None,
        ret=None,
        protocol="ESMTPSA",
        received_at=NOW,
        not_before=not_before,
    )
    recipient = Recipient(0, "bob@x.example", QueueKey(QueueKind.MX, "recipient.example"))
    return Put(message, [recipient], b"last", [], due_at)


def early(identity: int) -> Put:
    return put(identity, due_at=LATER, not_before=LATER)


def claimed(engine: Engine, now: float) -> list[int]:
    with write(engine) as connection:
        found = Claim("node", now, 60.0, Room(100, {}), due_queues(connection, now)).answer(connection)
    return [item.message.id for item in found.items]


def test_nobody_claims_it_before_its_time(engine: Engine) -> None:
    with write(engine) as connection:
        apply(connection, [early(1), put(2)])
    assert claimed(engine, NOW + 1) == [2]
    assert claimed(engine, LATER) == [1]


def test_neither_a_retry_nor_a_release_lets_it_leave(engine: Engine) -> None:
    with write(engine) as connection:
        apply(connection, [early(1), put(2, due_at=NOW + 60)])
        assert admin.retry(connection, ALL, NOW) == 1
        assert admin.hold(connection, ALL, NOW, "admin") == 2
        assert admin.release(connection, ALL, NOW, "admin") == 2
    assert claimed(engine, NOW + 1) == [2]


def test_a_destination_that_is_back_hastens_only_what_may_leave(engine: Engine) -> None:
    queue = put(1).recipients[0].queue
    with write(engine) as connection:
        apply(connection, [early(1), put(2, due_at=NOW + 60), put(3, due_at=NOW + 60, not_before=NOW - 60)])
        assert Hasten(queue, NOW).answer(connection) == 2
    assert claimed(engine, NOW + 1) == [2, 3]


@pytest.mark.parametrize("instruction", [Instruction.DIRECT, Instruction.ORGANISATION, None])
def test_another_way_does_not_let_it_leave(engine: Engine, instruction: Instruction | None) -> None:
    with write(engine) as connection:
        apply(connection, [early(1), put(2, due_at=NOW + 60)])
        assert admin.instruct(connection, ALL, instruction, NOW, "admin") == 2
    assert claimed(engine, NOW + 1) == [2]
    assert claimed(engine, LATER) == [1]


def test_it_is_returned_at_once_if_it_is_not_to_leave_at_all(engine: Engine) -> None:
    with write(engine) as connection:
        apply(connection, [early(1)])
        assert admin.instruct(connection, ALL, Instruction.RETURN, NOW, "admin") == 1
    assert claimed(engine, NOW + 1) == [1]


async def test_a_clock_that_was_set_back_does_not_hasten_it(engine: Engine) -> None:
    with write(engine) as connection:
        apply(connection, [early(1), put(2, due_at=LATER)])
    assert await ClockWatch(engine, lambda _: 14400.0, lambda: NOW).look(0.0) == 1
    assert claimed(engine, NOW + 1) == [2]


def test_it_hides_no_trouble_of_its_queue(engine: Engine) -> None:
    tried = update(tables.recipient).where(tables.recipient.c.message_id == 2)
    with write(engine) as connection:
        apply(connection, [early(1), put(2, due_at=NOW + 60)])
        connection.execute(tried.values(attempts=1, last_reply="535 no"))
    with read(engine) as connection:
        found = trouble(connection, "mx:recipient.example")
    assert found is not None
    assert found.last_reply == "535 no"


def test_its_time_counts_from_when_it_may_leave() -> None:
    assert early(1).message.waits_since == LATER
    assert put(2).message.waits_since == NOW
