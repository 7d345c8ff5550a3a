"""Brings a database's schema up to date by the migrations beside this file (Alembic). Knows no table's meaning."""

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from outgate.store.engine import SchemaTooNew, write
from outgate.store.vault import Vault

_MIGRATION_LOCK: Final = 0x6F757467  # PostgreSQL's advisory lock: one program migrates at a time


def upgrade(engine: Engine, vault: Vault | None = None) -> None:
    """Run what is missing, in one transaction; `vault` is for what must be sealed anew. Raises SchemaTooNew."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = _config()
    with write(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        _refuse_newer(connection, ScriptDirectory.from_config(config))
        config.attributes.update(connection=connection, vault=vault)
        command.upgrade(config, "head")


def newest() -> str | None:
    """The newest migration there is."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    for found in MigrationContext.configure(connection).get_current_heads():
        if found not in known:
            raise SchemaTooNew(
                f"the database has schema {found}, which this release does not know (its newest is"
                f" {scripts.get_current_head()}): run the release that migrated it, or a later one"
            )
