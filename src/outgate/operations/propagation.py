"""Waits until a change is in force on every node that delivers, so that a command that has returned has been obeyed."""

import time
from typing import Final

from sqlalchemy import Engine

from outgate import clock
from outgate.directory import accounts, nodes
from outgate.frozen import frozen
from outgate.operations.queue_names import names_of
from outgate.queue import admin
from outgate.queue.queue_id import to_text
from outgate.store.engine import read

PATIENCE: Final = 5.0  # seconds; a transaction with a slow gateway may take longer
_PAUSE: Final = 0.02


LISTED: Final = 20  # recipients that are named


@frozen
class Behind:
    """The nodes at which something is still being handed over by what held before, and what that may be."""

    nodes: list[str]
    recipients: list[str]

    @property
    def lines(self) -> list[str]:
        """For people."""
        nodes = ", ".join(one.rstrip(";") for one in self.nodes)
        head = f"saved; mail that was decided before is still being handed over at {nodes}"
        if not self.recipients:
            return [head]
        return [f"{head}; it is among this mail:", *[f"  {one}" for one in self.recipients]]


def wait(engine: Engine, patience: float = PATIENCE) -> Behind | None:
    """None in the good case; else who still hands over what was decided before and can't be called back."""
    changed_at, deadline = clock.now(), time.monotonic() + patience
    version = version_now(engine)
    while behind := nodes_behind(engine, version):
        if time.monotonic() > deadline:
            return Behind(behind, _held(engine, behind, changed_at))
        time.sleep(_PAUSE)
    return None


def _held(engine: Engine, behind: list[str], changed_at: float) -> list[str]:
    with read(engine) as connection:
        held = admin.leased_by(connection, behind, changed_at, LISTED + 1)
        names = names_of(connection, {queue for _, _, queue in held})
    more = ["and more: outgate queue list"] if len(held) > LISTED else []
    return [
        f"{to_text(message_id)} to {address} by {names[queue]}" for message_id, address, queue in held[:LISTED]
    ] + more


def version_now(engine: Engine) -> int:
    """The directory's version: what was changed has it, or a lower one."""
    with read(engine) as connection:
        return accounts.directory_version(connection)


def nodes_behind(engine: Engine, version: int) -> list[str]:
    """The nodes that do not go by this version yet."""
    with read(engine) as connection:
        return nodes.behind(connection, version, clock.now())
