"""Changes of much waiting mail at once: made after the commit of the operation that asks for them, in steps with room
between, so that no submission waits, and the operation itself (the switch, say) is never lost behind them.

A step that finds the database in use is tried again. What is not done in the end is no loss: each message is decided
again at its next attempt anyway.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, Engine

from outgate.queue import admin
from outgate.queue.admin import Selection
from outgate.store.engine import StoreUnavailable, read
from outgate.store.writers_turn import WritersTurn

PAUSE: Final = 0.02  # seconds between two steps, at least
TRIES: Final = 3
MANY: Final = 10  # senders: more of them are found in one look at all that waits

StepChange = Callable[[Connection, Selection], int]


@dataclass(slots=True)
class LaterChange:
    """What is to be done with the waiting mail that is wanted; `recipients` counts what was done."""

    change: StepChange
    wanted: Selection
    recipients: int = 0


def reconsider(now: float, wanted: Selection) -> LaterChange:
    """Have mail decided again soon: something that its route depends on has changed."""
    return LaterChange(lambda connection, step: admin.retry(connection, step, now), wanted)


def carry_out(engine: Engine, changes: Sequence[LaterChange], pause: float = PAUSE) -> None:
    """Make the changes, step by step."""
    if len(changes) > MANY:
        changes = [replace(changes[0], wanted=Selection())]
    with closing(WritersTurn.joined(engine)) as turn:
        for change in changes:
            _carry_out(engine, turn, change, pause)


def _carry_out(engine: Engine, turn: WritersTurn, change: LaterChange, pause: float) -> None:
    after = -1
    while (last := _end_of_step(engine, after)) is not None:
        began = time.monotonic()
        change.recipients += _step(engine, turn, change, replace(change.wanted, within=(after + 1, last)))
        after = last
        time.sleep(max(pause, time.monotonic() - began))


def _end_of_step(engine: Engine, after: int) -> int | None:
    try:
        with read(engine) as connection:
            return admin.end_of_step(connection, after)
    except StoreUnavailable:
        return None


def _step(engine: Engine, turn: WritersTurn, change: LaterChange, wanted: Selection) -> int:
    for _ in range(TRIES):
        try:
            with turn.begun(engine) as connection:
                return change.change(connection, wanted)
        except StoreUnavailable:
            continue
    return 0
