"""What is counted of a queue is read from its index alone; an address is found by its own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, insert

from outgate.queue import admin
from outgate.queue.census import Trouble, census, trouble
from outgate.sendas import send_as_addresses
from outgate.store.engine import read, write
from outgate.store.tables import recipient
from store.plans import Asked, noted, plans, settle

NOW = 1_800_000_000.0
WAITING = 5000


@pytest.fixture
def crowded(engine: Engine) -> Engine:
    """Many recipients, in few queues."""
    rows = [
        {"message_id": n // 2, "number": n % 2, "address": "b@x.example", "queue": f"mx:{n % 7}.example", "due_at": NOW}
        for n in range(WAITING)
    ]
    with write(engine) as connection:
        connection.execute(insert(recipient), [row | {"held": row["number"] == 1} for row in rows])
    settle(engine, "recipient")
    return engine


@pytest.fixture
def asked(crowded: Engine) -> Iterator[Asked]:
    """What is executed, with its parameters."""
    with noted(crowded) as seen:
        yield seen


def test_a_count_of_the_queues_reads_the_index_alone(crowded: Engine, asked: Asked) -> None:
    with read(crowded) as connection:
        counted = list(admin.count(connection))
    assert sum(one.recipients for one in counted) == 0  # no message belongs to these rows
    [plan] = plans(crowded, [one for one in asked if "count(" in one[0].lower()], "recipient")
    alone = "COVERING INDEX ix_recipient_queue" if crowded.dialect.name == "sqlite" else "Index Only Scan"
    assert alone in plan, plan


def test_how_it_stands_is_found_without_a_look_at_the_rows(crowded: Engine, asked: Asked) -> None:
    with read(crowded) as connection:
        assert census(connection).recipients == WAITING
    for plan in plans(crowded, asked, "recipient"):
        assert "Seq Scan" not in plan, plan
        assert "SCAN recipient" not in plan or "COVERING INDEX" in plan, plan


def test_what_is_told_of_a_queue_is_all_of_one_recipient(engine: Engine) -> None:
    """Also where several were put off together, whatever the order they were written in."""
    common = {"address": "b@x.example", "queue": "gateway:1", "due_at": NOW}
    rows = [common | {"message_id": n // 2, "number": n % 2} for n in (1, 3, 0, 2)]
    tried = [{"attempts": 9 - n, "last_reply": f"450 {n}"} for n in (1, 3, 0, 2)]
    with write(engine) as connection:
        connection.execute(insert(recipient), [one | two for one, two in zip(rows, tried, strict=True)])
    with read(engine) as connection:
        assert trouble(connection, "gateway:1") == Trouble("gateway:1", 6, "450 3", NOW)


def test_who_has_an_address_is_found_by_its_index(crowded: Engine, asked: Asked) -> None:
    with read(crowded) as connection:
        assert send_as_addresses.holders(connection, "sales@example.com") == ()
    [plan] = plans(crowded, asked, "send_as")
    assert "ix_send_as_search" in plan, plan
