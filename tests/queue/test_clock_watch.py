"""A clock that is set back makes nothing wait longer than the schedule's longest pause."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, insert, select

from outgate.directory import nodes
from outgate.directory.nodes import GoesBy
from outgate.queue.clock_watch import STEP, ClockWatch
from outgate.store.engine import read, write
from outgate.store.tables import recipient

NOW = 1_800_000_000.0
LONGEST = 14_400.0
DAY = 86_400.0


def _wait(engine: Engine, due_at: Sequence[float], queue: str = "mx:x.example", *, held: bool = False) -> None:
    with write(engine) as connection:
        first = connection.scalar(select(recipient.c.message_id).order_by(recipient.c.message_id.desc()).limit(1)) or 0
        rows = [
            {
                "message_id": first + 1 + i,
                "number": 0,
                "address": "a@x.example",
                "queue": queue,
                "due_at": at,
                "held": held,
            }
            for i, at in enumerate(due_at)
        ]
        connection.execute(insert(recipient), rows)


def _due(engine: Engine) -> list[float]:
    with read(engine) as connection:
        return list(connection.scalars(select(recipient.c.due_at - NOW).order_by(recipient.c.message_id)))


@pytest.mark.parametrize("back", [3 * 3600.0, DAY, 400 * DAY])
async def test_what_was_put_off_before_the_clock_was_set_back_is_tried_now(engine: Engine, back: float) -> None:
    _wait(engine, [NOW + back + LONGEST, NOW + back + LONGEST])
    _wait(engine, [NOW + back + LONGEST], "gateway:7")
    assert await ClockWatch(engine, lambda _: LONGEST, lambda: NOW).look() == 3
    assert _due(engine) == [0, 0, 0]


async def test_what_waits_by_its_schedule_and_what_is_held_stays(engine: Engine) -> None:
    _wait(engine, [NOW - 5, NOW + 60, NOW + LONGEST])
    _wait(engine, [NOW + DAY], held=True)
    assert await ClockWatch(engine, lambda _: LONGEST, lambda: NOW).look() == 0
    assert _due(engine) == [-5, 60, LONGEST, DAY]


async def test_many_are_changed_in_steps(engine: Engine) -> None:
    _wait(engine, [NOW + DAY] * (2 * STEP + 1))
    assert await ClockWatch(engine, lambda _: LONGEST, lambda: NOW).look(0.0) == 2 * STEP + 1
    assert set(_due(engine)) == {0}


def test_a_node_that_was_heard_of_in_the_future_is_not_waited_for(engine: Engine) -> None:
    with write(engine) as connection:
        GoesBy("gone", 1, NOW + DAY).answer(connection)
        GoesBy("there", 1, NOW - 1).answer(connection)
        assert nodes.behind(connection, 2, NOW) == ["there"]
