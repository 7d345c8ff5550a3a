"""Queues as people name them. Knows no operation."""

from collections.abc import Collection

from sqlalchemy import Connection

from outgate.directory import organisation
from outgate.model import Gateway, QueueKey, QueueKind
from outgate.operations.context import OperationContext
from outgate.sendas import gateways


def queue_names(op: OperationContext, queues: Collection[str]) -> dict[str, str]:
    """As `names_of`, within an operation's transaction."""
    return names_of(op.connection, queues)


def names_of(connection: Connection, queues: Collection[str]) -> dict[str, str]:
    """A gateway's queue by its host and user, as in `smtp.partner.example (alice)`; any other, and one whose gateway is
    gone, by its key.
    """
    keys = {queue: QueueKey.parse(queue) for queue in queues}
    rows = [int(key.name) for key in keys.values() if key.kind is QueueKind.GATEWAY and key.name.isdigit()]
    servers: dict[QueueKey, Gateway | None] = {
        QueueKey(QueueKind.GATEWAY, row): server for row, server in gateways.by_row(connection, rows).items()
    }
    if any(key.kind is QueueKind.DOMAIN_GATEWAY for key in keys.values()):
        servers[QueueKey(QueueKind.DOMAIN_GATEWAY)] = organisation.domain_gateway(connection)
    found = {queue: servers.get(key) for queue, key in keys.items()}
    return {queue: server.in_short if server else queue for queue, server in found.items()}
