"""What a claim costs: steps in an index, never a look at all that waits."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, text

from outgate.model import QueueKey, QueueKind, TlsDemand
from outgate.queue import Claimed, Room
from outgate.queue.changes import STEP, Claim, Hasten, due_queues
from outgate.store.batch import apply
from outgate.store.engine import read, write
from outgate.store.tables import message, recipient

NOW = 1_800_000_000.0
WAITING = 50_000


def _fill(engine: Engine, queues: Sequence[str], due_at: float) -> None:
    rows = [
        {
            "message_id": number,
            "number": 0,
            "address": "bob@x.example",
            "queue": queues[number % len(queues)],
            "due_at": due_at,
            "held": False,
        }
        for number in range(WAITING)
    ]
    with write(engine) as connection:
        connection.execute(insert(message), [_message(number) for number in range(WAITING)])
        connection.execute(insert(recipient), rows)
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE recipient"))


def _message(identity: int) -> dict[str, object]:
    return {
        "id": identity,
        "chosen_from": "alice@dominiopartner.example",
        "reverse_path": "alice@dominiopartner.example",
        "size": 10,
        "header_size": 4,
        "chunks": 1,
        "body_digest": b"",
        "eight_bit": False,
        "smtputf8": False,
        "protocol": "ESMTPSA",
        "received_at": NOW,
        "rewrite_from": False,
        "journalled": False,
        "tls_demand": TlsDemand.USUAL.value,
    }


def _claim(engine: Engine) -> Claimed:
    with read(engine) as connection:
        due = due_queues(connection, NOW)
    with write(engine) as connection:
        [claimed] = apply(connection, [Claim("node", NOW, 60.0, Room(200, {}), due)])
    assert isinstance(claimed, Claimed)
    return claimed


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """What is executed, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_no_statement_of_a_claim_scans_or_sorts_what_waits(engine: Engine, statements: list[tuple[str, Any]]) -> None:
    _fill(engine, ["mx:slow.example", "gateway:1"], NOW - 1)
    statements.clear()
    claimed = _claim(engine)
    assert claimed.left_behind == {QueueKey(QueueKind.MX, "slow.example"), QueueKey(QueueKind.GATEWAY, "1")}
    assert len(claimed.items) > 20
    asked = [one for one in statements if "recipient" in one[0]]
    assert len(asked) >= 4
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with write(engine) as connection:
        for statement, parameters in asked:
            first: Any = parameters[0] if isinstance(parameters, list) else parameters
            plan = [str(row[-1]) for row in connection.exec_driver_sql(explain + statement, first)]
            assert not [line for line in plan if "SCAN recipient" in line or "Seq Scan on recipient" in line], plan
            assert not [
                line
                for line in plan
                if "TEMP B-TREE" in line and "ORDER BY" in line and "SCAN queues" not in "".join(plan)
            ], plan
            # All that is due in a queue may be a million: who knows the messages looks at these alone.
            of_messages = "message_id IN (" in statement and "ORDER BY" not in statement
            assert not of_messages or not [line for line in plan if "ix_recipient_queue" in line], plan


def test_what_is_hastened_is_looked_at_alone(engine: Engine, statements: list[tuple[str, Any]]) -> None:
    _fill(engine, ["mx:slow.example"], NOW + 60)
    statements.clear()
    with write(engine) as connection:
        [changed] = apply(connection, [Hasten(QueueKey(QueueKind.MX, "slow.example"), NOW)])
    assert changed == STEP
    if engine.dialect.name == "postgresql":
        return  # it goes by its statistics, which change with how much waits
    [(statement, parameters)] = [one for one in statements if one[0].startswith("UPDATE recipient")]
    with write(engine) as connection:
        plan = [str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert "(message_id=?)" in plan[0], plan


@pytest.mark.measures
def test_a_claim_takes_as_long_among_many_that_wait_as_among_few(engine: Engine) -> None:
    few = _seconds(engine)
    _fill(engine, ["mx:slow.example", "gateway:1"], NOW + 1e6)
    many = _seconds(engine)
    assert many < 5 * few + 0.005


def _seconds(engine: Engine) -> float:
    """The best of several, in processor time."""
    taken = []
    for _ in range(10):
        start = time.thread_time()
        _claim(engine)
        taken.append(time.thread_time() - start)
    return min(taken)
