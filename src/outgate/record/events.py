"""The facts of a message's life: one function for each, so that this file lists all that is ever recorded.

Knows no table and no clock. Details are small JSON objects; never a credential, never content.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What happened."""

    ACCEPTED = "accepted"
    ROUTED = "routed"
    ATTEMPT = "attempt"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    JOURNALLED = "journalled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """One row of the record."""

    message_id: int
    at: float
    kind: EventKind
    detail: dict[str, Any]


def accepted(  # the one fact that describes the message itself
    message_id: int,
    at: float,
    *,
    account: str,
    header_from: Sequence[str],
    reverse_path: str,
    recipients: Sequence[str],
    size: int,
    peer: str,
    protocol: str,
    rfc822_message_id: str,
) -> MessageEvent:
    """The message was acknowledged: from now on it is ours."""
    detail = {
        "account": account,
        "from": list(header_from),
        "mail_from": reverse_path,
        "recipients": list(recipients),
        "size": size,
        "peer": peer,
        "protocol": protocol,
        "message_id": rfc822_message_id,
    }
    return MessageEvent(message_id, at, EventKind.ACCEPTED, detail)


def refused(submitted: MessageEvent, reply: str) -> MessageEvent:
    """The message came whole and was not taken; `submitted` is what `accepted` would have said of it."""
    return replace(submitted, kind=EventKind.REFUSED, detail={**submitted.detail, "refused": reply})


def routed(
    message_id: int, at: float, *, recipients: Sequence[str], way: str, queue: str, reasons: Sequence[str]
) -> MessageEvent:
    """A way was chosen, and why."""
    detail = {"recipients": list(recipients), "way": way, "queue": queue, "reasons": list(reasons)}
    return MessageEvent(message_id, at, EventKind.ROUTED, detail)


def attempt(
    message_id: int,
    at: float,
    *,
    way: str,
    peer: str,
    tls: str,
    mail_from: str,
    recipients: int,
    reply: str,
    seconds: float,
    footer: str = "",
) -> MessageEvent:
    """A transaction with a peer (or a mailbox) came to its end; `reply` is the peer's last word, with its queue id.

    `footer` says whether one was added, or why not, where policy asks for one.
    """
    detail: dict[str, Any] = {
        "way": way,
        "peer": peer,
        "tls": tls,
        "mail_from": mail_from,
        "recipients": recipients,
        "reply": reply,
        "seconds": round(seconds, 3),
    }
    if footer:
        detail["footer"] = footer
    return MessageEvent(message_id, at, EventKind.ATTEMPT, detail)


def delivered(message_id: int, at: float, *, recipient: str, by: str, reply: str) -> MessageEvent:
    """Somebody else is now responsible for this recipient."""
    return MessageEvent(message_id, at, EventKind.DELIVERED, {"recipient": recipient, "by": by, "reply": reply})


def deferred(message_id: int, at: float, *, recipient: str, reason: str, next_attempt: float) -> MessageEvent:
    """It did not work this time."""
    detail = {"recipient": recipient, "reason": reason, "next_attempt": next_attempt}
    return MessageEvent(message_id, at, EventKind.DEFERRED, detail)


def bounced(message_id: int, at: float, *, recipient: str, reason: str, report: str | None) -> MessageEvent:
    """It will not work; `report` is the queue id of the delivery report, None if nobody is to be told."""
    return MessageEvent(message_id, at, EventKind.BOUNCED, {"recipient": recipient, "reason": reason, "report": report})


def journalled(message_id: int, at: float, *, copy: str, to: str) -> MessageEvent:
    """A copy for the archive is queued (`copy` is its queue id); only then is the message handed over."""
    return MessageEvent(message_id, at, EventKind.JOURNALLED, {"copy": copy, "to": to})
