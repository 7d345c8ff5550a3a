"""The audit trail: what is recorded, and that tampering shows."""

import contextlib
import hashlib
import json
from typing import Any

import pytest
from hypothesis import example as for_example
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, select, text, update
from sqlalchemy.exc import DBAPIError

from outgate.directory import organisation, roles
from outgate.directory.errors import Invalid, NotFound
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP, setting
from outgate.model import Security
from outgate.operations import (
    audit_operations,
    confirmation_operations,
    gateway_operations,
    policy_operations,
    send_as_operations,
    unit_operations,
    user_operations,
)
from outgate.operations.actor import Actor
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import Denied, OperationContext, reading, writing
from outgate.record import audit_trail
from outgate.record.activity import activity
from outgate.record.audit_trail import AuditEntry, AuditFilter, Recorded
from outgate.store.engine import read, write
from outgate.store.tables import audit, metadata
from outgate.store.vault import KeyMissing, Vault

CONSOLE = Actor.console("root")
PARTNER = "alice@dominiopartner.example"
CONFIRMATION = Confirmation("mail.example.com", "https://mail.example.com")


def entries(engine: Engine) -> list[AuditEntry]:
    with read(engine) as connection:
        return [recorded.entry for recorded in audit_trail.search(connection, AuditFilter(limit=1000))][::-1]


def faults(engine: Engine, vault: Vault) -> list[str]:
    with read(engine) as connection:
        return audit_trail.verify(connection, vault)


@pytest.fixture
def trail(example: Engine, vault: Vault) -> Engine:
    """Three entries."""
    for number in range(3):
        with writing(example, vault, CONSOLE, float(number)) as op:
            unit_operations.create(op, f"/Unit{number}")
    return example


