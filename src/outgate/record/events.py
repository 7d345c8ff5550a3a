"""The events of a message's life: one function for each, which decides what its row, its log line and its counter say.

So this file lists all that is ever recorded, logged or counted of a message; `message_log` writes the rows,
`publication` the lines and counts, after the commit. Knows no table and no clock. Details are small JSON objects; never
a credential, never content.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import IntEnum, StrEnum
from functools import cache
from typing import Any, Final, TypeVar

from prometheus_client import Counter, Histogram

from outgate.frozen import frozen

REPLY_LENGTH: Final = 2048  # characters of a reply that are kept: a peer may send any number

_ACCEPTED = Counter("outgate_messages_accepted", "Messages acknowledged, the organisation's own and copies included")
_REFUSED = Counter(
    "outgate_messages_refused", "Messages that came whole and were refused, by class of status", ["status"]
)
_ROUTED = Counter("outgate_recipients_routed", "Recipients of accepted messages, by the kind of route", ["route"])
_ATTEMPTS = Counter(
    "outgate_attempts",
    "Transactions with peers, by kind of route and what came of all their recipients",
    ["route", "verdict"],
)
_DELIVERED = Counter("outgate_recipients_delivered", "Recipients for whom somebody else is now responsible", ["route"])
_DEFERRED = Counter("outgate_recipients_deferred", "Times that a recipient was put off", ["route"])
_BOUNCED = Counter("outgate_recipients_bounced", "Recipients given up", ["route"])
_JOURNALLED = Counter("outgate_journal_copies", "Copies queued for the archive")
_LATENCY = Histogram(
    "outgate_delivery_seconds",
    "Seconds from a message's arrival to the delivery to a recipient",
    ["route"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 43200, 172800),
)


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
    INSTRUCTED = "instructed"


FIRST_KINDS: Final = (EventKind.ACCEPTED, EventKind.REFUSED)  # what each message begins with


class Weight(IntEnum):
    """How much a log line matters: a step on the way, an outcome as it should be, one that somebody may ask about."""

    STEP = 0
    OUTCOME = 1
    FAILURE = 2

    @classmethod
    def of(cls, setting: str) -> "Weight":
        """The lightest line that is written by this value of `record.log`."""
        return {"all": cls.STEP, "outcomes": cls.OUTCOME, "failures": cls.FAILURE}[setting]


Metric = TypeVar("Metric", Counter, Histogram)
Fields = Mapping[str, object]  # of a log line, beside the queue id


@frozen
class MessageEvent:
    """One row of the record; with the line and the count that follow its commit, if it was not read back from there."""

    message_id: int
    at: float
    kind: EventKind
    detail: dict[str, Any]
    weight: Weight = field(default=Weight.STEP, compare=False, repr=False)
    line: Callable[[], Fields] | None = field(default=None, compare=False, repr=False)
    count: Callable[[], None] | None = field(default=None, compare=False, repr=False)


@frozen
class Passage:
    """What the outcomes of a message's recipients have in common: its From address, its queue, the kind of route.

    `queue_name` is the queue as people call it, for lines and notices.
    """

    message_id: int
    sender: str
    queue: str
    way: str
    queue_name: str = ""


@cache
def _of(metric: Metric, *labels: str) -> Metric:
    """Kept, since prometheus_client takes a lock to find it."""
    return metric.labels(*labels)


def excerpt(reply: str) -> str:
    """As much of a reply as is kept."""
    return reply if len(reply) <= REPLY_LENGTH else reply[:REPLY_LENGTH] + "…"


def accepted(  # the one event that describes the message itself
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
    made_message_id: str = "",
    not_before: float | None = None,
) -> MessageEvent:
    """The message was acknowledged: from now on it is ours. `made_message_id` takes the place of its Message-ID where
    that may not leave; before `not_before` it is not tried."""
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
    if made_message_id:
        detail["made_message_id"] = made_message_id
    if not_before:
        detail["not_before"] = not_before
    return MessageEvent(
        message_id, at, EventKind.ACCEPTED, detail, Weight.STEP, lambda: _message_line(detail), _ACCEPTED.inc
    )


def refused(submitted: MessageEvent, reply: str) -> MessageEvent:
    """The message came whole and was not taken; `submitted` is what `accepted` would have said of it."""
    detail = {**submitted.detail, "refused": excerpt(reply)}
    return MessageEvent(
        submitted.message_id,
        submitted.at,
        EventKind.REFUSED,
        detail,
        Weight.FAILURE,
        lambda: {**_message_line(detail), "reply": reply},
        lambda: _of(_REFUSED, _status_class(reply)).inc(),
    )


def routed(
    message_id: int,
    at: float,
    *,
    recipients: Sequence[str],
    way: str,
    queue: str,
    queue_name: str,
    reasons: Sequence[str],
) -> MessageEvent:
    """A way was chosen, and why. The line has the queue as people call it."""
    detail = {"recipients": list(recipients), "way": way, "queue": queue, "reasons": list(reasons)}
    return MessageEvent(
        message_id,
        at,
        EventKind.ROUTED,
        detail,
        Weight.STEP,
        lambda: {"recipient": _first(recipients), "queue": queue_name, "reasons": "; ".join(reasons)},
        lambda: _of(_ROUTED, way).inc(len(recipients)),
    )


def attempt(
    message_id: int,
    at: float,
    *,
    way: str,
    verdicts: Sequence[str],
    peer: str,
    tls: str,
    mail_from: str,
    recipients: int,
    reply: str,
    seconds: float,
    footer: str = "",
) -> MessageEvent:
    """A transaction with a peer (or a mailbox) came to its end; `reply` is the peer's last word, with its queue id.

    `verdicts` has one for each recipient (deliver.outcome.Verdict). `footer` says whether one was added, or why not,
    where policy asks for one.
    """
    detail: dict[str, Any] = {
        "way": way,
        "peer": peer,
        "tls": tls,
        "mail_from": mail_from,
        "recipients": recipients,
        "reply": excerpt(reply),
        "seconds": round(seconds, 3),
    }
    if footer:
        detail["footer"] = footer
    verdict = verdicts[0] if len(set(verdicts)) == 1 else "mixed"
    return MessageEvent(
        message_id,
        at,
        EventKind.ATTEMPT,
        detail,
        Weight.STEP,
        lambda: {**detail, "verdict": verdict},
        lambda: _of(_ATTEMPTS, way, verdict).inc(),
    )


def delivered(passage: Passage, at: float, *, recipient: str, by: str, reply: str, delay: float) -> MessageEvent:
    """Somebody else is now responsible for this recipient, `delay` seconds after the message's arrival."""

    def count() -> None:
        _of(_DELIVERED, passage.way).inc()
        _of(_LATENCY, passage.way).observe(delay)

    return MessageEvent(
        passage.message_id,
        at,
        EventKind.DELIVERED,
        {"recipient": recipient, "by": by, "reply": excerpt(reply)},
        Weight.OUTCOME,
        lambda: _outcome_line(passage, recipient, by=by, delay=round(delay, 3), reply=reply),
        count,
    )


