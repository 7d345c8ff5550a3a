"""Outgate's own API: the record of messages: where each went, what happens now, and how much went by which way."""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.google_error import ApiError, not_found
from outgate.api.own_method import CURSOR, LIMIT, cursor_of, limit_of, own_method
from outgate.api.own_queue import MESSAGE, queue_number
from outgate.api.own_queue_resources import ID, MOMENT, MessageHistoryEvent
from outgate.iso_time import iso
from outgate.operations import message_log_operations, traffic_operations
from outgate.operations.queue_names import event_queues
from outgate.queue.queue_id import from_text, to_text
from outgate.record.message_log import LoggedMessage, MessageFilter, MessageOutcome

_CURSOR_FORM: Final = r"([0-7][0-9a-hjkmnp-tv-z]{12})"
_HOUR: Final = 3600
_MOST_HOURS: Final = 24 * 31


class LogEntry(Resource):
    """A message that came, and what became of it."""

    id: str = Field(description="Its queue id.", examples=[ID])
    at: str = Field(description="When it came.", examples=[MOMENT])
    outcome: MessageOutcome = Field(description="What became of it so far.", examples=["delivered"])
    account: str = Field(description="Whose account it was sent by.", examples=["alice@example.com"])
    senders: list[str] = Field(description="The addresses in From.", examples=[["alice@dominiopartner.example"]])
    mail_from: str = Field(description="The envelope's sender.", examples=["alice@dominiopartner.example"])
    recipients: list[str] = Field(description="Who was to get it.", examples=[["carol@recipient.example"]])
    size: int = Field(description="Its bytes.", examples=[4096])
    peer: str = Field(description="Where it came from.", examples=["192.0.2.7"])
    message_id: str = Field(description="Its Message-ID.", examples=["<20260131.1@client.example>"])
    refused: str | None = Field(None, description="What was answered, if it was not taken.", examples=["550 5.7.1 No"])

    @classmethod
    def of(cls, found: LoggedMessage) -> "LogEntry":
        """As it is on record."""
        event, detail = found.event, found.event.detail
        return cls(
            id=to_text(event.message_id),
            at=iso(event.at),
            outcome=found.outcome,
            account=detail["account"],
            senders=detail["from"],
            mail_from=detail["mail_from"],
            recipients=detail["recipients"],
            size=detail["size"],
            peer=detail["peer"],
            message_id=detail["message_id"],
            refused=detail.get("refused"),
        )


class LogEntries(Resource):
    """A page of messages, the newest first."""

    items: list[LogEntry] = Field(description="The messages.")
    next_cursor: str | None = Field(
        None, description="What leads to the next page; left out on the last.", examples=[ID]
    )


class MessageHistory(Resource):
    """The whole story of a message."""

    id: str = Field(description="Its queue id.", examples=[ID])
    events: list[MessageHistoryEvent] = Field(description="What happened, the oldest first.")


class FollowedEvent(MessageHistoryEvent):
    """Something that happened to one of the messages."""

    id: str = Field(description="The message's queue id.", examples=[ID])


class FollowedEvents(Resource):
    """What was recorded since it was asked the last time."""

    items: list[FollowedEvent] = Field(description="What happened, the oldest first.")
    next_cursor: str = Field(description="What to ask with the next time.", examples=["4711"])


class TrafficLine(Resource):
    """How often something was counted in an hour."""

    hour: str = Field(description="When the hour began.", examples=[MOMENT])
    measure: str = Field(description="What was counted.", examples=["delivered"])
    label: str = Field(description="Of which way, or what else it is counted by.", examples=["user-gateway"])
    count: int = Field(description="How often.", examples=[42])


class Traffic(Resource):
    """How much mail went by which way."""

    items: list[TrafficLine] = Field(description="The lines.")


