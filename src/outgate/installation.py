"""A data directory, opened: its settings, its keys and its database. Knows neither the server nor the commands."""

import errno
import fcntl
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from outgate import config
from outgate.config import Config
from outgate.frozen import frozen
from outgate.store.engine import is_made, make_file, migrate, open_engine
from outgate.store.vault import Vault

KEY_FILE = "secret.key"
LOCK_FILE = "serve.lock"  # open in every process of the server


def server_runs(data: Path) -> bool:
    """Whether a server is running on this data directory, on this machine."""
    try:
        with (data / LOCK_FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


class InstallationError(Exception):
    """The data directory can't be used; the text says why and what to do."""


@frozen
class Installation:
    """An opened data directory."""

    config: Config
    engine: Engine
    vault: Vault


def open_installation(data: Path) -> Installation:
    """Open a data directory that `outgate init` made, and bring its database up to date."""
    with _readable(data):
        if not (data / "outgate.toml").exists():
            raise InstallationError(
                f"{data} is not an Outgate data directory; make one with: outgate --data {data} init DOMAIN"
            )
        settings = config.load(data)
        vault = Vault.load(data / KEY_FILE, command=settings.secret_key_command)
        engine = open_engine(settings.database)
        try:
            _check_database(engine)
            migrate(engine, vault)
        except BaseException:
            engine.dispose()
            raise
    return Installation(settings, engine, vault)


def make_database(data: Path) -> None:
    """The empty database of a new data directory. Nothing but `outgate init` makes one."""
    engine = open_engine(config.load(data).database)
    make_file(engine)
    migrate(engine)
    engine.dispose()


def _check_database(engine: Engine) -> None:
    """That there is one, and that it is Outgate's."""
    file = Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None
    name = file or engine.url.render_as_string()
    if file and not file.exists():
        raise InstallationError(
            f"the database {name} is missing: bring back your backup of it (docs/operating.md), or begin anew with:"
            " outgate --data NEW-DIRECTORY init DOMAIN"
        )
    if file:
        _require_writable(file)
    if (file and not file.stat().st_size) or not is_made(engine):
        raise InstallationError(
            f"the database {name} has no tables of Outgate: bring back your backup of it (docs/operating.md), or"
            " correct database_url in outgate.toml"
        )


def _require_writable(file: Path) -> None:
    """Raises PermissionError. Nothing is opened: to close it would take away the locks (fcntl) of all connections that
    this process has there, and whoever looks in next would remove SQLite's log beneath them.
    """
    if not os.access(file, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))


@contextmanager
def _readable(data: Path) -> Iterator[None]:
    """Stands round whatever reads the data directory."""
    try:
        yield
    except PermissionError as error:
        user, owner = _user(), owner_of(data)
        advice = f"run this as {owner}" if user != owner else f"give it back to {user}, as root: chown -R {user} {data}"
        raise InstallationError(f"{error.filename or data} may not be read by {user}: {advice}") from None


def _user() -> str:
    """As whom this program may read."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def owner_of(data: Path) -> str:
    """Who the data directory belongs to, as far as that can be seen."""
    try:
        return data.owner()
    except (OSError, KeyError):
        return "root"
