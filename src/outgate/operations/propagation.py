"""Waits until a change is in force on every node that delivers, so that a command that has returned has been obeyed."""

import time
from typing import Final

from sqlalchemy import Engine

from outgate import clock
from outgate.directory import accounts, nodes
from outgate.store.engine import read

PATIENCE: Final = 5.0  # seconds; a transaction with a slow gateway may take longer
_PAUSE: Final = 0.02


def wait(engine: Engine, patience: float = PATIENCE) -> list[str]:
    """Returns the nodes that are still handing something over that was decided before; empty in the good case."""
    deadline = time.monotonic() + patience
    with read(engine) as connection:
        version = accounts.directory_version(connection)
    while behind := _behind(engine, version):
        if time.monotonic() > deadline:
            return behind
        time.sleep(_PAUSE)
    return []


def _behind(engine: Engine, version: int) -> list[str]:
    with read(engine) as connection:
        return nodes.behind(connection, version, clock.now())
