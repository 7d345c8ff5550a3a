"""A data directory, opened: its settings, its keys and its database. Knows neither the server nor the commands."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from outgate import config
from outgate.config import Config
from outgate.store.engine import migrate, open_engine
from outgate.store.vault import Vault

KEY_FILE = "secret.key"
LOCK_FILE = "serve.lock"  # open in every process of the server


class InstallationError(Exception):
    """The data directory can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Installation:
    """An opened data directory."""

    config: Config
    engine: Engine
    vault: Vault


def open_installation(data: Path) -> Installation:
    """Open a data directory that `outgate init` made, and bring its database up to date."""
    if not (data / "outgate.toml").exists():
        raise InstallationError(
            f"{data} is not an Outgate data directory; make one with: outgate --data {data} init DOMAIN"
        )
    settings = config.load(data)
    vault = Vault.load(data / KEY_FILE, command=settings.secret_key_command)
    engine = open_engine(settings.database)
    migrate(engine, vault)
    return Installation(settings, engine, vault)
