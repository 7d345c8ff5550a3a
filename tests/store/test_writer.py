"""store.engine.Writer: one connection for all transactions, and a new one once the store could not be used."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from outgate.store.engine import StoreUnavailable, Writer, open_engine, read, write
from outgate.store.tables import organisation

ROW = {"id": 1, "name": "example.com", "directory_version": 1, "created_at": 0.0}

NewDatabase = Callable[..., str]


@pytest.fixture
def writer(engine: Engine) -> Writer:
    with write(engine) as connection:
        connection.execute(insert(organisation).values(ROW))
    return Writer(engine)


def _rename(writer: Writer, name: str) -> object:
    """Returns the driver's connection."""
    with writer.transaction() as connection:
        connection.execute(update(organisation).values(name=name))
        return connection.connection.dbapi_connection


def _name(engine: Engine) -> str | None:
    with read(engine) as connection:
        return connection.scalar(select(organisation.c.name))


def _rename_and_then(writer: Writer, follows: Callable[[Connection], object]) -> None:
    with writer.transaction() as connection:
        connection.execute(update(organisation).values(name="two.example"))
        follows(connection)


def _fail(_connection: Connection) -> None:
    raise StoreUnavailable("an error of the disk")


def test_it_writes_by_one_connection_from_whichever_thread(engine: Engine, writer: Writer) -> None:
    first = _rename(writer, "one.example")
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(_rename, writer, "two.example").result() is first
    assert _name(engine) == "two.example"
    writer.close()


def test_a_bad_change_is_undone_and_costs_no_connection(engine: Engine, writer: Writer) -> None:
    first = _rename(writer, "one.example")
    with pytest.raises(IntegrityError):
        _rename_and_then(writer, lambda connection: connection.execute(insert(organisation).values(ROW)))
    assert _name(engine) == "one.example"
    assert _rename(writer, "three.example") is first
    writer.close()


def test_where_the_store_could_not_be_used_the_next_transaction_has_another_connection(
    engine: Engine, writer: Writer
) -> None:
    first = _rename(writer, "one.example")
    with pytest.raises(StoreUnavailable):
        _rename_and_then(writer, _fail)
    assert _name(engine) == "one.example"
    assert _rename(writer, "three.example") is not first
    assert _name(engine) == "three.example"
    writer.close()


def test_a_database_that_somebody_has_locked_is_told_and_written_when_it_is_free(engine: Engine) -> None:
    other = open_engine(engine.url.render_as_string(hide_password=False))
    with write(engine) as connection:
        connection.execute(insert(organisation).values(ROW))
    writer = Writer(engine)
    setting = "SET lock_timeout = 10" if engine.dialect.name == "postgresql" else "PRAGMA busy_timeout = 10"
    with writer.transaction() as connection:
        connection.exec_driver_sql(setting)
    with write(other) as holder:
        holder.execute(update(organisation).values(name="other.example"))
        with pytest.raises(StoreUnavailable):
            _rename(writer, "one.example")
    _rename(writer, "two.example")
    assert _name(engine) == "two.example"
    writer.close()
    other.dispose()


def _end_connections(administrator: Engine) -> None:
    with administrator.connect() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        connection.exec_driver_sql(f"{ended} AND pid <> pg_backend_pid()")


@pytest.fixture
def on_postgresql(new_postgresql: NewDatabase) -> Iterator[tuple[Engine, Engine, Writer]]:
    """A writer that has written, its engine, and an administrator's."""
    url = new_postgresql()
    engine, administrator = open_engine(url), open_engine(url)
    with write(engine) as connection:
        connection.execute(insert(organisation).values(ROW))
    writer = Writer(engine)
    _rename(writer, "one.example")
    yield engine, administrator, writer
    writer.close()
    engine.dispose()
    administrator.dispose()


def test_a_connection_that_was_lost_is_told_once(on_postgresql: tuple[Engine, Engine, Writer]) -> None:
    engine, administrator, writer = on_postgresql
    _end_connections(administrator)
    with pytest.raises(StoreUnavailable):
        _rename(writer, "two.example")
    _rename(writer, "three.example")
    assert _name(engine) == "three.example"


def test_a_connection_that_was_lost_is_told_to_nobody_if_a_reader_has_found_out(
    on_postgresql: tuple[Engine, Engine, Writer],
) -> None:
    """As at the restart of a database: who only looks is there first."""
    engine, administrator, writer = on_postgresql
    _name(engine)
    _end_connections(administrator)
    with pytest.raises(StoreUnavailable):
        _name(engine)
    _rename(writer, "two.example")
    assert _name(engine) == "two.example"


def test_after_its_end_it_holds_no_connection(engine: Engine, writer: Writer) -> None:
    with pytest.raises(StoreUnavailable):
        _rename_and_then(writer, _fail)
    _rename(writer, "one.example")
    writer.close()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of a pool with a bound
