"""Much waiting mail is changed in steps, after the commit of what asked for it; and only the mail that is meant."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest
from sqlalchemy import Connection, Engine, event, insert, select

from outgate.directory import policies, units
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.operations import (
    context,
    gateway_operations,
    policy_operations,
    queue_operations,
    user_operations,
)
from outgate.operations.actor import Actor
from outgate.queue import admin
from outgate.queue.admin import STEP, Selection
from outgate.sendas import send_as_addresses, verification
from outgate.store.engine import StoreUnavailable, execute_many, read, write
from outgate.store.tables import message, recipient
from outgate.store.vault import Vault

NOW = 1_800_000_000.0
LATER = NOW + 5000
CONSOLE = Actor.console("root")
PARTNER = "alice@partner.example"


def _wait(engine: Engine, account_id: int | None, chosen_from: str, first: int, count: int, of_each: int = 1) -> None:
    """Messages of one sender that wait for `LATER`."""
    with write(engine) as connection:
        connection.execute(insert(message), [_message(first + i, account_id, chosen_from) for i in range(count)])
        rows = [(first + i, number) for i in range(count) for number in range(of_each)]
        connection.execute(insert(recipient), [_recipient(*row) for row in rows])


def _message(identity: int, account_id: int | None, chosen_from: str) -> dict[str, object]:
    return {
        "id": identity,
        "account_id": account_id,
        "chosen_from": chosen_from,
        "reverse_path": chosen_from,
        "size": 1,
        "header_size": 1,
        "chunks": 0,
        "body_digest": b"",
        "eight_bit": False,
        "smtputf8": False,
        "protocol": "ESMTPSA",
        "received_at": NOW,
    }


def _recipient(identity: int, number: int) -> dict[str, object]:
    return {
        "message_id": identity,
        "number": number,
        "address": f"c{number}@x.example",
        "queue": "mx:x.example",
        "due_at": LATER,
    }


def _hastened(engine: Engine) -> set[int]:
    with read(engine) as connection:
        return set(connection.scalars(select(recipient.c.message_id).where(recipient.c.due_at < LATER)))


@pytest.fixture
def changed_rows(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many rows of waiting mail each transaction changed."""
    counts = [0]

    def many(connection: Connection, statement: str, rows: Sequence[object]) -> None:
        if statement.startswith("INSERT INTO fact"):
            # SQLite's driver knows no rowcount of a statement that returns rows: each has an event.
            counts[-1] = max(counts[-1], len(rows))
        execute_many(connection, statement, rows)

    def begun(_connection: Connection) -> None:
        counts.append(0)

    def done(_c: object, cursor: object, statement: str, *_: object) -> None:
        if "recipient" in statement and statement.startswith(("UPDATE", "DELETE")):
            counts[-1] += max(0, getattr(cursor, "rowcount", 0))

    monkeypatch.setattr("outgate.store.batch.execute_many", many)
    event.listen(engine, "begin", begun)
    event.listen(engine, "after_cursor_execute", done)
    yield counts
    event.remove(engine, "begin", begun)
    event.remove(engine, "after_cursor_execute", done)


@pytest.mark.parametrize("change", ["retry", "hold", "release", "delete"])
def test_no_transaction_changes_more_than_a_step(
    example: Engine, vault: Vault, changed_rows: list[int], change: str
) -> None:
    _wait(example, None, "postmaster@example.com", 1, 3 * STEP + 1)
    if change == "release":
        with context.writing(example, vault, CONSOLE, NOW) as op:
            queue_operations.hold(op, Selection())
    changed_rows[:] = [0]
    with context.writing(example, vault, CONSOLE, NOW) as op:
        made = getattr(queue_operations, change)(op, Selection())
    assert made.recipients == 3 * STEP + 1
    assert max(changed_rows) == STEP
    assert len([count for count in changed_rows if count]) == 4


def test_a_message_of_many_recipients_is_changed_whole(example: Engine, vault: Vault) -> None:
    _wait(example, None, "postmaster@example.com", 1, 4, of_each=STEP - 1)
    with context.writing(example, vault, CONSOLE, NOW) as op:
        made = queue_operations.retry(op, Selection(address="c1@"))
    assert made.recipients == 4


def test_a_policy_hastens_the_mail_of_its_units_alone(example: Engine, vault: Vault, alice: int, bob: int) -> None:
    with write(example) as connection:
        units.create(connection, "/Sales/Italy")
        units.create(connection, "/Sales2")
    with context.writing(example, vault, CONSOLE, NOW) as op:
        user_operations.move(op, "alice@example.com", "/Sales/Italy")
        user_operations.move(op, "bob@example.com", "/Sales2")
    _wait(example, alice, "alice@example.com", 1, 2)
    _wait(example, bob, "bob@example.com", 3, 2)
    _wait(example, None, "postmaster@example.com", 5, 1)
    with context.writing(example, vault, CONSOLE, NOW) as op:
        policy_operations.set_policy(op, "/Sales", ALLOW_EXTERNAL_SMTP, "on")
    assert _hastened(example) == {1, 2}
    with context.writing(example, vault, CONSOLE, NOW) as op:
        policy_operations.set_policy(op, "/", ALLOW_EXTERNAL_SMTP, "on")
    assert _hastened(example) == {1, 2, 3, 4, 5}


def test_a_gateway_of_one_address_hastens_that_addresss_mail_alone(
    example: Engine, vault: Vault, alice: int, bob: int
) -> None:
    with write(example) as connection:
        policies.set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, NOW)
        send_as_addresses.add(connection, alice, PARTNER, NOW)
        code = verification.start(connection, vault, alice, PARTNER, NOW).code
    verification.confirm(example, vault, alice, PARTNER, code, NOW)
    _wait(example, alice, "alice@example.com", 1, 1)
    _wait(example, alice, PARTNER, 2, 1)
    _wait(example, bob, PARTNER, 3, 1)
    wanted = GatewaySettings.entered("smtp.partner.example", 587, "starttls", "alice", "secret")
    with context.writing(example, vault, CONSOLE, NOW) as op:
        gateway_operations.set_gateway(op, "alice@example.com", PARTNER, wanted)
    assert _hastened(example) == {2}


def test_the_switch_is_thrown_although_no_step_can_be_made(
    example: Engine, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wait(example, None, "postmaster@example.com", 1, 3)

    def busy(*_: object) -> int:
        raise StoreUnavailable("the database can't be used: database is locked")

    monkeypatch.setattr(admin, "retry", busy)
    with context.writing(example, vault, CONSOLE, NOW) as op:
        policy_operations.set_policy(op, "/", ALLOW_EXTERNAL_SMTP, "on")
    with read(example) as connection:
        assert policies.load(connection).effective("/", ALLOW_EXTERNAL_SMTP).value is True
    assert _hastened(example) == set()


def test_a_change_that_is_undone_hastens_nothing(example: Engine, vault: Vault) -> None:
    _wait(example, None, "postmaster@example.com", 1, 3)
    with suppress(ZeroDivisionError), context.writing(example, vault, CONSOLE, NOW) as op:
        policy_operations.set_policy(op, "/", ALLOW_EXTERNAL_SMTP, "on")
        raise ZeroDivisionError
    assert _hastened(example) == set()
