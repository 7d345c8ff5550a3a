"""Operations on the state of the whole: what waits, where it is stuck, which nodes are there."""

from collections.abc import Collection, Mapping

from outgate.directory import gateway_settings, nodes, organisation
from outgate.directory.nodes import Node
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import QueueKey, QueueKind
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue import census
from outgate.queue.census import Census
from outgate.sendas import gateways


@frozen
class State:
    """What the database knows of the server. `names` are the queues in trouble as people name them."""

    census: Census
    nodes: tuple[Node, ...]
    names: Mapping[str, str]


@operation("status.show", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def state(op: OperationContext) -> State:
    """See how the whole stands: what waits, where it is stuck, which nodes are there."""
    found = census.census(op.connection)
    names = queue_names(op, [trouble.queue for trouble in found.troubles])
    return State(found, nodes.live(op.connection, op.now), names)


def queue_names(op: OperationContext, queues: Collection[str]) -> dict[str, str]:
    """Queues as people name them: a gateway's by its host and user. One whose gateway is gone keeps its own name."""
    keys = {queue: QueueKey.parse(queue) for queue in queues}
    rows = [int(key.name) for key in keys.values() if key.kind is QueueKind.GATEWAY and key.name.isdigit()]
    servers = gateways.by_row(op.connection, rows)
    names = {}
    for queue, key in keys.items():
        server = servers.get(key.name) if key.kind is QueueKind.GATEWAY else None
        if key.kind is QueueKind.DOMAIN_GATEWAY:
            server = organisation.domain_gateway(op.connection)
        names[queue] = gateway_settings.in_short(server) if server else queue
    return names
