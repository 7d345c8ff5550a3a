"""One number read again and again, as cheaply as the driver can: no transaction, no SQL toolkit, prepared once.

For the question that precedes every use of a copy held in memory: is it still the newest?
"""

import sqlite3

import psycopg
from psycopg.pq import ExecStatus
from sqlalchemy import Engine, event

from outgate.store.engine import read

Driver = sqlite3.Connection | psycopg.Connection


class PreparedNumber:
    """The single number that `statement` gives, 0 if it gives no row. Any number of threads may read it at once.

    Each reads on a connection of its own beside the engine's pool; they are closed with `engine.dispose()`.
    """

    def __init__(self, engine: Engine, statement: str) -> None:
        self._engine = engine
        self._statement = statement
        self._idle: list[Driver] = []
        event.listen(engine, "engine_disposed", self._close)

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
        pooled = self._engine.raw_connection()
        driver = pooled.driver_connection
        pooled.detach()
        if isinstance(driver, psycopg.Connection):
            driver.autocommit = True
            driver.pgconn.prepare(b"number", self._statement.encode())
            return driver
        assert isinstance(driver, sqlite3.Connection)
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

    def _close(self, _engine: Engine) -> None:
        while self._idle:
            self._idle.pop().close()
