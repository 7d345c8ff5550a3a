"""Statements run again and again, as cheaply as the driver can: no transaction of ours, no SQL toolkit, prepared once.

For the two questions that every message asks: is the copy in memory still the newest, and if not, what is the new one?
"""

import sqlite3
from collections import namedtuple
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from sqlalchemy import Engine, Select, event

from outgate.store.engine import read

Driver = sqlite3.Connection | psycopg.Connection


class _Prepared:
    """Has connections beside the engine's pool, one for each thread at work; closed with `engine.dispose()`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[Driver] = []
        event.listen(engine, "engine_disposed", self._close)

    def _detached(self) -> Driver:
        """A connection on which each statement is a transaction of its own: it sees one state of the database."""
        pooled = self._engine.raw_connection()
        driver = pooled.driver_connection
        pooled.detach()
        if isinstance(driver, psycopg.Connection):
            driver.autocommit = True
            return driver
        assert isinstance(driver, sqlite3.Connection)
        return driver

    def _close(self, _engine: Engine) -> None:
        while self._idle:
            self._idle.pop().close()


class PreparedRows(_Prepared):
    """The rows of a query with one parameter, as named tuples of what the driver gives: 0 and 1 for SQLite's booleans.

    Any number of threads may ask at once.
    """

    def __init__(self, engine: Engine, query: Select[Any]) -> None:
        super().__init__(engine)
        self._query = query
        compiled = query.compile(dialect=engine.dialect)
        (self._parameter,) = compiled.params
        self._sql = str(compiled)
        self._row = namedtuple("_row", [column.name for column in query.selected_columns])  # type: ignore[misc]

    def read(self, value: object) -> list[Any]:
        """The rows for this value of the parameter. Raises store.engine.StoreUnavailable."""
        try:
            driver = self._idle.pop()
        except IndexError:
            return self._connect_and_read(value)
        try:
            found = self._ask(driver, value)
        except (sqlite3.Error, psycopg.Error):
            # The connection may have died of old age, so ask anew before saying that the store is unavailable.
            driver.close()
            return self._connect_and_read(value)
        self._idle.append(driver)
        return found

    def _connect_and_read(self, value: object) -> list[Any]:
        """By the engine, which explains what fails; then keep a connection for the next time."""
        with read(self._engine) as connection:
            found = list(connection.execute(self._query, {self._parameter: value}))
        self._idle.append(self._detached())
        return found

    def _ask(self, driver: Driver, value: object) -> list[Any]:
        if isinstance(driver, psycopg.Connection):
            rows = driver.execute(self._sql.encode(), {self._parameter: value}, prepare=True).fetchall()
        else:
            rows = driver.execute(self._sql, (value,)).fetchall()
        return [self._row(*row) for row in rows]


class PreparedNumber(_Prepared):
    """The single number that `statement` gives, 0 if it gives no row. Any number of threads may read it at once."""

    def __init__(self, engine: Engine, statement: str) -> None:
        super().__init__(engine)
        self._statement = statement

    def read(self) -> int:
        """The number as last committed. Raises store.engine.StoreUnavailable."""
        try:
            driver = self._idle.pop()
        except IndexError:
            return self._connect_and_read()
        try:
            number = self._ask_libpq(driver) if isinstance(driver, psycopg.Connection) else self._ask(driver)
        except (sqlite3.Error, psycopg.Error):
            # The connection may have died of old age, so ask anew before saying that the store is unavailable.
            driver.close()
            return self._connect_and_read()
        self._idle.append(driver)
        return number

    def _connect_and_read(self) -> int:
        """By the engine, which explains what fails; then keep a connection for the next time."""
        with read(self._engine) as connection:
            number = connection.exec_driver_sql(self._statement).scalar()
        self._idle.append(self._connect())
        return int(number or 0)

    def _connect(self) -> Driver:
        driver = self._detached()
        if isinstance(driver, psycopg.Connection):
            driver.pgconn.prepare(b"number", self._statement.encode())
        return driver

    def _ask(self, driver: sqlite3.Connection) -> int:
        row = driver.execute(self._statement).fetchone()
        return int(row[0]) if row else 0

    @staticmethod
    def _ask_libpq(driver: psycopg.Connection) -> int:
        """One call of libpq (psycopg.pq): a psycopg cursor takes five times as long for this."""
        result = driver.pgconn.exec_prepared(b"number", None)
        if result.status != ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError(result.get_error_message())
        return int(result.get_value(0, 0) or 0) if result.ntuples else 0
