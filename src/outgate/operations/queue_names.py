"""Queues as people name them. Knows no operation."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from outgate.directory import organisation
from outgate.model import QueueKey, QueueKind
from outgate.operations.context import OperationContext
from outgate.record.events import MessageEvent
from outgate.sendas import gateways


def queue_names(op: OperationContext, queues: Collection[str]) -> dict[str, str]:
    """As `names_of`, within an operation's transaction."""
    return names_of(op.connection, queues)


def event_queues(op: OperationContext, events: Sequence[MessageEvent]) -> dict[str, str]:
    """The names of the queues that are spoken of."""
    return queue_names(op, {event.detail["queue"] for event in events if "queue" in event.detail})


def names_of(connection: Connection, queues: Collection[str]) -> dict[str, str]:
    """A gateway's queue by its host and user, as in `smtp.partner.example (alice)`; any other, and one whose gateway is
    gone, by its key.
    """
    names = {queue: found.gateway.in_short for queue, found in gateways.of_queues(connection, queues).items()}
    if any(QueueKey.parse(queue).kind is QueueKind.DOMAIN_GATEWAY for queue in queues):
        names |= {str(queue): relay.in_short for queue, relay in organisation.domain_gateways(connection).items()}
    return {queue: names.get(queue, queue) for queue in queues}
