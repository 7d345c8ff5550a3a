"""Who reads the record on from where it was complete misses no row, however late it appears."""

import pytest
from sqlalchemy import Connection, Engine, insert

from outgate.operations import message_log_operations
from outgate.operations.actor import Actor
from outgate.operations.context import reading
from outgate.record import message_log
from outgate.record.record_horizon import RecordHorizon, complete_row
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.store.vault import Vault

# SQLite has one writer at a time.
on_postgresql = pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)


def note(connection: Connection, message_id: int) -> None:
    row = {"message_id": message_id, "at": 0.0, "kind": "bounced", "detail": "{}"}
    connection.execute(insert(tables.fact).values(row))


def test_at_rest_the_record_is_complete_at_once(engine: Engine) -> None:
    assert complete_row(engine, 0) == 0
    with write(engine) as connection:
        note(connection, 1)
        note(connection, 2)
        newest = message_log.newest(connection)
    assert complete_row(engine, 0) == newest


@on_postgresql
def test_whoever_follows_sees_a_row_that_appears_behind_a_later_one(engine: Engine, vault: Vault) -> None:
    def followed(after: int | None) -> tuple[int, list[int]]:
        complete = complete_row(engine, 0)
        with reading(engine, vault, Actor.console("root"), 0.0) as op:
            tail = message_log_operations.latest(op, (after or 0) if complete is None else complete, after)
        return tail.after, [event.message_id for event in tail.events]

    after, _ = followed(None)
    with engine.connect() as slow, slow.begin():
        note(slow, 1)  # it has its number now
        with write(engine) as connection:
            note(connection, 2)
        assert followed(after) == (after, []), "a row before it may still appear"
    assert followed(after)[1] == [1, 2]


@on_postgresql
def test_others_that_have_begun_to_write_since_are_not_waited_for(engine: Engine) -> None:
    horizon = RecordHorizon()

    def look() -> int | None:
        with read(engine) as connection:
            return horizon.look(connection)

    with engine.connect() as second:
        with engine.connect() as first, first.begin():
            note(first, 1)
            with write(engine) as connection:
                note(connection, 2)
                newest = message_log.newest(connection)
            assert look() is None
            second.begin()
            note(second, 3)
            assert look() is None
        assert look() == newest
        assert look() == newest
    assert look() == newest
