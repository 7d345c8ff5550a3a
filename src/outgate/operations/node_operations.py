"""Operations on nodes: which there are, and draining one, so that it can be taken away without anybody noticing."""

from collections import Counter

from outgate.directory import nodes
from outgate.directory.errors import NotFound
from outgate.directory.nodes import Drained, Node
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue import admin


@frozen
class NodeStanding:
    """A node by its id: its processes that were heard of lately, whether it is drained, how many recipients it has."""

    node: str
    processes: tuple[Node, ...]
    drained: Drained | None
    held: int

    @property
    def is_empty(self) -> bool:
        """It takes nothing new, and has finished what it had."""
        return self.drained is not None and not self.held


@operation("node.list", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def listed(op: OperationContext) -> list[NodeStanding]:
    """See which nodes there are, which are drained, and what they still have."""
    live, drained = nodes.live(op.connection, op.now), nodes.drained(op.connection)
    held = Counter[str]()
    for worker, recipients in admin.leases(op.connection).items():
        held[nodes.id_of(worker)] += recipients
    return [
        NodeStanding(one, tuple(each for each in live if nodes.id_of(each.name) == one), drained.get(one), held[one])
        for one in sorted({*(nodes.id_of(each.name) for each in live), *drained})
    ]


@operation("node.drain", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def drain(op: OperationContext, node: str) -> None:
    """Let a node take nothing new and finish what it has."""
    nodes.drain(op.connection, node, op.actor.name, op.now)
    op.note(node=node)


@operation("node.resume", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def resume(op: OperationContext, node: str) -> None:
    """Let a drained node take mail again."""
    if not nodes.resume(op.connection, node):
        raise NotFound("node {node} is not drained", node=node)
    op.note(node=node)
