"""Migrations keep what a database of a former release holds."""

from collections.abc import Callable

from alembic import command
from sqlalchemy import text

from outgate.directory import accounts
from outgate.store import schema
from outgate.store.engine import migrate, open_engine, read, write

ROWS = (
    "INSERT INTO organisation (id, name, directory_version, created_at) VALUES (1, 'example.com', 7, 0)",
    "INSERT INTO domain (name, is_primary, created_at) VALUES ('example.com', true, 0)",
    "INSERT INTO unit (path) VALUES ('/')",
    "INSERT INTO policy (unit_id, setting, value, changed_at)"
    " VALUES (1, 'allowUsersToUseExternalSmtpServers', 'true', 0)",
    "INSERT INTO account (primary_address, name, unit_id, suspended, created_at)"
    " VALUES ('alice@example.com', 'Alice', 1, false, 0)",
    *(
        "INSERT INTO send_as (account_id, address, display_name, reply_to, signature, is_primary, is_default,"
        " treat_as_alias, verified_at, created_at)"
        f" VALUES (1, '{address}', '', '', '', {primary}, {primary}, true, 5, 0)"
        for address, primary in (("alice@example.com", "true"), ("alice@dominiopartner.example", "false"))
    ),
    "INSERT INTO gateway (send_as_id, host, port, security, username, credential_version, changed_at)"
    " VALUES (2, 'smtp.dominiopartner.example', 587, 'starttls', '', 3, 0)",
    "INSERT INTO verification (send_as_id, code_digest, tries_left, sent_at, expires_at) VALUES (2, '', 5, 0, 9)",
)


def test_a_database_of_the_first_schema_keeps_its_rows(new_database: Callable[..., str]) -> None:
    """A table that is copied on SQLite would take the rows that refer to it along, by ON DELETE CASCADE."""
    engine = open_engine(new_database(migrated=False))
    config = schema._config()
    with write(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for row in ROWS:
            connection.execute(text(row))
    migrate(engine)
    with read(engine) as connection:
        account = accounts.load(connection, 1)
        verifications = connection.scalar(text("SELECT count(*) FROM verification"))
    engine.dispose()
    assert account
    assert account.policy.allow_external_smtp
    partner = account.send_as["alice@dominiopartner.example"]
    assert partner.gateway
    assert (partner.gateway.host, partner.gateway.credential_version, partner.verified) == (
        "smtp.dominiopartner.example",
        3,
        True,
    )
    assert verifications == 1