def messages(call: ApiCall) -> LogEntries:
    """A page of those that match."""
    given, limit, cursor = call.parameters, limit_of(call), cursor_of(call, _CURSOR_FORM)
    wanted = MessageFilter(
        given.get("address"),
        given.get("sender"),
        given.get("recipient"),
        given.get("messageId"),
        MessageOutcome(given["outcome"]) if "outcome" in given else None,
        since=call.moment("since"),
        until=call.moment("until"),
        limit=limit,
        older_than=from_text(cursor[0]) if cursor else None,
    )
    with call.reading() as op:
        found = message_log_operations.messages(op, wanted)
    return LogEntries(
        items=[LogEntry.of(one) for one in found],
        next_cursor=to_text(found[-1].event.message_id) if len(found) == limit else None,
    )


def history(call: ApiCall) -> MessageHistory:
    """All that happened to one."""
    number = queue_number(call.parameters["id"])
    with call.reading() as op:
        events = message_log_operations.history(op, number)
        names = event_queues(op, events)
    if not events:
        raise not_found(f"There is no message {to_text(number)}.")
    return MessageHistory(id=to_text(number), events=[MessageHistoryEvent.of(one, names) for one in events])


def followed(call: ApiCall) -> FollowedEvents:
    """What happened since; without a cursor nothing, but where to go on from."""
    cursor = cursor_of(call, r"(\d{1,18})")
    after = int(cursor[0]) if cursor else None
    complete = message_log_operations.complete_row(call.services.engine)
    if complete is None and after is None:
        raise ApiError(503, "The record is being written to just now; ask again.", headers={"Retry-After": "1"})
    with call.reading() as op:
        tail = message_log_operations.latest(op, complete or after or 0, after, limit_of(call))
        names = event_queues(op, tail.events)
    told = [(one, MessageHistoryEvent.of(one, names)) for one in tail.events]
    items = [FollowedEvent(id=to_text(one.message_id), at=e.at, kind=e.kind, detail=e.detail) for one, e in told]
    return FollowedEvents(items=items, next_cursor=str(tail.after))


def traffic(call: ApiCall) -> Traffic:
    """By hour."""
    hours = min(max(int(call.parameters["hours"]), 1), _MOST_HOURS)
    with call.reading() as op:
        found = traffic_operations.traffic(op, int(op.now) // _HOUR - hours + 1)
    lines = [
        TrafficLine(hour=iso(float(one.hour * _HOUR)), measure=str(one.measure), label=one.label, count=one.count)
        for one in found
    ]
    return Traffic(items=lines)


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(
        message_log_operations.messages,
        "GET",
        "log/messages",
        messages,
        ApiParameter("address", "Only from or to this address, or this domain.", "query"),
        ApiParameter("sender", "Only with this sender or account, or of this domain.", "query"),
        ApiParameter("recipient", "Only to this address, or this domain.", "query"),
        ApiParameter("messageId", "Only with this Message-ID.", "query"),
        ApiParameter("outcome", "Only what came to this.", "query", enum=tuple(MessageOutcome)),
        ApiParameter("since", "Only from then on, as in 2026-01-31T10:00:00Z.", "query"),
        ApiParameter("until", "Only before then.", "query"),
        LIMIT,
        CURSOR,
        says="The newest first.",
        gives=LogEntries,
    ),
    own_method(
        message_log_operations.history,
        "GET",
        "log/messages/{id}",
        history,
        MESSAGE,
        says="Each decision with its reasons, each attempt with the peer's reply, each outcome.",
        gives=MessageHistory,
    ),
    own_method(
        message_log_operations.latest,
        "GET",
        "log/events",
        followed,
        LIMIT,
        CURSOR,
        says="Without a cursor it tells where to go on from.",
        gives=FollowedEvents,
    ),
    own_method(
        traffic_operations.traffic,
        "GET",
        "log/traffic",
        traffic,
        ApiParameter("hours", f"Of so many hours, {_MOST_HOURS} at most.", "query", "integer", "int32", default="24"),
        gives=Traffic,
    ),
)
