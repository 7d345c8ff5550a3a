"""Operations on the state of the whole: what waits, where it is stuck, which nodes are there."""

from collections.abc import Mapping

from outgate.directory import nodes
from outgate.directory.nodes import Drained, Node
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import UsersGateway
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.operations.queue_names import queue_names
from outgate.queue import census
from outgate.queue.census import Census
from outgate.sendas import gateways
from outgate.webhooks import endpoints
from outgate.webhooks.endpoints import Webhook


@frozen
class State:
    """What the database knows of the server. Of the queues in trouble, `names` are as people call them,
    `gateways` are those that are users'."""

    census: Census
    nodes: tuple[Node, ...]
    names: Mapping[str, str]
    gateways: Mapping[str, UsersGateway]
    drained: Mapping[str, Drained]  # by node
    stopped: tuple[Webhook, ...]  # by the server; of who may see webhooks


@operation("status.show", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def state(op: OperationContext) -> State:
    """See how the whole stands: what waits, where it is stuck, which nodes are there."""
    found = census.census(op.connection)
    queues = [trouble.queue for trouble in found.troubles]
    owned = gateways.of_queues(op.connection, queues)
    names, drained = queue_names(op, queues), nodes.drained(op.connection)
    may_see = op.actor.may(op.connection, Privilege.LOG_READ, "/")
    stopped = tuple(endpoints.stopped_by_server(op.connection)) if may_see else ()
    return State(found, nodes.live(op.connection, op.now), names, owned, drained, stopped)
