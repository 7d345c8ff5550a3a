"""The schedule of each way as the settings have it, and the name by which administrators may have it otherwise."""

from outgate.config import DeliverySettings
from outgate.model import Schedule, ScheduleChange
from outgate.queue.retry import at_most
from outgate.route import Route, RouteKind


def usual_schedules(settings: DeliverySettings) -> dict[RouteKind, Schedule]:
    """By way."""
    usual = Schedule(
        settings.retry_first,
        settings.retry_factor,
        settings.retry_longest,
        settings.delay_report_after,
        settings.give_up_after,
        settings.fault_report_after,
    )
    otherwise = {way: ScheduleChange(**one.model_dump()) for way, one in settings.schedules.items()}
    return {kind: usual.changed(otherwise.get(kind.value, ScheduleChange())) for kind in RouteKind}


def longest_usual_wait(settings: DeliverySettings) -> float:
    """Seconds that an attempt may be away where no administrator has it otherwise."""
    return at_most(max(one.retry_longest for one in usual_schedules(settings).values()))


def scheduled_as(way: Route) -> str:
    """What a destination's own schedule names: the gateway's host, or the recipients' domain; empty for what stays."""
    return way.gateway.host if way.gateway else way.queue.name
