"""What endpoints are told: the JSON of each type of event, of what is on record. Pure.

Never a body, a subject, or a secret: the record has none.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from outgate.frozen import frozen
from outgate.iso_time import iso
from outgate.model import QueueKey, Restriction, UsersGateway
from outgate.printable import printable
from outgate.queue.queue_id import to_text
from outgate.record.events import EventKind, MessageEvent

REPLY: Final = 500  # characters
FROM: Final = 10  # addresses


class WebhookEventType(StrEnum):
    """What an endpoint may be told of; the text stands in `type`."""

    DELIVERED = "message.delivered"
    DEFERRED = "message.deferred"
    BOUNCED = "message.bounced"
    SUSPENDED = "gateway.suspended"
    RESUMED = "gateway.resumed"
    TEST = "webhook.test"


KINDS: Final[Mapping[WebhookEventType, EventKind]] = {
    WebhookEventType.DELIVERED: EventKind.DELIVERED,
    WebhookEventType.DEFERRED: EventKind.DEFERRED,
    WebhookEventType.BOUNCED: EventKind.BOUNCED,
}
_TYPES: Final = {kind: event_type for event_type, kind in KINDS.items()}
OF_GATEWAYS: Final = (WebhookEventType.SUSPENDED, WebhookEventType.RESUMED)
# What may be asked for: everybody is sent tests.
CHOICES: Final = (*KINDS, *OF_GATEWAYS)


@frozen
class EventBody:
    """One event as it is signed and sent. `event_id` is the same whenever and to whomever it is sent."""

    event_id: str
    event_type: WebhookEventType
    text: str


def of_message(row: int, event: MessageEvent, accepted: Mapping[str, Any] | None, unit: str | None) -> EventBody:
    """An outcome of a recipient, of this row of the record. `accepted` is the detail of the message's first event,
    `unit` its account's.
    """
    first = accepted or {}
    message, detail = to_text(event.message_id), event.detail
    data: dict[str, object] = {
        "message": message,
        "message_id": str(first.get("message_id", "")).strip() or None,
        "account": first.get("account") or None,
        "unit": unit,
        "from": first.get("from", [])[:FROM],
        "recipient": detail["recipient"],
    }
    match event.kind:
        case EventKind.DELIVERED:
            data |= {"server": detail["by"], "reply": _excerpt(detail["reply"])}
        case EventKind.DEFERRED:
            data |= {"reason": _excerpt(detail["reason"]), "next_attempt": iso(_finite(detail["next_attempt"]))}
        case _:
            data |= {"reason": _excerpt(detail["reason"]), "report": detail["report"]}
    return _made(f"{message}-{row}", _TYPES[event.kind], event.at, data)


def suspended(queue: QueueKey, why: Restriction, owner: UsersGateway | None, unit: str | None) -> EventBody:
    """A gateway's mail waits from now on. `owner` is whose it is, None for the organisation's."""
    data = {
        "queue": str(queue),
        "host": owner.gateway.host if owner else None,
        "account": (owner.account or None) if owner else None,
        "unit": unit,
        "address": owner.address if owner else None,
        "cause": why.cause.value,
        "reason": _excerpt(why.reason),
        "by": why.author,
        "since": iso(why.since),
        "until": iso(why.until),
    }
    return _made(_suspension_id(queue, why.since, "suspended"), WebhookEventType.SUSPENDED, why.since, data)


def resumed(queue: QueueKey, since: float, told: Mapping[str, Any], at: float) -> EventBody:
    """The mail of a gateway goes on that was suspended `since` then; `told` is what was told of it."""
    data = {name: told.get(name) for name in ("queue", "host", "account", "unit", "address", "cause", "since")}
    return _made(_suspension_id(queue, since, "resumed"), WebhookEventType.RESUMED, at, data)


def trial(event_id: str, name: str, at: float) -> EventBody:
    """What is sent to see whether it comes."""
    return _made(event_id, WebhookEventType.TEST, at, {"webhook": name})


def data_of(text: str) -> Mapping[str, Any]:
    """What an event tells, of its text."""
    found: Mapping[str, Any] = json.loads(text)["data"]
    return found


def _made(event_id: str, event_type: WebhookEventType, at: float, data: Mapping[str, object]) -> EventBody:
    told = {"type": event_type.value, "timestamp": iso(at), "data": data}
    return EventBody(event_id, event_type, json.dumps(told, separators=(",", ":"), ensure_ascii=False))


def _suspension_id(queue: QueueKey, since: float, what: str) -> str:
    return f"{str(queue).replace(':', '-')}-{round(since * 1000)}-{what}"


def _excerpt(reply: str) -> str:
    return printable(reply, REPLY)


def _finite(at: float) -> float | None:
    """None of what waits without an end."""
    return at if at < 1e11 else None
