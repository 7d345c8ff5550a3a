"""What an administrator does with waiting mail, on both databases."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, update

from outgate.model import Organisation
from outgate.queue import Claimed, Item, Room, admin
from outgate.queue.admin import Selection, Waiting
from outgate.queue.changes import Claim, due_queues
from outgate.record import message_log
from outgate.store.batch import apply
from outgate.store.engine import read, write
from outgate.store.lease_clock import LeaseNow
from outgate.store.tables import recipient
from outgate.submit import originate

NOW = 1_800_000_000.0
EVERYTHING = Selection()
ORGANISATION = Organisation(frozenset({"example.com"}))


def _put(engine: Engine, identity: int, *to: str, sender: str = "postmaster@example.com") -> None:
    raw = b"From: postmaster@example.com\r\n\r\nx\r\n"
    with write(engine) as connection:
        apply(connection, [originate(identity, raw, sender, to, ORGANISATION, NOW + identity)])


def _lease(engine: Engine, address: str) -> None:
    with write(engine) as connection:
        connection.execute(
            update(recipient).where(recipient.c.address == address).values(leased_until=LeaseNow() + 900)
        )


def _waiting(engine: Engine, wanted: Selection = EVERYTHING, limit: int = 100) -> Sequence[Waiting]:
    with read(engine) as connection:
        return list(admin.waiting(connection, wanted, NOW, limit))


def test_waiting_is_in_order_and_limited(engine: Engine) -> None:
    _put(engine, 2, "b@recipient.example")
    _put(engine, 1, "a@recipient.example", "bob@example.com")
    _lease(engine, "bob@example.com")
    found = _waiting(engine)
    assert [(one.message_id, one.recipient, one.queue, one.in_transfer) for one in found] == [
        (1, "a@recipient.example", "mx:recipient.example", False),
        (1, "bob@example.com", "local", True),
        (2, "b@recipient.example", "mx:recipient.example", False),
    ]
    assert (found[0].sender, found[0].account_id, found[0].received_at) == ("postmaster@example.com", None, NOW + 1)
    assert len(_waiting(engine, limit=1)) == 1


def test_a_selection_narrows(engine: Engine) -> None:
    _put(engine, 1, "a@recipient.example", "bob@example.com")
    _put(engine, 2, "a_b@recipient.example", sender="lists@example.com")
    assert len(_waiting(engine, Selection(message_id=1))) == 2
    assert len(_waiting(engine, Selection(queue="local"))) == 1
    assert [one.message_id for one in _waiting(engine, Selection(address="LISTS@"))] == [2]
    assert [one.message_id for one in _waiting(engine, Selection(address="a_b@"))] == [2], "_ is no wildcard"


def test_count_groups_by_queue(engine: Engine) -> None:
    _put(engine, 1, "a@recipient.example", "b@recipient.example", "bob@example.com")
    _put(engine, 2, "a@recipient.example")
    with write(engine) as connection:
        admin.hold(connection, Selection(message_id=2), NOW, "admin")
        counts = list(admin.count(connection))
    assert counts == [
        admin.Count("mx:recipient.example", 2, 3, 1, NOW + 1),
        admin.Count("local", 1, 1, 0, NOW + 1),
    ]


def test_hasten_makes_due_what_neither_is_held_nor_in_transfer(engine: Engine) -> None:
    _put(engine, 1, "held@recipient.example", "leased@recipient.example", "idle@recipient.example")
    _lease(engine, "leased@recipient.example")
    with write(engine) as connection:
        connection.execute(update(recipient).values(due_at=NOW + 500))
        admin.hold(connection, Selection(address="held@"), NOW, "admin")
        assert admin.retry(connection, EVERYTHING, NOW) == 1
    assert [one.due_at - NOW for one in _waiting(engine)] == [500, 500, 0]


def test_release_makes_due_what_was_held(engine: Engine) -> None:
    _put(engine, 1, "a@recipient.example")
    with write(engine) as connection:
        assert admin.hold(connection, EVERYTHING, NOW, "admin") == 1
        assert admin.hold(connection, EVERYTHING, NOW, "admin") == 0
        assert not _claim(connection)
        assert admin.release(connection, EVERYTHING, NOW, "admin") == 1
        items = _claim(connection)
    assert [one.message.id for one in items] == [1]


def _claim(connection: Connection) -> Sequence[Item]:
    [claimed] = apply(connection, [Claim("w", NOW + 99, 900.0, Room(100, {}), due_queues(connection, NOW + 99))])
    assert isinstance(claimed, Claimed)
    return claimed.items


def test_remove_leaves_what_is_in_transfer_and_records_the_rest(engine: Engine) -> None:
    _put(engine, 1, "a@recipient.example", "b@recipient.example")
    _put(engine, 2, "a@recipient.example")
    _lease(engine, "b@recipient.example")
    with write(engine) as connection:
        assert admin.remove(connection, EVERYTHING, NOW) == 2
    assert [(one.message_id, one.recipient) for one in _waiting(engine)] == [(1, "b@recipient.example")]
    with read(engine) as connection:
        last = message_log.history(connection, 2)[-1]
    assert (last.kind, last.detail["reason"]) == ("bounced", admin.DELETED)
