"""store.engine and store.prepared: transactions, the schema, and faults of the surroundings."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from prometheus_client import REGISTRY
from sqlalchemy import Connection, Engine, ForeignKeyConstraint, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from outgate.store import schema
from outgate.store.batch import Batch, Step
from outgate.store.engine import SCHEMA, SchemaTooNew, StoreError, StoreUnavailable, migrate, open_engine, read, write
from outgate.store.prepared import PreparedNumber
from outgate.store.tables import account, metadata, organisation

ROW = {"id": 1, "name": "example.com", "directory_version": 1, "created_at": 0.0}
VERSION = "SELECT directory_version FROM organisation"

NewDatabase = Callable[..., str]


def put_row(engine: Engine) -> None:
    with write(engine) as connection:
        connection.execute(insert(organisation).values(ROW))


def rename(connection: Connection, name: str) -> None:
    connection.execute(update(organisation).values(name=name))


def name_in(engine: Engine) -> str | None:
    with read(engine) as connection:
        return connection.scalar(select(organisation.c.name))


def lose_patience(engine: Engine) -> None:
    """Make the engine's one pooled connection wait 10 ms for a lock, not 5 s."""
    setting = "SET lock_timeout = 10" if engine.dialect.name == "postgresql" else "PRAGMA busy_timeout = 10"
    with engine.connect() as connection:
        connection.exec_driver_sql(setting)
        connection.commit()


def test_the_migrations_make_the_schema_of_the_tables(engine: Engine) -> None:
    with read(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
        assert [one for one in found if not _is_said_by_sqlite(connection, *one)] == []


def _is_said_by_sqlite(connection: Connection, what: str, constraint: object, *_: object) -> bool:
    """Of a reference in a column that was added later, SQLAlchemy does not read what becomes of it; SQLite tells."""
    if connection.dialect.name != "sqlite" or what not in ("remove_fk", "add_fk"):
        return False
    assert isinstance(constraint, ForeignKeyConstraint)
    name = constraint.table.name
    references = [one for each in metadata.tables[name].foreign_key_constraints for one in each.elements]
    wanted = {
        (one.column.table.name, one.parent.name, one.column.name, one.ondelete or "NO ACTION") for one in references
    }
    rows = connection.exec_driver_sql(f"PRAGMA foreign_key_list({name})")
    return {(row.table, row[3], row.to, row.on_delete) for row in rows} == wanted


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    put_row(engine)
    migrate(engine)
    assert name_in(engine) == "example.com"


def test_two_programs_may_migrate_at_the_same_time(new_database: NewDatabase) -> None:
    url = new_database(migrated=False)
    engines = [open_engine(url), open_engine(url)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(migrate, engines))
    assert name_in(engines[0]) is None
    for engine in engines:
        engine.dispose()


def test_a_database_of_a_later_release_is_refused(new_database: NewDatabase) -> None:
    engine = open_engine(new_database(migrated=False))
    migrate(engine)
    with write(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match="9999"):
        migrate(engine)
    engine.dispose()


def test_an_exception_undoes_the_whole_transaction(engine: Engine) -> None:
    put_row(engine)

    def fail() -> None:
        with write(engine) as connection:
            rename(connection, "other.example")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert name_in(engine) == "example.com"


def test_a_reader_sees_one_state_to_its_end(engine: Engine) -> None:
    put_row(engine)
    with read(engine) as reader:
        before = reader.scalar(select(organisation.c.name))
        with write(engine) as writer:
            rename(writer, "other.example")
        assert reader.scalar(select(organisation.c.name)) == before
    assert name_in(engine) == "other.example"


def test_writers_wait_for_each_other(engine: Engine) -> None:
    put_row(engine)

    def count(_: int) -> None:
        with write(engine) as connection:
            connection.execute(update(organisation).values(directory_version=organisation.c.directory_version + 1))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(40)))
    assert PreparedNumber(engine, VERSION).read() == 41


def test_rows_that_others_refer_to_are_guarded(engine: Engine) -> None:
    with pytest.raises(IntegrityError), write(engine) as connection:
        connection.execute(insert(account).values(primary_address="alice@example.com", unit_id=7, created_at=0.0))


def batch_of(*names: str) -> Batch:
    """Organisations, of which there may be one."""
    batch = Batch()
    batch.add(Step(1, insert(organisation)), *[ROW | {"name": name} for name in names])
    return batch


def test_of_many_rows_of_which_one_is_bad_none_is_written_nor_told(engine: Engine) -> None:
    with pytest.raises(IntegrityError) as caught, write(engine) as connection:
        batch_of("first.example", "not-for-the-log.example").execute(connection)
    assert "not-for-the-log" not in str(caught.value)
    put_row(engine)  # so none was kept, and the connection is good for more
    with write(engine) as connection:
        with pytest.raises(IntegrityError), connection.begin_nested():
            batch_of("second.example").execute(connection)
        rename(connection, "another.example")
    assert name_in(engine) == "another.example"


def test_values_are_not_in_the_text_of_an_error(engine: Engine) -> None:
    row = {"primary_address": "alice@example.com", "unit_id": 7, "created_at": 0.0, "password_hash": "not-for-the-log"}
    with pytest.raises(DBAPIError) as caught, write(engine) as connection:
        connection.execute(insert(account).values(row))
    assert "not-for-the-log" not in str(caught.value)


