"""What the page of a queue does to it as a whole: suspends it, lets it go on, gives it a ceiling or takes that away.

Knows no page.
"""

from collections.abc import Callable
from typing import Final

from outgate.directory.errors import Invalid
from outgate.model import QueueKey, Restriction
from outgate.operations import restriction_operations
from outgate.operations.restriction_operations import Ceiling
from outgate.web.rate_fields import rate_entered, said_rate
from outgate.web.visit import Visit
from outgate.web.words import N_, Words

DONE: Final = {
    "suspend": N_("Suspended: its mail waits. What is being handed over at this moment is not broken off."),
    "resume": N_("Resumed: what waits is tried now."),
    "limit": N_("The ceiling is set. It holds on all servers together, from now on."),
    "unlimit": N_("The ceiling is taken away."),
}


def ceiling_words(said: Words, one: Restriction) -> str:
    """As in `At most 2 connections at once, 300 an hour`; empty for what has no ceiling."""
    parts = [said_rate(said, rate) for rate in one.rates]
    if one.connections is not None:
        parts.insert(0, said.several("%(num)s connection at once", "%(num)s connections at once", one.connections))
    return said("At most %(ceiling)s", ceiling=", ".join(parts)) if parts else ""


def _suspend(visit: Visit, queue: str) -> None:
    """For some hours, or until somebody resumes it."""
    hours = visit.form.text("hours")
    if hours and not visit.form.number("hours"):
        raise Invalid("“{text}” is not a number of hours; leave it empty to suspend without an end", text=hours)
    seconds = float(hours) * 3600 if hours else None
    with visit.writing() as op:
        restriction_operations.suspend(op, _one_queue(queue), visit.form.text("reason"), seconds)


def _resume(visit: Visit, queue: str) -> None:
    with visit.writing() as op:
        restriction_operations.resume(op, _one_queue(queue))


def _limit(visit: Visit, queue: str) -> None:
    """In the place of the ceiling that there was."""
    form, rate = visit.form, rate_entered(visit.form)
    connections = form.text("connections")
    if connections and not form.number("connections"):
        raise Invalid("“{text}” is not a number of connections; write it as 2", text=connections)
    ceiling = Ceiling(form.number("connections"), (rate,) if rate else ())
    with visit.writing() as op:
        restriction_operations.limit(op, _one_queue(queue), ceiling, form.text("reason"))


def _unlimit(visit: Visit, queue: str) -> None:
    with visit.writing() as op:
        restriction_operations.limit(op, _one_queue(queue), None, "")


def _one_queue(queue: str) -> list[QueueKey]:
    if not queue:
        raise Invalid("say which queue is meant")
    try:
        return [QueueKey.parse(queue)]
    except ValueError:
        raise Invalid("“{text}” is not a queue; choose one of the list", text=queue[:80]) from None


ACTS: Final[dict[str, Callable[[Visit, str], None]]] = {
    "suspend": _suspend,
    "resume": _resume,
    "limit": _limit,
    "unlimit": _unlimit,
}
