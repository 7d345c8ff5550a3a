"""Operations on the state of the whole: what waits, where it is stuck, which nodes are there."""

from collections.abc import Mapping
from dataclasses import dataclass

from outgate.directory import nodes
from outgate.directory.nodes import Node
from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue import census
from outgate.queue.census import Census
from outgate.sendas.queue_names import QueueName, queue_names


@dataclass(frozen=True, slots=True)
class State:
    """What the database knows of the server. `names` are the queues in trouble as people name them."""

    census: Census
    nodes: tuple[Node, ...]
    names: Mapping[str, QueueName]


@operation("status.show", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def state(op: OperationContext) -> State:
    """See how the whole stands: what waits, where it is stuck, which nodes are there."""
    found = census.census(op.connection)
    names = queue_names(op.connection, [trouble.queue for trouble in found.troubles])
    return State(found, nodes.live(op.connection, op.now), names)
