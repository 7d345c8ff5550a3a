"""The database: opening it, transactions that read or write, and bringing its schema up to date.

The same on SQLite and PostgreSQL for everyone who calls it. Knows no table's meaning.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import psycopg
from prometheus_client import Counter
from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

if TYPE_CHECKING:
    from outgate.store.vault import Vault

BUSY_SECONDS: Final = 5  # how long a writer waits for another one before it is told that the store is busy
# The newest migration, by its file's name: Alembic, which knows it, is imported when there is something to do.
SCHEMA: Final = max(path.name[1:5] for path in (Path(__file__).parent / "migrations" / "versions").glob("v*.py"))
POOL: Final = 20  # connections in all: more than the threads that use them

# Durability as with Postfix: FULL syncs the write-ahead log at each commit, so a commit is on disk when it returns.
_SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    f"PRAGMA journal_size_limit = {64 * 1024 * 1024}",  # bytes that the log keeps on disk after a burst
    # Pages, 16 MiB, after which the log is copied into the database, which syncs both. What passes through the queue
    # dirties the same pages again and again: with 1,000, the usual number, they were copied four times as often.
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA cache_size = -8192",  # KiB for each connection
    "PRAGMA temp_store = MEMORY",
    # Deleted rows are overwritten where their page is written anyway. ON would also write freed pages, that is, large
    # messages a second time: measured, FAST takes 4 % of the store's time and ON 19 % with messages of 4 KB.
    "PRAGMA secure_delete = FAST",
)

_POSTGRESQL_OPTIONS: Final = {
    "connect_timeout": BUSY_SECONDS,
    "tcp_user_timeout": 2 * BUSY_SECONDS * 1000,  # a server that has gone silent is a lost connection
    "options": f"-c lock_timeout={BUSY_SECONDS * 1000}",
}

# Faults of the store's surroundings. All others are faults of the program and stay what they are.
_SQLITE_UNAVAILABLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
    }
)

_UNAVAILABLE = Counter(
    "outgate_store_errors", "Times that the database could not be used: locked, full, connection lost"
)

_WRITES: Final = "outgate_writes"  # execution option: this transaction takes SQLite's write lock at its start


class StoreError(Exception):
    """Something is wrong with the database; the text says what and what to do."""


class StoreUnavailable(StoreError):
    """The database can't be used just now (locked, disk full, connection lost): nothing was written, try again."""


class SchemaTooNew(StoreError):
    """A later release of the program has migrated this database."""


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///<path>` or `postgresql://…`; connects at first use. Raises StoreError for other URLs.

    An SQLite file that is not there is not made: an empty database in place of one that is gone would pass for it.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        engine = _create(parsed, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "do_connect", _open_existing)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = _create(parsed, connect_args=_POSTGRESQL_OPTIONS)
    event.listen(engine, "handle_error", _translate, retval=True)
    return engine


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """A transaction in which all statements see the same state of the database."""
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with _checked_out(engine) as connection:
        connection.execution_options(**options)
        with connection.begin():
            yield connection


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """A transaction that is on disk when the block has ended; an exception undoes it.

    On SQLite it holds the write lock from its start, so that no statement in the middle finds the database locked.
    """
    with _checked_out(engine) as connection:
        connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


class Writer:
    """For who writes all the time: transactions as `write` makes them, one at a time, over one connection that is kept.
    To fetch one and to give it back takes longer than a small transaction. Once the store could not be used, by this
    connection or another one of the engine's, it is a new one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._is_doubtful = False  # set by whichever thread finds out
        event.listen(engine, "invalidate", self._doubt)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """As `write`."""
        if self._is_doubtful:
            self._let_go()
        connection = self._connection or self._connected()
        try:
            with connection.begin():
                yield connection
        except StoreUnavailable:
            connection.invalidate()
            self._let_go()
            raise

    def close(self) -> None:
        """Give the connection back; nothing more is written."""
        event.remove(self._engine, "invalidate", self._doubt)
        self._let_go()

    def _let_go(self) -> None:
        connection, self._connection, self._is_doubtful = self._connection, None, False
        if connection:
            connection.close()

    def _connected(self) -> Connection:
        self._connection = _checked_out(self._engine).execution_options(**{_WRITES: True})
        return self._connection

    def _doubt(self, *_: object) -> None:
        """A connection of the engine's is good no more; its pool lends none that is older."""
        self._is_doubtful = True


