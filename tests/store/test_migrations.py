"""Migrations keep what a database of a former release holds."""

import hashlib
import json
import random
from collections.abc import Callable

import pytest
from alembic import command
from sqlalchemy import Connection, text

from outgate.directory import accounts, gateway_settings, organisation
from outgate.directory.domain_keys import KeyRecord
from outgate.directory.users import LONGEST_NAME
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditEntry
from outgate.store import schema
from outgate.store.engine import StoreError, migrate, open_engine, read, write
from outgate.store.vault import Vault
from outgate.writing import sent_messages

ROWS = (
    "INSERT INTO organisation (id, name, directory_version, created_at) VALUES (1, 'example.com', 7, 0)",
    "INSERT INTO domain (name, is_primary, dkim_selector, dkim_sealed_key, dkim_public_key, created_at)"
    " VALUES ('example.com', true, 's1', '', 'v=DKIM1; p=x', 3)",
    "INSERT INTO domain (name, is_primary, created_at) VALUES ('example.org', false, 0)",
    "INSERT INTO unit (path) VALUES ('/')",
    "INSERT INTO policy (unit_id, setting, value, changed_at)"
    " VALUES (1, 'allowUsersToUseExternalSmtpServers', 'true', 0)",
    "INSERT INTO account (primary_address, name, unit_id, suspended, created_at)"
    " VALUES ('alice@example.com', 'Alice', 1, false, 0)",
    *(
        "INSERT INTO send_as (account_id, address, display_name, reply_to, signature, is_primary, is_default,"
        " treat_as_alias, verified_at, created_at)"
        f" VALUES (1, '{address}', '', '', '', {primary}, {primary}, true, 5, 0)"
        for address, primary in (
            ("alice@example.com", "true"),
            ("alice@dominiopartner.example", "false"),
            ("alice+shop@dominiopartner.example", "false"),
        )
    ),
    "INSERT INTO gateway (send_as_id, host, port, security, username, credential_version, changed_at)"
    " VALUES (2, 'smtp.dominiopartner.example', 587, 'starttls', '', 3, 0)",
    "INSERT INTO verification (send_as_id, code_digest, tries_left, sent_at, expires_at) VALUES (2, '', 5, 0, 9)",
)

UNFILED = (
    "INSERT INTO sent_message (message_id, account_id, sender, recipients, subject, rfc822_message_id, sent_at,"
    " file_name, file_at, not_filed, is_open)"
    " VALUES (1, 1, 'alice@example.com', '', '', '', 0, '', 0, 'there is no Sent folder here', true)"
)


def test_a_database_of_the_first_schema_keeps_its_rows(new_database: Callable[..., str]) -> None:
    """A table that is copied on SQLite would take the rows that refer to it along, by ON DELETE CASCADE."""
    engine = open_engine(new_database(migrated=False))
    config = schema._config()
    with write(engine) as connection:
        config.attributes.update(connection=connection, vault=None)
        command.upgrade(config, "0001")
        for row in ROWS:
            connection.execute(text(row))
        command.upgrade(config, "0022")
        connection.execute(text(UNFILED))
    migrate(engine)
    with read(engine) as connection:
        account = accounts.load(connection, 1)
        signed, unsigned = organisation.domains(connection)
        copy = sent_messages.find(connection, 1, 1, 0.0)
        verifications = connection.scalar(text("SELECT count(*) FROM verification"))
        tagged = connection.execute(text("SELECT id, tag_of FROM send_as WHERE tag_of IS NOT NULL")).all()
    engine.dispose()
    assert account
    assert copy
    assert copy.is_unfilable
    assert account.policy.allow_external_smtp
    assert signed.signing == (KeyRecord("s1", "v=DKIM1; p=x", 3.0, 3.0),)
    assert unsigned.keys == ()
    partner = account.send_as["alice@dominiopartner.example"]
    assert partner.gateway
    assert (partner.gateway.host, partner.gateway.credential_version, partner.verified) == (
        "smtp.dominiopartner.example",
        3,
        True,
    )
    assert verifications == 1
    assert tagged == [(3, "alice@dominiopartner.example")]


