"""Outgate's own API: when mail for a destination is tried again, told of and returned."""

from dataclasses import asdict
from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.google_error import not_found
from outgate.api.own_method import own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.api.problem_form import require_match
from outgate.deliver.usual_schedule import usual_schedules
from outgate.directory.own_schedules import OwnSchedule
from outgate.iso_time import iso
from outgate.model import Schedule, ScheduleChange
from outgate.operations import schedule_operations
from outgate.operations.context import OperationContext
from outgate.route import RouteKind

DESTINATION: Final = ApiParameter("destination", "An ending of recipients' domains, or of gateways' hosts.")
_WHY: Final = "they are moving"


class ScheduleFields(Resource):
    """What is otherwise than the settings have it; what is left out is as they have it. In seconds."""

    retry_first: float | None = Field(None, description="The wait after the first failure.", examples=[600])
    retry_factor: float | None = Field(None, description="How many times as long each further one is.", examples=[2])
    retry_longest: float | None = Field(None, description="The longest wait.", examples=[21600])
    delay_report_after: float | None = Field(
        None, description="When its sender is told that a message waits; 0: never.", examples=[86400]
    )
    give_up_after: float | None = Field(None, description="When it is returned.", examples=[864000])


class WantedSchedule(ScheduleFields):
    """A destination's own schedule, to be set in the place of a former one."""

    reason: str = Field(description="Why, for whoever comes next.", examples=[_WHY])
    lasts: float | None = Field(
        None, description="Seconds until it ends; left out: until it is removed.", examples=[1209600]
    )


class DestinationSchedule(ScheduleFields):
    """A destination's own schedule."""

    destination: str = Field(description="The destination, with all below it.", examples=["slow.example"])
    reason: str = Field(description="Why it has one.", examples=[_WHY])
    author: str = Field(description="Who has said so.", examples=["alice@example.com"])
    since: str = Field(description="Since when.", examples=[MOMENT])
    until: str | None = Field(None, description="Until when; left out if it has no end.", examples=[MOMENT])

    @classmethod
    def of(cls, one: OwnSchedule) -> "DestinationSchedule":
        """As it is in force."""
        return cls(
            **asdict(one.change),
            destination=one.destination,
            reason=one.reason,
            author=one.author,
            since=iso(one.since),
            until=iso(one.until),
        )


class WaySchedule(Resource):
    """The schedule of a way, as the server's settings have it. In seconds."""

    way: RouteKind = Field(description="Of which way.", examples=["direct"])
    retry_first: float = Field(description="The wait after the first failure.", examples=[60])
    retry_factor: float = Field(description="How many times as long each further one is.", examples=[3])
    retry_longest: float = Field(description="The longest wait.", examples=[14400])
    delay_report_after: float = Field(description="When its sender is told; 0: never.", examples=[14400])
    give_up_after: float = Field(description="When it is returned.", examples=[432000])

    @classmethod
    def of(cls, way: RouteKind, one: Schedule) -> "WaySchedule":
        """Of one way."""
        return cls(way=way, **{name: getattr(one, name) for name in ScheduleChange.__dataclass_fields__})


class RetrySchedules(Resource):
    """By which schedules waiting mail is tried again."""

    ways: list[WaySchedule] = Field(description="What holds where nothing else is said.")
    items: list[DestinationSchedule] = Field(description="The destinations that have their own.")


def listed(call: ApiCall) -> RetrySchedules:
    """All of them, and the ways'."""
    with call.reading() as op:
        found = schedule_operations.listed(op)
    ways = usual_schedules(call.services.config.delivery)
    return RetrySchedules(
        ways=[WaySchedule.of(*each) for each in ways.items()], items=[DestinationSchedule.of(one) for one in found]
    )


def show(call: ApiCall) -> DestinationSchedule:
    """One of them."""
    destination = call.parameters["destination"]
    with call.reading() as op:
        found = _found(op, destination)
    if found is None:
        raise not_found(f"{destination[:80]} has no schedule of its own.")
    return found


def put(call: ApiCall) -> DestinationSchedule:
    """In the place of a former one."""
    sent, destination = call.resource(WantedSchedule), call.parameters["destination"]
    change = ScheduleChange(**{name: getattr(sent, name) for name in ScheduleChange.__dataclass_fields__})
    usual = usual_schedules(call.services.config.delivery)
    with call.writing() as op:
        require_match(call.request, lambda: _found(op, destination))
        made = schedule_operations.set_schedule(op, usual, destination, change, sent.reason, sent.lasts)
    return DestinationSchedule.of(made)


def remove(call: ApiCall) -> None:
    """The settings hold again."""
    destination = call.parameters["destination"]
    with call.writing() as op:
        require_match(call.request, lambda: _found(op, destination))
        schedule_operations.remove(op, destination)


def _found(op: OperationContext, destination: str) -> DestinationSchedule | None:
    return next(map(DestinationSchedule.of, schedule_operations.listed(op, destination)), None)


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(
        schedule_operations.listed,
        "GET",
        "schedules",
        listed,
        says="With what the server's settings have by way.",
        gives=RetrySchedules,
    ),
    own_method(
        schedule_operations.listed,
        "GET",
        "schedules/{destination}",
        show,
        DESTINATION,
        name="one",
        gives=DestinationSchedule,
    ),
    own_method(
        schedule_operations.set_schedule,
        "PUT",
        "schedules/{destination}",
        put,
        DESTINATION,
        says="What waits goes by it from its next attempt on.",
        takes=WantedSchedule,
        gives=DestinationSchedule,
        guarded_by=(schedule_operations.listed,),
    ),
    own_method(
        schedule_operations.remove,
        "DELETE",
        "schedules/{destination}",
        remove,
        DESTINATION,
        guarded_by=(schedule_operations.listed,),
    ),
)
