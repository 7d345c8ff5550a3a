"""What a suspended queue means for a message that is due: it waits, with the reason. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf

from outgate.deliver.outcome import Outcome, Verdict
from outgate.model import Cause, Restriction


def suspended(restrictions: Sequence[Restriction], now: float, *, is_users: bool) -> Outcome | None:
    """Why nothing of the queue is tried, if so. The suspension that ends last counts. Of a refused log-in the user is
    told whose gateway it is (`is_users`); where it is the organisation's, senders hear of a delay.
    """
    found = [one for one in restrictions if one.suspends and one.holds(now)]
    if not found:
        return None
    last = max(found, key=lambda one: inf if one.until is None else one.until)
    status = "4.7.8" if last.cause is Cause.LOG_IN else "4.3.2"
    return Outcome(
        Verdict.RETRY,
        f"{status} suspended {until_words(last)}by {last.author}: {last.reason}",
        again=inf if last.until is None else last.until,
        untried=True,
        told=is_users and last.cause is Cause.LOG_IN,
    )


def lapsed(restrictions: Sequence[Restriction], now: float, cause: Cause) -> bool:
    """Whether there is a restriction of this cause whose time is over, and which nobody has ended."""
    return any(one.cause is cause and not one.holds(now) for one in restrictions)


def until_words(restriction: Restriction) -> str:
    """As in `until 2026-01-31 12:00 UTC `; empty without an end."""
    if restriction.until is None:
        return ""
    return f"until {datetime.fromtimestamp(restriction.until, UTC):%Y-%m-%d %H:%M} UTC "
