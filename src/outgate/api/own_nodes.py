"""Outgate's own API: the servers of an installation, draining one, and how the whole stands."""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.google_error import not_found
from outgate.api.own_method import own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.iso_time import iso
from outgate.operations import node_operations, status_operations
from outgate.operations.context import OperationContext
from outgate.operations.node_operations import NodeStanding

NODE: Final = ApiParameter("node", "The server's id.")
_ID: Final = "0f3c9a"


class NodeResource(Resource):
    """A server of the installation."""

    node: str = Field(description="Its id.", examples=[_ID])
    processes: int = Field(description="How many of its processes were heard of lately.", examples=[2])
    seen_at: str | None = Field(None, description="When it was heard of last.", examples=[MOMENT])
    is_drained: bool = Field(description="Whether it takes nothing new.", examples=[False])
    drained_by: str | None = Field(None, description="Who has said so.", examples=["alice@example.com"])
    recipients: int = Field(description="How many recipients it has in hand.", examples=[3])

    @classmethod
    def of(cls, one: NodeStanding) -> "NodeResource":
        """How it stands."""
        return cls(
            node=one.node,
            processes=len(one.processes),
            seen_at=iso(max((each.seen_at for each in one.processes), default=None)),
            is_drained=one.drained is not None,
            drained_by=one.drained.author if one.drained else None,
            recipients=one.held,
        )


class NodeList(Resource):
    """The servers of the installation."""

    items: list[NodeResource] = Field(description="The servers.")


class QueueTrouble(Resource):
    """A queue whose mail was tried in vain and waits to be tried again."""

    queue: str = Field(description="The queue.", examples=["gateway:3"])
    queue_name: str = Field(description="What people call it.", examples=["smtp.dominiopartner.example (alice)"])
    attempts: int = Field(description="How often it was tried.", examples=[2])
    last_reply: str = Field(description="What was said last.", examples=["451 4.7.1 Try again later"])
    next_attempt: str = Field(description="When it is tried next.", examples=[MOMENT])


class InstallationStatus(Resource):
    """How the whole stands."""

    recipients: int = Field(description="How many recipients wait.", examples=[5])
    oldest: str | None = Field(None, description="Since when the first of them waits.", examples=[MOMENT])
    troubles: list[QueueTrouble] = Field(description="Where mail is stuck.")
    processes: int = Field(description="How many processes deliver.", examples=[2])


def listed(call: ApiCall) -> NodeList:
    """All of them."""
    with call.reading() as op:
        return NodeList(items=[NodeResource.of(one) for one in node_operations.listed(op)])


def drain(call: ApiCall) -> NodeResource:
    """It takes nothing new."""
    node = call.parameters["node"]
    with call.writing() as op:
        _standing(op, node)
        node_operations.drain(op, node)
        return _standing(op, node)


def resume(call: ApiCall) -> None:
    """It takes mail again."""
    with call.writing() as op:
        node_operations.resume(op, call.parameters["node"])


def _standing(op: OperationContext, node: str) -> NodeResource:
    found = next((one for one in node_operations.listed(op) if one.node == node), None)
    if found is None:
        raise not_found(f"There is no server {node[:80]} here: `nodes` lists those there are.")
    return NodeResource.of(found)


def status(call: ApiCall) -> InstallationStatus:
    """What waits, where it is stuck, how many deliver."""
    with call.reading() as op:
        state = status_operations.state(op)
    troubles = [
        QueueTrouble(
            queue=one.queue,
            queue_name=state.names[one.queue],
            attempts=one.attempts,
            last_reply=one.last_reply,
            next_attempt=iso(one.next_attempt),
        )
        for one in state.census.troubles
    ]
    census = state.census
    return InstallationStatus(
        recipients=census.recipients, oldest=iso(census.oldest), troubles=troubles, processes=len(state.nodes)
    )


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(status_operations.state, "GET", "status", status, gives=InstallationStatus),
    own_method(node_operations.listed, "GET", "nodes", listed, gives=NodeList),
    own_method(
        node_operations.drain,
        "POST",
        "nodes/{node}/drain",
        drain,
        NODE,
        gives=NodeResource,
        besides=(node_operations.listed,),
    ),
    own_method(node_operations.resume, "POST", "nodes/{node}/resume", resume, NODE),
)
