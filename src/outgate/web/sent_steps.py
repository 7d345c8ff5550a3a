"""The journey of a message as its own sender is told it: sent, by which server, and whom it has reached. Pure.

Attempts and hosts are for administrators; what a server said is for whoever sent the message.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from outgate.frozen import frozen
from outgate.record.events import EventKind, MessageEvent

_LOOKS: Final = {EventKind.DEFERRED: "wait", EventKind.BOUNCED: "fail", EventKind.REFUSED: "fail"}
_TOLD: Final = frozenset(
    {EventKind.ACCEPTED, EventKind.ROUTED, EventKind.DELIVERED, EventKind.DEFERRED, EventKind.BOUNCED}
)


@frozen
class SentStep:
    """One or several events alike but for the recipient. `way` is a route.RouteKind; `reason` what was said, not
    filtered; `again` when the next attempt is, and `not_before` when it may leave (seconds since the epoch)."""

    kind: EventKind
    at: float
    recipients: tuple[str, ...]
    reason: str = ""
    way: str = ""
    again: float = 0.0
    not_before: float = 0.0

    @property
    def look(self) -> str:
        """The class of the step: done, wait or fail."""
        return _LOOKS.get(self.kind, "done")


def steps_of(events: Sequence[MessageEvent]) -> list[SentStep]:
    """The oldest first."""
    return list(_steps([one for one in events if one.kind in _TOLD]))


def _steps(events: Sequence[MessageEvent]) -> Iterator[SentStep]:
    for _, alike in groupby(events, _alike):
        each = list(alike)
        detail = each[0].detail
        recipients = detail.get("recipients") or [one.detail["recipient"] for one in each]
        yield SentStep(
            each[0].kind,
            each[0].at,
            tuple(recipients),
            reason=detail.get("reply") or detail.get("reason", ""),
            way=detail.get("way", ""),
            again=detail.get("next_attempt", 0.0),
            not_before=detail.get("not_before", 0.0),
        )


def _alike(event: MessageEvent) -> tuple[object, ...]:
    detail = event.detail
    if "recipient" not in detail:
        return (id(event),)
    return event.kind, event.at, detail.get("reply"), detail.get("reason")
