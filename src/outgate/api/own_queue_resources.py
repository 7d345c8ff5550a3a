"""What waits, as Outgate's own API has it: recipients, whole messages, and what is to be done with which."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from outgate.api.api_method import Resource
from outgate.iso_time import iso
from outgate.operations.resources import event_row
from outgate.queue.admin import Count, Waiting, WaitState
from outgate.queue.queue_id import to_text
from outgate.record.events import MessageEvent

ID = "0c8sm2v1r0003"
MOMENT = "2026-01-31T12:00:00.000Z"


class WaitingRecipient(Resource):
    """A recipient of a message that has no final outcome yet."""

    id: str = Field(description="The message's queue id.", examples=[ID])
    sender: str = Field(description="The address in From.", examples=["alice@dominiopartner.example"])
    recipient: str = Field(description="Who is to get it.", examples=["carol@recipient.example"])
    queue: str = Field(description="The queue that it waits in: a gateway or a destination.", examples=["gateway:3"])
    queue_name: str = Field(description="What people call it.", examples=["smtp.dominiopartner.example (alice)"])
    state: WaitState = Field(description="Whether it was tried, is being tried, or is held.", examples=["deferred"])
    is_suspended: bool = Field(description="Whether nothing of its queue goes now.", examples=[False])
    attempts: int = Field(description="How often it was tried.", examples=[2])
    received_at: str = Field(description="When the message came.", examples=[MOMENT])
    next_attempt: str = Field(description="When it is tried next.", examples=[MOMENT])
    size: int = Field(description="Bytes of the message.", examples=[4096])
    last_reply: str | None = Field(None, description="What was said last.", examples=["451 4.7.1 Try again later"])

    @classmethod
    def of(cls, one: Waiting, names: Mapping[str, str], suspended: frozenset[str]) -> "WaitingRecipient":
        """With its queue's name, and whether that is suspended."""
        return cls(
            id=to_text(one.message_id),
            sender=one.sender,
            recipient=one.recipient,
            queue=one.queue,
            queue_name=names[one.queue],
            state=state_of(one),
            is_suspended=one.queue in suspended,
            attempts=one.attempts,
            received_at=iso(one.received_at),
            next_attempt=iso(one.due_at),
            size=one.size,
            last_reply=one.last_reply,
        )


def state_of(one: Waiting) -> WaitState:
    """As the filter has it."""
    if one.in_transfer:
        return WaitState.IN_TRANSFER
    if one.held:
        return WaitState.HELD
    return WaitState.DEFERRED if one.attempts else WaitState.NEW


class WaitingRecipients(Resource):
    """A page of recipients, those of the oldest message first."""

    items: list[WaitingRecipient] = Field(description="The recipients.")
    next_cursor: str | None = Field(
        None, description="What leads to the next page; left out on the last.", examples=[f"{ID}.1"]
    )


class MessageHistoryEvent(Resource):
    """Something that happened to a message."""

    at: str = Field(description="When.", examples=[MOMENT])
    kind: str = Field(description="What: accepted, routed, attempt, delivered, deferred, …", examples=["accepted"])
    detail: dict[str, object] = Field(
        description="What is known of it; each kind has its own.", examples=[{"account": "alice@example.com"}]
    )

    @classmethod
    def of(cls, event: MessageEvent, names: Mapping[str, str]) -> "MessageHistoryEvent":
        """With the names of the queues that are spoken of."""
        row = event_row(event, names)
        detail = {name: value for name, value in row.items() if name not in ("at", "kind")}
        return cls(at=iso(event.at), kind=event.kind.value, detail=detail)


class QueuedMessage(Resource):
    """A message of which something waits, with its history."""

    id: str = Field(description="Its queue id.", examples=[ID])
    recipients: list[WaitingRecipient] = Field(description="Who has not got it yet.")
    events: list[MessageHistoryEvent] = Field(description="What happened to it, the oldest first.")


class QueueCount(Resource):
    """How much waits in one queue."""

    queue: str = Field(description="The queue: a gateway or a destination.", examples=["mx:recipient.example"])
    queue_name: str = Field(description="What people call it.", examples=["mx:recipient.example"])
    messages: int = Field(description="How many messages.", examples=[3])
    recipients: int = Field(description="How many recipients.", examples=[5])
    held: int = Field(description="How many of them are held.", examples=[0])
    oldest: str = Field(description="When the first of it came.", examples=[MOMENT])

    @classmethod
    def of(cls, one: Count, names: Mapping[str, str]) -> "QueueCount":
        """With the queue's name."""
        return cls(
            queue=one.queue,
            queue_name=names[one.queue],
            messages=one.messages,
            recipients=one.recipients,
            held=one.held,
            oldest=iso(one.oldest),
        )


class QueueCounts(Resource):
    """A page of queues, the fullest first."""

    items: list[QueueCount] = Field(description="The queues.")
    next_cursor: str | None = Field(
        None, description="What leads to the next page; left out on the last.", examples=["5.mx:recipient.example"]
    )


class TallyLine(Resource):
    """How many recipients have something in common."""

    key: str = Field(description="What they have in common.", examples=["deferred"])
    recipients: int = Field(description="How many they are.", examples=[5])


class QueueTally(Resource):
    """How much waits, by what was asked for, the most first."""

    items: list[TallyLine] = Field(description="The lines.")


class QueueSelection(Resource):
    """Which waiting mail is meant: all that is named holds of each recipient."""

    id: str | None = Field(None, description="Only of this message.", examples=[ID])
    address: str | None = Field(
        None, description="Only with this in the address of sender, recipient or account.", examples=["@example.com"]
    )
    queue: str | None = Field(None, description="Only in this queue.", examples=["mx:recipient.example"])
    state: WaitState | None = Field(None, description="Only in this state.", examples=["deferred"])
    older_than: int | None = Field(
        None, ge=0, le=10**9, description="Only what came so many seconds ago or earlier.", examples=[3600]
    )
    reply: str | None = Field(None, description="Only with this in the last reply.", examples=["4.7.1"])
    everything: bool = Field(False, description="Everything that waits: in place of the others.", examples=[False])
    dry_run: bool = Field(False, description="Only say of how many recipients it would be.", examples=[True])


class QueueMove(QueueSelection):
    """Which waiting mail is to go by which way of the organisation's own."""

    way: Literal["organisation", "direct", "usual"] = Field(
        description="Past the address's gateway, past all gateways, or again as usual.", examples=["organisation"]
    )


class OwnWayChoice(Resource):
    """By which way of the organisation's own a message is to go."""

    way: Literal["organisation", "direct", "usual"] = Field(
        description="Past the address's gateway, past all gateways, or again as usual.", examples=["organisation"]
    )


class QueueChange(Resource):
    """What came of a change of waiting mail."""

    recipients: int | None = Field(
        None,
        description="How many recipients it was of, or would be; left out where it is done in steps after the answer.",
        examples=[5],
    )
    is_done: bool = Field(description="Whether it is done; else it is being done, in steps.", examples=[False])
    is_dry_run: bool = Field(description="Whether it was only asked what would be done.", examples=[True])
