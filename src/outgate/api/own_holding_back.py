"""Outgate's own API: what holds mail of a queue back: suspending and limiting gateways and destinations."""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.own_method import own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.iso_time import iso
from outgate.model import Cause, QueueKey, Restriction
from outgate.operations import gateway_overview, restriction_operations
from outgate.operations.context import OperationContext
from outgate.operations.restriction_operations import Ceiling

QUEUE: Final = ApiParameter(
    "queue", "A gateway or a destination, as in `gateway:3`, `domain-gateway`, `mx:recipient.example`."
)
_REASON: Final = "their maintenance"


class RestrictionResource(Resource):
    """What holds mail of a queue back."""

    queue: str = Field(description="The queue.", examples=["mx:recipient.example"])
    cause: Cause = Field(description="What it comes from.", examples=["operator"])
    suspends: bool = Field(description="Whether nothing goes at all.", examples=[True])
    connections: int | None = Field(None, description="At most so many at once, over all nodes.", examples=[2])
    rates: list[str] = Field(description="At most so many messages by time.", examples=[["300/1hour"]])
    reason: str = Field(description="Why.", examples=[_REASON])
    author: str = Field(description="Who has said so.", examples=["alice@example.com"])
    since: str = Field(description="Since when.", examples=[MOMENT])
    until: str | None = Field(None, description="Until when; left out if it has no end.", examples=[MOMENT])

    @classmethod
    def of(cls, queue: QueueKey, one: Restriction) -> "RestrictionResource":
        """Of a queue."""
        return cls(
            queue=str(queue),
            cause=one.cause,
            suspends=one.suspends,
            connections=one.connections,
            rates=list(one.rates),
            reason=one.reason,
            author=one.author,
            since=iso(one.since),
            until=iso(one.until),
        )


class RestrictionList(Resource):
    """What is suspended or slowed down."""

    items: list[RestrictionResource] = Field(description="The restrictions.")


class Suspension(Resource):
    """Why nothing is to go to a queue, and for how long."""

    reason: str = Field("none was given", description="Why, for whoever comes next.", examples=[_REASON])
    seconds: float | None = Field(None, description="For how long; left out: until it is resumed.", examples=[7200])


class CeilingResource(Resource):
    """At most so much of a queue, over all nodes."""

    connections: int | None = Field(None, description="At most so many connections at once.", examples=[2])
    rates: list[str] = Field(
        [], max_length=10, description="At most so many messages by time.", examples=[["300/hour"]]
    )
    reason: str = Field(description="Why, for whoever comes next.", examples=["they said so"])


def listed(call: ApiCall) -> RestrictionList:
    """All that holds."""
    with call.reading() as op:
        return RestrictionList(items=[RestrictionResource.of(*one) for one in restriction_operations.listed(op)])


def suspend(call: ApiCall) -> RestrictionList:
    """Nothing of the queue goes."""
    sent, queues = call.resource(Suspension), _queues(call)
    with call.writing() as op:
        restriction_operations.suspend(op, queues, sent.reason, sent.seconds)
        return _of(_in_force(op, queues))


def resume(call: ApiCall) -> RestrictionList:
    """It goes on; what is told is what was ended."""
    with call.writing() as op:
        return _of(restriction_operations.resume(op, _queues(call)))


def limit(call: ApiCall) -> RestrictionList:
    """A ceiling."""
    sent, queues = call.resource(CeilingResource), _queues(call)
    with call.writing() as op:
        restriction_operations.limit(op, queues, Ceiling(sent.connections, tuple(sent.rates)), sent.reason)
        return _of(_in_force(op, queues))


def unlimit(call: ApiCall) -> None:
    """No ceiling any more."""
    with call.writing() as op:
        restriction_operations.limit(op, _queues(call), None, "")


def _queues(call: ApiCall) -> list[QueueKey]:
    return gateway_overview.destination_queues([call.parameters["queue"]])


def _in_force(op: OperationContext, queues: list[QueueKey]) -> list[tuple[QueueKey, Restriction]]:
    return [(queue, one) for queue, one in restriction_operations.listed(op) if queue in queues]


def _of(found: list[tuple[QueueKey, Restriction]]) -> RestrictionList:
    return RestrictionList(items=[RestrictionResource.of(*one) for one in found])


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(restriction_operations.listed, "GET", "restrictions", listed, gives=RestrictionList),
    own_method(
        restriction_operations.suspend,
        "PUT",
        "queues/{queue}/suspension",
        suspend,
        QUEUE,
        says="What holds the queue back now is answered.",
        takes=Suspension,
        gives=RestrictionList,
        besides=(restriction_operations.listed,),
    ),
    own_method(
        restriction_operations.resume,
        "DELETE",
        "queues/{queue}/suspension",
        resume,
        QUEUE,
        says="What was ended is answered.",
        gives=RestrictionList,
    ),
    own_method(
        restriction_operations.limit,
        "PUT",
        "queues/{queue}/limit",
        limit,
        QUEUE,
        says="What holds the queue back now is answered.",
        takes=CeilingResource,
        gives=RestrictionList,
        besides=(restriction_operations.listed,),
    ),
    own_method(restriction_operations.limit, "DELETE", "queues/{queue}/limit", unlimit, QUEUE, name="end"),
)