def test_seals_and_trail_of_the_fourth_schema_are_taken_over(new_database: Callable[..., str], vault: Vault) -> None:
    """A gateway's password is sealed for whose it is as well, and the trail is whole, old entries and new ones."""
    engine = open_engine(new_database(migrated=False))
    config = schema._config()
    with write(engine) as connection:
        config.attributes.update(connection=connection, vault=None)
        command.upgrade(config, "0001")
        for row in ROWS:
            connection.execute(text(row))
        command.upgrade(config, "0004")
        old = vault.seal(b"secret", "gateway:1:v3:starttls://@smtp.dominiopartner.example:587")
        connection.execute(text("UPDATE gateway SET sealed_password = :sealed"), {"sealed": old})
        _old_trail(connection, vault)
    with pytest.raises(StoreError, match="keys"):
        migrate(engine)
    migrate(engine, vault)
    with write(engine) as connection:
        account = accounts.load(connection, 1)
        assert account
        gateway = account.send_as["alice@dominiopartner.example"].gateway
        assert gateway
        assert gateway_settings.open_password(vault, gateway) == "secret"
        assert audit_trail.verify(connection, vault) == []
        audit_trail.append(connection, vault, [AuditEntry(9.0, "x", "y", "z")])
        assert audit_trail.verify(connection, vault) == []
        _past_the_triggers(connection, "UPDATE audit SET actor = 'mallory' WHERE id = 2")
        assert audit_trail.verify(connection, vault) == ["entry 2 was changed, or the one before it"]
    engine.dispose()


@pytest.mark.parametrize(("release", "length"), [("0020", 4000), ("0022", 300)])
def test_a_name_that_is_too_long_is_cut_on_the_way(new_database: Callable[..., str], release: str, length: int) -> None:
    """From before an index had it, which takes 2,704 bytes, and from after that."""
    engine = open_engine(new_database(migrated=False))
    config = schema._config()
    name = "".join(map(chr, random.Random(1).sample(range(0x4E00, 0x9E00), length)))  # nothing that could be compressed
    with write(engine) as connection:
        config.attributes.update(connection=connection, vault=None)
        command.upgrade(config, release)
        connection.execute(text("INSERT INTO unit (path) VALUES ('/')"))
        row = "INSERT INTO account (primary_address, name, unit_id, suspended, created_at) VALUES (:a, :n, 1, false, 0)"
        connection.execute(text(row), [{"a": "alice@example.com", "n": name}, {"a": "bob@example.com", "n": "Bob"}])
    migrate(engine)
    with read(engine) as connection:
        names = list(connection.scalars(text("SELECT name FROM account ORDER BY id")))
    assert names == [name[:LONGEST_NAME], "Bob"]
    engine.dispose()


def test_a_trail_that_was_cut_before_shows_after_the_migration(new_database: Callable[..., str], vault: Vault) -> None:
    engine = open_engine(new_database(migrated=False))
    config = schema._config()
    with write(engine) as connection:
        config.attributes.update(connection=connection, vault=None)
        command.upgrade(config, "0001")
        connection.execute(text(ROWS[0]))
        command.upgrade(config, "0004")
        _old_trail(connection, vault)
        _past_the_triggers(connection, "DELETE FROM audit WHERE id = 3")
    migrate(engine, vault)
    with write(engine) as connection:
        assert audit_trail.verify(connection, vault)
        audit_trail.append(connection, vault, [AuditEntry(9.0, "x", "y", "z")])
        assert audit_trail.verify(connection, vault)
    engine.dispose()


def _past_the_triggers(connection: Connection, statement: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
    else:
        for name in ("audit_no_update", "audit_no_delete"):
            connection.execute(text(f"DROP TRIGGER {name}"))
    connection.execute(text(statement))


def _old_trail(connection: Connection, vault: Vault) -> None:
    """Three entries as they were chained before there was a key."""
    digest = bytes(32)
    for number in (1, 2, 3):
        values = [number, float(number), "root", "console", "unit.create", "done", "/", "/", "{}"]
        digest = hashlib.sha256(digest + json.dumps(values, ensure_ascii=False).encode()).digest()
        names = ("id", "at", "actor", "peer", "operation", "outcome", "target", "unit", "detail", "hash")
        row = dict(zip(names, [*values, digest], strict=True))
        columns, places = ", ".join(names), ", ".join(f":{name}" for name in names)
        connection.execute(text(f"INSERT INTO audit ({columns}) VALUES ({places})"), row)
    head = vault.seal(f"3:{digest.hex()}".encode(), "audit-head")
    connection.execute(text("UPDATE organisation SET audit_head = :head"), {"head": head})
