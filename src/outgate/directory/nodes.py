"""The processes that deliver, and the directory's version that each goes by: whoever changes policy waits for them.

The caller owns the transaction. Knows no queue.
"""

from typing import Final

from sqlalchemy import Connection, and_, delete, insert, select

from outgate.frozen import frozen
from outgate.store.batch import Batch
from outgate.store.tables import node

HEARTBEAT: Final = 5.0  # seconds between two signs of life
_ANY: Final = 2**62  # a version that is behind none
NODE_GONE: Final = 20.0  # seconds after which a node that was not heard of is taken to be gone


@frozen
class GoesBy:
    """This node hands nothing over any more that was decided under an older version; None: it stops.

    `wedged`: how often its watchdog had to end something, and when it last had. Answers with the node's number among
    those that deliver, and how many these are.
    """

    node: str
    version: int | None
    at: float
    wedged: tuple[int, float] = (0, 0.0)

    def add_to(self, batch: Batch) -> None:
        """Not batched: it is rare."""

    @property
    def weight(self) -> int:
        """Nothing to speak of."""
        return 0

    def answer(self, connection: Connection) -> tuple[int, int]:
        """Its share."""
        connection.execute(delete(node).where(node.c.name == self.node))
        if self.version is not None:
            times, last = self.wedged
            row = {"name": self.node, "version": self.version, "seen_at": self.at, "wedged": times, "wedged_at": last}
            connection.execute(insert(node).values(row))
        names = [one.name for one in live(connection, self.at)]
        return (names.index(self.node), len(names)) if self.node in names else (0, 1)


@frozen
class Node:
    """A process that delivers, and when it was heard of last; how often its watchdog ended something, and when last."""

    name: str
    seen_at: float
    wedged: int = 0
    wedged_at: float = 0.0


def live(connection: Connection, now: float) -> tuple[Node, ...]:
    """The nodes that were heard of lately."""
    columns = node.c
    rows = connection.execute(
        select(columns.name, columns.seen_at, columns.wedged, columns.wedged_at).where(
            columns.seen_at.between(now - NODE_GONE, now + NODE_GONE)
        )
    )
    return tuple(sorted((Node(*row) for row in rows), key=lambda one: one.name))


def behind(connection: Connection, version: int, now: float) -> list[str]:
    """The nodes that do not go by this version of the directory yet."""
    # One that was heard of in the future was so before the clock was set back.
    live = and_(node.c.seen_at.between(now - NODE_GONE, now + NODE_GONE), node.c.version < version)
    return list(connection.scalars(select(node.c.name).where(live).order_by(node.c.name)))


def seen(connection: Connection, prefix: str, now: float) -> dict[str, float]:
    """The processes whose names begin so and were heard of not long ago, and when."""
    live = and_(node.c.name.startswith(prefix, autoescape=True), node.c.seen_at > now - NODE_GONE)
    return {row.name: row.seen_at for row in connection.execute(select(node).where(live))}


def announce(connection: Connection, prefix: str, name: str, now: float) -> None:
    """A process begins, which hands nothing over yet. Those that are gone, of names with this prefix, are forgotten."""
    gone = and_(node.c.name.startswith(prefix, autoescape=True), node.c.seen_at <= now - NODE_GONE)
    connection.execute(delete(node).where(gone))
    connection.execute(insert(node).values(name=name, version=_ANY, seen_at=now))