def execute_many(connection: Connection, statement: str, rows: Sequence[Any]) -> None:
    """A statement in the driver's own words, once for each of these rows, which are in its form of parameters.

    On SQLite past SQLAlchemy, whose own work for it takes longer than the database's. Raises as everything else does.
    """
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(statement, rows)
        return
    with _sqlite_errors(statement):
        connection.connection.cursor().executemany(statement, rows)


def make_file(engine: Engine) -> None:
    """Make the empty file of an SQLite database, its owner's alone. PostgreSQL's databases are made there."""
    if engine.dialect.name == "sqlite":
        Path(str(engine.url.database)).touch(mode=0o600)


def is_made(engine: Engine) -> bool:
    """Whether there is a schema, of whatever release."""
    with read(engine) as connection:
        return inspect(connection).has_table("alembic_version")


def migrate(engine: Engine, vault: "Vault | None" = None) -> None:
    """Create the schema or bring it up to date, in one transaction; `vault` is for what must be sealed anew.

    Raises SchemaTooNew when a later release has been at work here. A database that is up to date is only looked at:
    commands need neither the write lock nor Alembic for that.
    """
    if _is_current(engine):
        return
    from outgate.store import schema  # noqa: PLC0415  # Alembic takes 0.1 s, and there is seldom anything to do

    schema.upgrade(engine, vault)


def _is_current(engine: Engine) -> bool:
    with read(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return bool(connection.scalar(text("SELECT version_num FROM alembic_version")) == SCHEMA)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("the database URL must be sqlite:///<path> or postgresql://<host>/<database>") from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "postgresql+psycopg" or (parsed.drivername == "sqlite" and parsed.database):
        return parsed
    raise StoreError(f"the database URL must be sqlite:///<path> or postgresql://…, not {parsed.drivername}://")


def _create(url: URL, connect_args: Mapping[str, Any]) -> Engine:
    """Parameters are kept out of exception texts: they are secrets and message bodies."""
    return create_engine(
        url,
        connect_args=dict(connect_args),
        hide_parameters=True,
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
    )


def _checked_out(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except PoolExhausted:
        raise StoreUnavailable(f"all {POOL} database connections were in use for {BUSY_SECONDS} s") from None


def _open_existing(_dialect: object, _record: object, arguments: list[str], options: dict[str, Any]) -> None:
    """Only what is there is opened."""
    arguments[0] = f"file:{quote(arguments[0])}?mode=rw"
    options["uri"] = True


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 begins no transaction by itself; _begin_sqlite does
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if pages == 0:  # space can be given back later if that is said before anything is written
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL").close()
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma).close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    statement = "BEGIN IMMEDIATE" if writes else "BEGIN"
    with _sqlite_errors(statement):
        connection.connection.cursor().execute(statement)


@contextmanager
def _sqlite_errors(statement: str) -> Iterator[None]:
    """What the driver raises, past SQLAlchemy, is raised as SQLAlchemy would."""
    try:
        yield
    except sqlite3.Error as error:
        if unavailable := _of_sqlite(error):
            _UNAVAILABLE.inc()
            raise unavailable from error
        raise DBAPIError.instance(statement, None, error, sqlite3.Error, hide_parameters=True) from error


def _translate(context: ExceptionContext) -> BaseException | None:
    """Replace a driver's exception by StoreUnavailable where the fault lies with the store's surroundings."""
    unavailable = _unavailable(context)
    if unavailable:
        _UNAVAILABLE.inc()
    return unavailable


def _unavailable(context: ExceptionContext) -> StoreUnavailable | None:
    error = context.original_exception
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction) and _was_to_write(context):
        context.is_disconnect = True  # this server follows another one now: connections are made anew, to whom leads
        return StoreUnavailable("the database takes no writes: it is a standby now, or was made read-only")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        first_line = str(error).strip().partition("\n")[0]
        return StoreUnavailable(f"the database can't be used: {first_line}")
    return None


def _of_sqlite(error: sqlite3.Error) -> StoreUnavailable | None:
    """The low byte is the kind, the rest its variety: https://sqlite.org/rescode.html."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_UNAVAILABLE:
        return StoreUnavailable(f"the database can't be used: {error}")
    return None


def _was_to_write(context: ExceptionContext) -> bool:
    """Else a change within `read` is a fault of the program."""
    return context.connection is not None and _WRITES in context.connection.get_execution_options()
