"""The processes that deliver, and the directory's version that each goes by: whoever changes policy waits for them. And
the nodes that are drained: they take nothing new, and finish what they have.

The caller owns the transaction. Knows no queue.
"""

from typing import Final

from sqlalchemy import Connection, and_, delete, insert, select

from outgate.directory import change
from outgate.frozen import frozen
from outgate.store.batch import Batch
from outgate.store.tables import drained_node, node

HEARTBEAT: Final = 5.0  # seconds between two signs of life
_ANY: Final = 2**62  # a version that is behind none
NODE_GONE: Final = 20.0  # seconds after which a node that was not heard of is taken to be gone


@frozen
class ProcessStanding:
    """What a process is told with each sign of life: its number among those that deliver, and how many these are; and
    whether its node is drained.
    """

    share: tuple[int, int] = (0, 1)
    is_drained: bool = False


@frozen
class Drained:
    """Since when a node takes nothing new (seconds since the epoch), and who has said so."""

    author: str
    since: float


@frozen
class GoesBy:
    """This node hands nothing over any more that was decided under an older version; None: it stops.

    `wedged`: how often its watchdog had to end something, and when it last had. Answers with
    its standing.
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

    def answer(self, connection: Connection) -> ProcessStanding:
        """How it stands."""
        connection.execute(delete(node).where(node.c.name == self.node))
        if self.version is not None:
            times, last = self.wedged
            row = {"name": self.node, "version": self.version, "seen_at": self.at, "wedged": times, "wedged_at": last}
            connection.execute(insert(node).values(row))
        names = [one.name for one in live(connection, self.at)]
        share = (names.index(self.node), len(names)) if self.node in names else (0, 1)
        return ProcessStanding(share, id_of(self.node) in drained(connection))


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


def id_of(name: str) -> str:
    """The id of the node (node_id.py) that a process of this name is of."""
    return name.partition("@")[0]


def drained(connection: Connection) -> dict[str, Drained]:
    """The nodes that take nothing new, by id."""
    rows = connection.execute(select(drained_node).order_by(drained_node.c.since))
    return {row.node: Drained(row.author, row.since) for row in rows}


def drain(connection: Connection, node_id: str, author: str, now: float) -> None:
    """Let a node take nothing new; each of its processes knows when it goes by this version."""
    change.touch(connection)
    if node_id not in drained(connection):
        connection.execute(insert(drained_node).values(node=node_id, author=author, since=now))


def resume(connection: Connection, node_id: str) -> bool:
    """Undo `drain`; False if there is nothing to undo."""
    change.touch(connection)
    return connection.execute(delete(drained_node).where(drained_node.c.node == node_id)).rowcount > 0


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
