"""store.engine: transactions, durability, faults of the surroundings."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, insert, select

from outgate.store.engine import migrate, read, write
from outgate.store.tables import metadata, organisation

ROW = {"id": 1, "name": "example.com", "directory_version": 1, "created_at": 0.0}


def test_the_migrations_make_the_schema_of_the_tables(engine: Engine) -> None:
    with read(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    with write(engine) as connection:
        connection.execute(insert(organisation).values(ROW))
    migrate(engine)
    with read(engine) as connection:
        assert connection.scalar(select(organisation.c.name)) == "example.com"