def test_a_lock_held_for_too_long_is_told(engine: Engine) -> None:
    put_row(engine)
    other = open_engine(engine.url.render_as_string(hide_password=False))
    lose_patience(engine)
    with write(other) as holder:
        rename(holder, "other.example")
        with pytest.raises(StoreUnavailable, match="can't be used"), write(engine) as connection:
            rename(connection, "third.example")
    assert name_in(engine) == "other.example"
    other.dispose()


def test_a_fault_of_the_program_stays_what_it_is(engine: Engine) -> None:
    with pytest.raises(DBAPIError), read(engine) as connection:
        connection.exec_driver_sql("SELECT 1 FROM no_such_table")


def test_a_full_disk_is_told_and_nothing_is_written(new_sqlite: NewDatabase) -> None:
    engine = open_engine(new_sqlite())
    put_row(engine)
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="full"), write(engine) as connection:
        rename(connection, "x" * 100_000)
    assert name_in(engine) == "example.com"
    before = REGISTRY.get_sample_value("outgate_store_errors_total") or 0.0
    batch = Batch()
    batch.add(Step(1, update(organisation)), {"name": "short"}, {"name": "x" * 100_000})
    with pytest.raises(StoreUnavailable, match="full"), write(engine) as connection:
        batch.execute(connection)
    assert name_in(engine) == "example.com"
    assert REGISTRY.get_sample_value("outgate_store_errors_total") == before + 1
    engine.dispose()


def test_a_commit_on_sqlite_is_synced_to_disk(new_sqlite: NewDatabase) -> None:
    engine = open_engine(new_sqlite())
    with read(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"not a database, but long enough to have a header" * 10)
    engine = open_engine(f"sqlite:///{tmp_path / 'text'}")
    with pytest.raises(StoreUnavailable, match="not a database"):
        migrate(engine)
    engine.dispose()


def test_a_lost_connection_is_told_and_the_next_transaction_has_a_new_one(new_postgresql: NewDatabase) -> None:
    url = new_postgresql()
    engine, other = open_engine(url), open_engine(url)
    put_row(engine)

    def lose_the_connection() -> None:
        with write(engine) as connection:
            rename(connection, "other.example")
            end_connections_of(other)

    with pytest.raises(StoreUnavailable):
        lose_the_connection()
    assert name_in(engine) == "example.com"
    engine.dispose()
    other.dispose()


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    engine = open_engine(f"postgresql://outgate:not-for-the-log@/outgate?host={tmp_path}")
    with pytest.raises(StoreUnavailable) as caught:
        migrate(engine)
    assert "not-for-the-log" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://localhost/outgate", "sqlite://", "outgate.db", "", "postgresql+pg8000://h/d"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(StoreError, match="database URL must be"):
        open_engine(url)


def test_a_prepared_number_is_as_last_committed_in_every_thread(engine: Engine) -> None:
    number = PreparedNumber(engine, VERSION)
    assert number.read() == 0
    put_row(engine)

    def grow_and_read(_: int) -> None:
        with write(engine) as connection:
            connection.execute(update(organisation).values(directory_version=organisation.c.directory_version + 1))
            mine = connection.scalar(select(organisation.c.directory_version))
        assert mine
        assert number.read() >= mine

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(grow_and_read, range(40)))
    assert number.read() == 41


def test_a_prepared_number_survives_a_lost_connection(new_postgresql: NewDatabase) -> None:
    url = new_postgresql()
    engine, other = open_engine(url), open_engine(url)
    number = PreparedNumber(engine, VERSION)
    put_row(engine)
    assert number.read() == 1
    engine.pool.dispose()
    end_connections_of(other)
    assert number.read() == 1
    engine.dispose()
    other.dispose()


def end_connections_of(engine: Engine) -> None:
    """End all connections to this engine's database but its own."""
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_the_program_knows_its_newest_migration() -> None:
    assert schema.newest() == SCHEMA


def test_a_database_that_takes_no_writes_is_unavailable_and_asked_anew(new_postgresql: NewDatabase) -> None:
    """As a standby, or a primary that has become one: the next try may reach the new primary."""
    url = new_postgresql()
    engine, administrator = open_engine(url), open_engine(url)
    put_row(engine)

    def read_only(value: str) -> None:
        name = engine.url.database
        with administrator.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
            connection.commit()

    with write(administrator) as connection:
        rename(connection, "before.example")
    read_only("on")
    engine.dispose()
    with pytest.raises(StoreUnavailable, match="takes no writes"), write(engine) as connection:
        rename(connection, "other.example")
    administrator_only = "SET default_transaction_read_only = off"
    with administrator.connect() as connection:
        connection.exec_driver_sql(administrator_only)
        connection.exec_driver_sql(f"ALTER DATABASE {engine.url.database} RESET default_transaction_read_only")
        connection.commit()
    with write(engine) as connection:  # by a new connection: the old one would say no for ever
        rename(connection, "after.example")
    assert name_in(engine) == "after.example"
    engine.dispose()
    administrator.dispose()


def test_a_write_in_a_reading_transaction_stays_a_fault_of_the_program(new_postgresql: NewDatabase) -> None:
    engine = open_engine(new_postgresql())
    with pytest.raises(DBAPIError), read(engine) as connection:
        rename(connection, "other.example")
    engine.dispose()
