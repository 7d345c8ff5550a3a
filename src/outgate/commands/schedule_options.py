"""What commands that speak of schedules have in common: how one is said, and which ones the settings have."""

from outgate.cli.output import JsonObject, plain, to_the_second
from outgate.cli.shell import CommandContext
from outgate.deliver.usual_schedule import usual_schedules
from outgate.directory.own_schedules import OwnSchedule
from outgate.iso_time import iso
from outgate.model import ScheduleChange
from outgate.operations.schedule_operations import ScheduleInForce, Usual

_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def usual_of(ctx: CommandContext) -> Usual:
    """The schedules as the settings have them, by way."""
    return usual_schedules(ctx.installation().config.delivery)


def schedule_words(found: ScheduleInForce) -> str:
    """A schedule in one sentence, with what it comes from where that is not the settings."""
    one = found.schedule
    told = f"its sender is told after {_span(one.delay_report_after)}" if one.delay_report_after else "nobody is told"
    text = (
        f"tried again after {_span(one.retry_first)}, then {one.retry_factor:g} times as long each time up to"
        f" {_span(one.retry_longest)}; {told}; returned after {_span(one.give_up_after)}"
    )
    return f"{text} ({origin(found.own)})" if found.own else text


def origin(own: OwnSchedule) -> str:
    """Whose it is, why, and until when."""
    until = "" if own.until is None else f", until {to_the_second(iso(own.until))}"
    return f"schedule of {own.destination} by {plain(own.author)}{until}: {plain(own.reason)}"


def schedule_row(found: ScheduleInForce) -> JsonObject:
    """For programs: seconds."""
    one = found.schedule
    return {
        "retry_first": one.retry_first,
        "retry_factor": one.retry_factor,
        "retry_longest": one.retry_longest,
        "delay_report_after": one.delay_report_after,
        "give_up_after": one.give_up_after,
        "own": own_row(found.own) if found.own else None,
    }


def own_row(own: OwnSchedule) -> JsonObject:
    """For programs: what is null is as the settings have it."""
    return {
        "destination": own.destination,
        **{name: getattr(own.change, name) for name in ScheduleChange.__dataclass_fields__},
        "reason": own.reason,
        "author": own.author,
        "since": iso(own.since),
        "until": None if own.until is None else iso(own.until),
    }


def change_words(change: ScheduleChange) -> str:
    """What is otherwise than the settings have it."""
    parts = []
    if change.retry_first is not None:
        parts.append(f"first after {_span(change.retry_first)}")
    if change.retry_factor is not None:
        parts.append(f"each wait {change.retry_factor:g} times the former")
    if change.retry_longest is not None:
        parts.append(f"none over {_span(change.retry_longest)}")
    if change.delay_report_after is not None:
        told = change.delay_report_after
        parts.append(f"told after {_span(told)}" if told else "nobody told")
    if change.give_up_after is not None:
        parts.append(f"returned after {_span(change.give_up_after)}")
    return ", ".join(parts)


def _span(seconds: float) -> str:
    """As in 90s, 15m, 4h, 5d: as `--for` takes it."""
    whole = next(((seconds / size, unit) for unit, size in _UNITS if seconds >= size and seconds % size == 0), None)
    return f"{whole[0]:g}{whole[1]}" if whole else f"{seconds:g}s"
