"""Operations on schedules: when mail for a destination is tried again, told of and returned, where the settings have it
otherwise. A destination is an ending of recipients' domains, or of gateways' hosts.
"""

from collections.abc import Collection, Mapping
from typing import Final

from outgate.directory import organisation, own_schedules
from outgate.directory.change import compared_domain
from outgate.directory.errors import Invalid
from outgate.directory.own_schedules import OwnSchedule
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import QueueKey, QueueKind, Schedule, ScheduleChange
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.operations.restriction_operations import MAX_REASON, end_of
from outgate.route import RouteKind
from outgate.sendas import gateways

SHORTEST_WAIT: Final = 1.0  # seconds
LONGEST_WAIT: Final = 86400.0
LONGEST_STAY: Final = 30 * 86400.0

KIND_OF_QUEUE: Final = {
    QueueKind.GATEWAY: RouteKind.USER_GATEWAY,
    QueueKind.COMMON_GATEWAY: RouteKind.USER_GATEWAY,
    QueueKind.LOCAL: RouteKind.LOCAL,
    QueueKind.DOMAIN_GATEWAY: RouteKind.DOMAIN_GATEWAY,
    QueueKind.MX: RouteKind.DIRECT,
}

Usual = Mapping[RouteKind, Schedule]  # as the settings have it


@frozen
class ScheduleInForce:
    """By which schedule mail waits; `own` is what an administrator has made of the settings' one, and `destination`
    what such a one would name (empty for what stays here).
    """

    schedule: Schedule
    own: OwnSchedule | None = None
    destination: str = ""


@operation("schedule.list", Privilege.QUEUE_READ, targets.ORGANISATION, changes=False)
def listed(op: OperationContext, destination: str = "") -> list[OwnSchedule]:
    """See the destinations that have schedules of their own: why, by whom, and until when.

    At most that of one destination, if one is named.
    """
    named = _named(destination) if destination else ""
    in_force = (one for one in own_schedules.load(op.connection) if one.holds(op.now))
    return [one for one in in_force if named in ("", one.destination)]


@operation("schedule.set", Privilege.QUEUE_MANAGE, targets.ORGANISATION, services=("usual",))
def set_schedule(
    op: OperationContext, usual: Usual, destination: str, change: ScheduleChange, reason: str, seconds: float | None
) -> OwnSchedule:
    """Give a destination a schedule of its own, for so many seconds or until it is removed."""
    _check(change)
    if not reason.strip() or len(reason) > MAX_REASON:
        raise Invalid("say why there is to be this schedule, in at most {most} characters", most=MAX_REASON)
    _check_whole(usual, change)
    made = OwnSchedule(_named(destination), change, reason, op.actor.name, op.now, end_of(op, seconds))
    own_schedules.put(op.connection, made)
    op.note(**_told(made))
    return made


@operation("schedule.remove", Privilege.QUEUE_MANAGE, targets.ORGANISATION)
def remove(op: OperationContext, destination: str) -> OwnSchedule:
    """Let the settings' schedule hold for a destination again."""
    removed = own_schedules.remove(op.connection, _named(destination))
    op.note(**_told(removed))
    return removed


def of_queues(op: OperationContext, usual: Usual, queues: Collection[str]) -> dict[str, ScheduleInForce]:
    """What holds for each of these queues."""
    own, users = own_schedules.load(op.connection), gateways.of_queues(op.connection, queues)
    relays = organisation.domain_gateways(op.connection)
    found = {}
    for queue in queues:
        key = QueueKey.parse(queue)
        gateway = users[queue].gateway if queue in users else relays.get(key)
        host = gateway.host if gateway else key.name if key.kind is QueueKind.MX else ""
        schedule, one = usual[KIND_OF_QUEUE[key.kind]], own_schedules.find(own, host, op.now)
        found[queue] = ScheduleInForce(schedule.changed(one.change) if one else schedule, one, host)
    return found


def _named(destination: str) -> str:
    return compared_domain(destination.strip("@*. "))


def _check(change: ScheduleChange) -> None:
    waits = (change.retry_first, change.retry_longest)
    if any(wait is not None and not SHORTEST_WAIT <= wait <= LONGEST_WAIT for wait in waits):
        raise Invalid("a wait between two attempts is of 1 second to 1 day")
    if change.retry_factor is not None and not 1 <= change.retry_factor <= 10:
        raise Invalid("each wait is 1 to 10 times as long as the former")
    stays = (change.delay_report_after or None, change.give_up_after)
    if any(stay is not None and not 0 < stay <= LONGEST_STAY for stay in stays):
        raise Invalid("mail is told of and returned within 30 days")
    if change == ScheduleChange():
        raise Invalid("say what is to be otherwise: a wait, when its sender is told, or when it is returned")


def _check_whole(usual: Usual, change: ScheduleChange) -> None:
    """What is said does nothing where what is not said forbids it: by whatever way the destination's mail leaves."""
    for schedule in (one.changed(change) for one in usual.values()):
        if schedule.retry_first > schedule.retry_longest:
            raise Invalid(
                "the wait after the first failure would be longer than the longest ({first} and {longest} seconds);"
                " give both",
                first=f"{schedule.retry_first:g}",
                longest=f"{schedule.retry_longest:g}",
            )
        if change.delay_report_after and schedule.delay_report_after >= schedule.give_up_after:
            raise Invalid(
                "the sender would be told that mail waits ({told} seconds) when it is returned already ({returned}"
                " seconds); give both",
                told=f"{schedule.delay_report_after:g}",
                returned=f"{schedule.give_up_after:g}",
            )


def _told(own: OwnSchedule) -> dict[str, object]:
    """For the audit trail."""
    changed = {name: getattr(own.change, name) for name in ScheduleChange.__dataclass_fields__}
    told = {name: value for name, value in changed.items() if value is not None}
    return {"destination": own.destination, **told, "reason": own.reason, "until": own.until}
