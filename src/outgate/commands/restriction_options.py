"""What the commands that suspend, resume and limit have in common: their options, and how they tell of restrictions."""

import re
import textwrap
from collections.abc import Iterable
from typing import Annotated

import typer

from outgate.cli.output import JsonObject, plain, to_the_second
from outgate.directory.errors import Invalid
from outgate.directory.restrictions import SERVER
from outgate.iso_time import iso
from outgate.model import QueueKey, Restriction
from outgate.operations.restriction_operations import Ceiling
from outgate.store import rates

WIDTH = 78

Reason = Annotated[str, typer.Option("--reason", help="Why, for whoever comes next", show_default=False)]
For = Annotated[
    str | None,
    typer.Option("--for", help="How long, as in 30m, 2h or 3d; else until it is resumed", show_default=False),
]
Connections = Annotated[
    int | None, typer.Option("--connections", help="At most so many at once, over all nodes", show_default=False)
]
RateLimits = Annotated[
    list[str] | None,
    typer.Option("--rate", help="At most so many messages, as in 10/second, 300/hour, 2000/day", show_default=False),
]
Unlimited = Annotated[bool, typer.Option("--none", help="Take the ceiling away", show_default=False)]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str | None) -> float | None:
    """Of `2h`; None for None. Raises Invalid."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if not found or not int(found.group(1)):
        raise Invalid(f"'{text[:40]}' is not a time; write it as 30m, 2h or 3d")
    return int(found.group(1)) * _UNITS[found.group(2)]


def ceiling_words(one: Restriction | Ceiling) -> str:
    """As in `at most 2 connections, 300 an hour`."""
    parts = [] if one.connections is None else [f"{one.connections} connection{'' if one.connections == 1 else 's'}"]
    return f"at most {', '.join([*parts, *map(rates.in_words, one.rates)])}"


def restriction_lines(one: Restriction, resume: str) -> list[str]:
    """A restriction in sentences that can be read aloud; `resume` is the command that undoes it."""
    what = "Suspended" if one.suspends else ceiling_words(one).capitalize()
    until = f", until {_time(one.until)}" if one.until is not None else ""
    by = "by itself" if one.author == SERVER else f"by {plain(one.author)}"
    lines = [f"{what} {by}, since {_time(one.since)}{until}.", f"Reason: {plain(one.reason)}"]
    return [*lines, f"To undo it: {resume}"]


def indented(lines: Iterable[str], by: str = "  ") -> str:
    """Lines of at most 78 columns; what a terminal would break, a command too, is continued further right."""
    return "\n".join(
        textwrap.fill(
            line,
            WIDTH,
            initial_indent=by,
            subsequent_indent=f"{by}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines
    )


def restriction_row(queue: QueueKey, one: Restriction) -> JsonObject:
    """For programs."""
    return {
        "queue": str(queue),
        "cause": one.cause.value,
        "suspends": one.suspends,
        "connections": one.connections,
        "rates": list(one.rates),
        "reason": one.reason,
        "author": one.author,
        "since": iso(one.since),
        "until": None if one.until is None else iso(one.until),
    }


def _time(at: float) -> str:
    return to_the_second(iso(at))[:16] + " UTC"
