"""What happened to a message, as its page tells it: steps, ways, and what became of each recipient. Pure.

Made of the record's events alone, so it says the same long after the message has left the queue.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from outgate.frozen import frozen
from outgate.record.events import EventKind, MessageEvent
from outgate.record.message_log import MessageOutcome
from outgate.route import ON_BEHALF, RouteKind
from outgate.web.way import look_of

_ENDS: Final = {
    EventKind.DELIVERED: MessageOutcome.DELIVERED,
    EventKind.DEFERRED: MessageOutcome.WAITING,
    EventKind.BOUNCED: MessageOutcome.BOUNCED,
}
_LOOKS: Final = {
    EventKind.ATTEMPT: "",  # its recipients' outcomes come behind it
    EventKind.DEFERRED: "wait",
    EventKind.INSTRUCTED: "wait",
    EventKind.BOUNCED: "fail",
    EventKind.REFUSED: "fail",
}


@frozen
class JourneyStep:
    """One or several events that differ in nothing but the recipient. `detail` is as in record.events."""

    kind: EventKind
    at: float
    recipients: tuple[str, ...]
    detail: Mapping[str, Any]

    @property
    def look(self) -> str:
        """The class of the step: done, wait or fail, or none."""
        return _LOOKS.get(self.kind, "done")


@frozen
class RecipientState:
    """What became of a recipient so far, and what was last said of them; `next_attempt` while they wait."""

    address: str
    outcome: MessageOutcome
    said: str = ""
    next_attempt: float | None = None


@frozen
class Leg:
    """Recipients that go the same way, and how many of them came to what; `look` is the class that it is shown by."""

    look: str
    way: str
    queue: str
    recipients: tuple[str, ...]
    tally: Mapping[MessageOutcome, int]


@frozen
class Journey:
    """`first` tells of the message itself."""

    first: MessageEvent
    steps: tuple[JourneyStep, ...]
    recipients: tuple[RecipientState, ...]
    legs: tuple[Leg, ...]


def journey_of(events: Sequence[MessageEvent]) -> Journey | None:
    """Of all events of one message, oldest first; None if what it began with is not on record."""
    first = next((one for one in events if one.kind in (EventKind.ACCEPTED, EventKind.REFUSED)), None)
    if first is None:
        return None
    states = _states(first, events)
    legs = tuple(_leg(event.detail, states) for event in events if event.kind is EventKind.ROUTED)
    return Journey(first, tuple(_steps(events)), tuple(states.values()), legs)


def _steps(events: Sequence[MessageEvent]) -> Iterator[JourneyStep]:
    for (kind, at, common), alike in groupby(events, _but_recipient):
        recipients = [one.detail.get("recipient") or one.detail.get("recipients") for one in alike]
        flat = [each for one in recipients for each in ([one] if isinstance(one, str) else _listed(one))]
        yield JourneyStep(kind, at, tuple(flat), common)


def _but_recipient(event: MessageEvent) -> tuple[EventKind, float, dict[str, Any]]:
    return event.kind, event.at, {key: value for key, value in event.detail.items() if key != "recipient"}


def _listed(found: object) -> list[str]:
    """An attempt has the number of its recipients only, a copy none."""
    return found if isinstance(found, list) else []


def _states(first: MessageEvent, events: Sequence[MessageEvent]) -> dict[str, RecipientState]:
    detail = first.detail
    begun = MessageOutcome.REFUSED if first.kind is EventKind.REFUSED else MessageOutcome.WAITING
    states = {one: RecipientState(one, begun, detail.get("refused", "")) for one in detail["recipients"]}
    for event in events:
        if outcome := _ENDS.get(event.kind):
            told = event.detail
            said = told.get("reply") or told.get("reason", "")
            states[told["recipient"]] = RecipientState(told["recipient"], outcome, said, told.get("next_attempt"))
    return states


def _leg(detail: Mapping[str, Any], states: Mapping[str, RecipientState]) -> Leg:
    recipients = tuple(detail["recipients"])
    tally = Counter(states[one].outcome for one in recipients)
    return Leg(look_of_route(detail), detail["way"], detail["queue"], recipients, tally)


def look_of_route(routed: Mapping[str, Any]) -> str:
    """The class that a way is shown by, from the detail of its event."""
    is_behalf = any(reason.startswith(ON_BEHALF) for reason in routed["reasons"])
    return look_of(RouteKind(routed["way"]), is_behalf=is_behalf)