def past_the_triggers(connection: Connection, statement: str) -> None:
    """What somebody with the database's own rights can do."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
    else:
        for name in ("audit_no_update", "audit_no_delete"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
    connection.execute(text(statement))


def test_a_change_is_recorded_with_who_from_where_old_and_new(example: Engine, vault: Vault) -> None:
    with writing(example, vault, CONSOLE, 5.0) as op:
        user_operations.edit(op, "alice@example.com", name="Alice Rossi")
        user_operations.move(op, "alice@example.com", "/")
    first, second = entries(example)
    assert (first.actor, first.peer, first.at, first.operation) == ("console (root)", "console", 5.0, "user.edit")
    assert (first.target, first.unit) == ("alice@example.com", "/Sales")
    assert first.detail["name"] == ["Alice", "Alice Rossi"]
    assert second.detail == {"unit": ["/Sales", "/"]}


def test_what_stays_as_it_was_is_not_recorded_as_changed(example: Engine, vault: Vault) -> None:
    with writing(example, vault, CONSOLE, 5.0) as op:
        user_operations.edit(op, "alice@example.com", name="Alice Rossi", language="en")
        user_operations.resume(op, "alice@example.com")
        send_as_operations.edit(op, "alice@example.com", "alice@example.com", reply_to="bob@example.com")
    assert [entry.detail for entry in entries(example)] == [
        {"name": ["Alice", "Alice Rossi"]},
        {},
        {"address": "alice@example.com", "reply_to": ["", "bob@example.com"]},
    ]


def test_the_switch_is_recorded_as_in_the_reports_api(example: Engine, vault: Vault) -> None:
    with writing(example, vault, CONSOLE, 1_700_000_000.0) as op:
        policy_operations.set_policy(op, "/Sales", ALLOW_EXTERNAL_SMTP, "on")
    (entry,) = entries(example)
    made = activity(Recorded(7, entry), "example.com")
    assert made["events"] == [
        {
            "type": "EMAIL_SETTINGS",
            "name": "CHANGE_EMAIL_SETTING",
            "parameters": [
                {"name": "SETTING_NAME", "value": "OUTBOUND_RELAY_ENABLED"},
                {"name": "ORG_UNIT_NAME", "value": "/Sales"},
                {"name": "OLD_VALUE", "value": "false"},
                {"name": "NEW_VALUE", "value": "true"},
            ],
        }
    ]
    assert made["id"]["time"] == "2023-11-14T22:13:20.000Z"
    assert made["kind"] == "admin#reports#activity"


def test_what_fails_leaves_no_entry_and_no_change(example: Engine, vault: Vault) -> None:
    def fail_halfway() -> None:
        with writing(example, vault, CONSOLE, 0.0) as op:
            unit_operations.create(op, "/New")
            user_operations.suspend(op, "nobody@example.com")

    with pytest.raises(NotFound):
        fail_halfway()
    assert entries(example) == []
    with read(example) as connection:
        op = OperationContext(connection, vault, CONSOLE, 0.0)
        assert "/New" not in unit_operations.list_units(op)


def test_who_is_denied_is_recorded_with_the_reason(example: Engine, vault: Vault, bob: int) -> None:
    actor = Actor("bob@example.com", "192.0.2.7", bob)
    with pytest.raises(Denied, match="users-manage"), writing(example, vault, actor, 3.0) as op:
        user_operations.suspend(op, "alice@example.com")
    with pytest.raises(Denied), reading(example, vault, actor, 4.0) as op:
        user_operations.list_users(op)
    first, second = entries(example)
    assert (first.outcome, first.actor, first.peer, first.target) == (
        "denied",
        "bob@example.com",
        "192.0.2.7",
        "alice@example.com",
    )
    assert "users-manage" in first.detail["reason"]
    assert second.operation == "user.list"
    assert faults(example, vault) == []


def test_a_wrong_code_costs_a_try_and_is_recorded(example: Engine, vault: Vault, alice: int) -> None:
    actor = Actor("alice@example.com", "192.0.2.7", alice)
    with writing(example, vault, actor, 0.0) as op:
        send_as_operations.add(op, "alice@example.com", PARTNER, CONFIRMATION)
    for left in (4, 3, 2, 1, 0, 0):
        with pytest.raises(Invalid, match="not the code") as fault, writing(example, vault, actor, 1.0) as op:
            confirmation_operations.verify(op, "alice@example.com", PARTNER, "000000000")
        assert getattr(fault.value, "tries_left", None) == left
    refused = [entry for entry in entries(example) if entry.outcome == "refused"]
    assert len(refused) == 6
    assert refused[0].detail["address"] == PARTNER


def test_no_secret_is_in_an_entry(example: Engine, vault: Vault) -> None:

    with writing(example, vault, CONSOLE, 0.0) as op:
        policy_operations.set_policy(op, "/", ALLOW_EXTERNAL_SMTP, True)
        gateway = GatewaySettings("smtp.dominiopartner.example", 587, Security.STARTTLS, "alice", "marked-secret-1")
        send_as_operations.add(op, "alice@example.com", PARTNER, CONFIRMATION)
        gateway_operations.set_gateway(op, "alice@example.com", PARTNER, gateway)
    told = repr(entries(example))
    assert "marked-secret-1" not in told
    assert "smtp.dominiopartner.example:587 (starttls, as alice)" in told


def test_a_whole_trail_has_no_faults(trail: Engine, vault: Vault) -> None:
    assert faults(trail, vault) == []


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses_changes(trail: Engine, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"), write(trail) as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE audit SET actor = 'mallory' WHERE id = 2", "entry 2 was changed"),
        ("UPDATE audit SET detail = '[]' WHERE id = 1", "entry 1 was changed"),
        ("UPDATE audit SET at = 9 WHERE id = 3", "entry 3 was changed"),
        ("DELETE FROM audit WHERE id = 2", "entries 2 to 2 are missing"),
        ("DELETE FROM audit WHERE id = 3", "the last entry is number 2"),
        ("DELETE FROM audit", "the last entry is number 0"),
        ("UPDATE organisation SET audit_head = NULL", "seal of the last entry is missing"),
    ],
)
def test_tampering_shows(trail: Engine, vault: Vault, statement: str, fault: str) -> None:
    with write(trail) as connection:
        past_the_triggers(connection, statement)
    assert any(fault in one for one in faults(trail, vault))


FORGER = Vault({"other": bytes(32)}, "other")
SAME_ID = Vault({"k1": bytes(32)}, "k1")  # as a forger would: the id is in the seal, the key is not


@pytest.mark.parametrize("forger", [SAME_ID])
def test_a_trail_that_was_written_anew_shows_by_its_seal(trail: Engine, vault: Vault, forger: Vault) -> None:
    with write(trail) as connection:
        past_the_triggers(connection, "DELETE FROM audit")
        audit_trail.begin(connection, forger)
        audit_trail.append(connection, forger, [AuditEntry(0.0, "nobody", "", "unit.create")] * 3)
    assert "the seal of the last entry was changed" in faults(trail, vault)
    assert "the key of the trail is missing or was changed" in faults(trail, vault)


CUT = "DELETE FROM audit WHERE id = 3"
ALL_GONE = "DELETE FROM audit"
NO_HEAD = "UPDATE organisation SET audit_head = NULL"
NO_KEY = "UPDATE organisation SET audit_key = NULL"


@pytest.mark.parametrize(
    "statements",
    [
        [CUT],
        ["DELETE FROM audit WHERE id >= 2"],
        [ALL_GONE],
        [ALL_GONE, NO_HEAD],
        [ALL_GONE, NO_HEAD, NO_KEY],
        [NO_HEAD],
        [NO_KEY],
        [NO_HEAD, NO_KEY],
        ["UPDATE audit SET actor = 'mallory' WHERE id = 2"],
        ["UPDATE organisation SET audit_key = audit_head"],
        ["rewritten"],
        ["rewritten", NO_KEY],
    ],
    ids=", ".join,
)
def test_tampering_shows_before_and_after_the_next_entries(trail: Engine, vault: Vault, statements: list[str]) -> None:
    with write(trail) as connection:
        for statement in statements:
            if statement == "rewritten":
                rewrite(connection)
            else:
                past_the_triggers(connection, statement)
    assert faults(trail, vault)
    for number in range(2):
        with writing(trail, vault, CONSOLE, 9.0) as op:
            unit_operations.create(op, f"/Later{number}")
    assert faults(trail, vault)


def rewrite(connection: Connection) -> None:
    """Another actor in all rows, and the chain of hashes computed anew as it was before it had a key."""
    past_the_triggers(connection, "UPDATE audit SET actor = 'mallory'")
    digest = bytes(32)
    for row in connection.execute(select(audit).order_by(audit.c.id)).all():
        values = [value for name, value in row._mapping.items() if name != "hash"]
        digest = hashlib.sha256(digest + json.dumps(values, ensure_ascii=False).encode()).digest()
        connection.execute(update(audit).where(audit.c.id == row.id).values(hash=digest))


@pytest.mark.parametrize("statements", [[CUT], [ALL_GONE, NO_HEAD], [NO_KEY]])
def test_what_the_next_entry_finds_is_told_in_the_trail_and_once(
    trail: Engine, vault: Vault, statements: list[str]
) -> None:
    with write(trail) as connection:
        for statement in statements:
            past_the_triggers(connection, statement)
    for number in range(2):
        with writing(trail, vault, CONSOLE, 9.0) as op:
            unit_operations.create(op, f"/Later{number}")
    told = [entry for entry in entries(trail) if entry.operation == "security.audit-tampered"]
    assert [entry.outcome for entry in told] == ["failed"]
    assert [entry.operation for entry in entries(trail)][-2:] == ["unit.create"] * 2


def test_a_vault_without_the_key_of_the_seal_adds_nothing(trail: Engine) -> None:
    with pytest.raises(KeyMissing), writing(trail, FORGER, CONSOLE, 9.0) as op:
        unit_operations.create(op, "/Later")
    assert len(entries(trail)) == 3


def test_that_tampering_was_found_is_recorded(trail: Engine, vault: Vault) -> None:
    with write(trail) as connection:
        past_the_triggers(connection, "UPDATE audit SET actor = 'mallory' WHERE id = 2")
    with pytest.raises(audit_operations.Tampered, match="entry 2"), writing(trail, vault, CONSOLE, 9.0) as op:
        audit_operations.verify(op)
    last = entries(trail)[-1]
    assert (last.operation, last.outcome) == ("audit.verify", "refused")
    assert any("entry 2" in one for one in faults(trail, vault))


@settings(deadline=None)
@for_example(details=[{}], at=-0.0)
@for_example(details=[{}], at=5)
@given(
    details=st.lists(
        st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.booleans() | st.none() | st.integers()),
        max_size=5,
    ),
    at=st.floats(min_value=0, allow_infinity=False),  # seconds since the epoch
)
def test_whatever_is_recorded_verifies(details: list[dict[str, Any]], at: float) -> None:

    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    vault = Vault({"k1": bytes(32)}, "k1")
    with contextlib.closing(engine.connect()) as connection, connection.begin():
        organisation.create(connection, "example.com", 0.0)
        audit_trail.begin(connection, vault)
        audit_trail.append(connection, vault, [AuditEntry(at, "a", "b", "c", detail=detail) for detail in details])
        assert audit_trail.verify(connection, vault) == []


def test_a_role_taken_away_holds_at_the_next_call(example: Engine, vault: Vault, bob: int) -> None:
    actor = Actor("bob@example.com", "192.0.2.7", bob)
    with write(example) as connection:
        roles.assign(connection, "bob@example.com", "auditor", "/", 0.0)
    with reading(example, vault, actor, 1.0) as op:
        assert user_operations.list_users(op)
    with write(example) as connection:
        roles.unassign(connection, "bob@example.com", "auditor", "/")
    with pytest.raises(Denied), reading(example, vault, actor, 2.0) as op:
        user_operations.list_users(op)


def test_lists_of_hosts_are_recorded_as_they_were_and_are(example: Engine, vault: Vault) -> None:
    hosts = setting("allowedGatewayHosts")
    with writing(example, vault, CONSOLE, 0.0) as op:
        policy_operations.set_policy(op, "/", hosts, "*.Partner.example, smtp.example.net")
        policy_operations.clear_policy(op, "/", hosts)
    first, second = entries(example)
    assert first.detail == {hosts.name: [[], ["*.partner.example", "smtp.example.net"]]}
    assert second.detail == {hosts.name: [["*.partner.example", "smtp.example.net"], []]}