def deferred(
    passage: Passage,
    at: float,
    *,
    recipient: str,
    reason: str,
    next_attempt: float,
    late: bool = False,
    report: str | None = None,
    said: str = "",
) -> MessageEvent:
    """It did not work this time. `late`: for so long that it is time to tell of it; `report` is the queue id of the
    report to the sender, if one was made. `said` is what administrators are told where senders hear less."""
    detail: dict[str, Any] = {"recipient": recipient, "reason": excerpt(reason), "next_attempt": next_attempt}
    if late:
        detail |= {"late": True, "queue": passage.queue, "sender": passage.sender, "report": report}
        detail["queue_name"] = _queue_of(passage)
        if said and said != reason:
            detail["said"] = excerpt(said)
    told = {"report": report or "none"} if late else {}
    return MessageEvent(
        passage.message_id,
        at,
        EventKind.DEFERRED,
        detail,
        Weight.FAILURE,
        lambda: _outcome_line(passage, recipient, next_in=round(next_attempt - at), **told, reply=reason),
        lambda: _of(_DEFERRED, passage.way).inc(),
    )


def bounced(passage: Passage, at: float, *, recipient: str, reason: str, report: str | None) -> MessageEvent:
    """It will not work; `report` is the queue id of the delivery report, None if nobody is to be told."""
    return MessageEvent(
        passage.message_id,
        at,
        EventKind.BOUNCED,
        {"recipient": recipient, "reason": excerpt(reason), "report": report},
        Weight.FAILURE,
        lambda: _outcome_line(passage, recipient, report=report or "none", reply=reason),
        lambda: _of(_BOUNCED, passage.way).inc(),
    )


def journalled(message_id: int, at: float, *, copy: str, to: str) -> MessageEvent:
    """A copy for the archive is queued (`copy` is its queue id); only then is the message handed over."""
    detail = {"copy": copy, "to": to}
    return MessageEvent(message_id, at, EventKind.JOURNALLED, detail, Weight.STEP, lambda: detail, _JOURNALLED.inc)


def instructed(message_id: int, at: float, *, recipient: str, what: str, by: str) -> MessageEvent:
    """Somebody has said what is to be done with a recipient that waits: `what` is held, released, or an
    queue.entry.Instruction, `usual` if one is taken back. Such is said by commands and pages: nothing counts it.
    """
    detail = {"recipient": recipient, "what": what, "by": by}
    return MessageEvent(message_id, at, EventKind.INSTRUCTED, detail, Weight.OUTCOME, lambda: detail)


def _message_line(detail: Mapping[str, Any]) -> Fields:
    return {
        "sender": ", ".join(detail["from"]) or f"<{detail['mail_from']}>",
        "recipient": _first(detail["recipients"]),
        "size": detail["size"],
        "account": detail["account"],
        "peer": detail["peer"],
        "message_id": detail["message_id"],
    }


def _outcome_line(passage: Passage, recipient: str, **fields: object) -> Fields:
    return {"sender": passage.sender or "<>", "recipient": recipient, "queue": _queue_of(passage), **fields}


def _queue_of(passage: Passage) -> str:
    return passage.queue_name or passage.queue


def _first(recipients: Sequence[str]) -> str:
    return f"{recipients[0]} and {len(recipients) - 1} more" if len(recipients) > 1 else "".join(recipients)


_STATUS = re.compile(r"\b([245]\.\d{1,3})\.\d{1,3}\b")


def _status_class(reply: str) -> str:
    """Class and subject of the enhanced status (RFC 3463), as in 5.7 for policy; else the first digit of the reply."""
    found = _STATUS.search(reply[:40])
    return found.group(1) if found else reply[:1]
