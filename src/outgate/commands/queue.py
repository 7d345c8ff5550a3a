"""`outgate queue`: mail that waits."""

import time
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Annotated, Final

import click
import typer

from outgate import clock
from outgate.cli.options import Yes
from outgate.cli.output import JsonObject, record, table, tell, to_the_second
from outgate.cli.shell import CommandContext, command
from outgate.commands.event_lines import event_lines
from outgate.commands.restriction_options import (
    Connections,
    For,
    RateLimits,
    Reason,
    Unlimited,
    ceiling_words,
    indented,
    restriction_lines,
    restriction_row,
    seconds_of,
)
from outgate.commands.schedule_options import change_words, origin, own_row, schedule_row, schedule_words, usual_of
from outgate.directory.errors import Invalid
from outgate.iso_time import iso
from outgate.model import Cause, QueueKey, Restriction, ScheduleChange
from outgate.operations import (
    gateway_overview,
    message_log_operations,
    queue_operations,
    restriction_operations,
    schedule_operations,
)
from outgate.operations.context import OperationContext
from outgate.operations.queue_names import event_queues, queue_names
from outgate.operations.resources import event_row
from outgate.operations.restriction_operations import Ceiling
from outgate.operations.schedule_operations import ScheduleInForce
from outgate.operations.waiting_mail import LaterChange
from outgate.queue.admin import By, Selection, Waiting, WaitState
from outgate.queue.entry import Instruction
from outgate.queue.queue_id import from_text, to_text

TOP: Final = 40  # queues that `top` shows
NEVER: Final = "never"


class OwnWay(StrEnum):
    """By which way mail is sent that waits."""

    ORGANISATION = "organisation"
    DIRECT = "direct"
    USUAL = "usual"


app = typer.Typer(
    no_args_is_help=True, help="Mail that waits: to be tried again, because it is held, or as it just came."
)

Identity = Annotated[str, typer.Argument(help="Queue id, as in 'queued as 0c8sm2v1r0003'", metavar="ID")]
SomeIdentity = Annotated[
    str | None, typer.Argument(help="Queue id, as in 'queued as 0c8sm2v1r0003'", metavar="[ID]", show_default=False)
]
Address = Annotated[
    str | None, typer.Option("--address", help="Only with this in the address of sender, recipient or account")
]
QueueName = Annotated[
    str | None, typer.Option("--queue", help="Only in this queue, as `outgate queue count` names them")
]
StateOption = Annotated[WaitState | None, typer.Option("--state", help="Only in this state", show_default=False)]
Older = Annotated[
    str | None, typer.Option("--older", help="Only what came so long ago, as in 30m, 2h, 3d", show_default=False)
]
Reply = Annotated[str | None, typer.Option("--reply", help="Only with this in the last reply", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say of how many recipients it would be")]
QueueChange = Callable[[OperationContext, Selection], LaterChange]
Everything = Annotated[bool, typer.Option("--all", help="Everything that waits")]


@command(app, name="list", example="outgate queue list\noutgate queue list --address dominiopartner.example")
def list_(
    ctx: CommandContext,
    address: Address = None,
    queue: QueueName = None,
    state: StateOption = None,
    older: Older = None,
    reply: Reply = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many recipients", min=1)] = 200,
) -> None:
    """List the recipients that have no final outcome yet, those of the oldest message first."""
    with ctx.reading() as op:
        wanted = Selection(address=address, queue=queue, state=state, older_than=_before(older), reply=reply)
        found = queue_operations.waiting(op, wanted, limit)
        names = queue_names(op, {each.queue for each in found})
        suspended = restriction_operations.suspended(op)
    rows = [_row(each, suspended) | {"queue_name": names[each.queue]} for each in found]
    if not ctx.json:
        rows = [row | {"next_attempt": to_the_second(row["next_attempt"])} for row in rows]
    columns = {
        "id": "id",
        "from": "from",
        "recipient": "recipient",
        "queue_name": "queue",
        "state": "state",
        "attempts": "attempts",
        "next_attempt": "next attempt",
        "last_reply": "last reply",
    }
    table(ctx, rows, columns, nothing="nothing waits", whole=("id",))


@command(app, example="outgate queue show 0c8sm2v1r0003")
def show(ctx: CommandContext, identity: Identity) -> None:
    """Show what waits of one message, and its history: decisions, each attempt, holds and what was said of it by whom.

    Of a message that waits no more, the history is in `outgate log ID`.
    """
    usual = usual_of(ctx)
    with ctx.reading() as op:
        found = queue_operations.of_message(op, _number(identity))
        history = message_log_operations.history(op, _number(identity))
        told_of = event_queues(op, history)
        names = queue_names(op, {each.queue for each in found})
        suspended = restriction_operations.suspended(op)
        by_queue = schedule_operations.of_queues(op, usual, names)
    rows = [_row(each, suspended) | {"queue_name": names[each.queue]} for each in found]
    common = ("id", "from", "size", "received_at")
    recipients = [{key: value for key, value in row.items() if key not in common} for row in rows]
    value = {key: rows[0][key] for key in common}
    if ctx.json:
        facts = [event_row(event, told_of) for event in history]
        schedules_of: JsonObject = {queue: schedule_row(one) for queue, one in by_queue.items()}
        record(ctx, value | {"recipients": recipients, "schedules": schedules_of, "facts": facts})
        return
    record(ctx, value)
    columns = {key: key.replace("_", " ") for key in ("recipient", "queue_name", "state", "next_attempt", "last_reply")}
    columns["queue_name"] = "queue"
    table(ctx, recipients, columns, nothing="")
    for queue, one in by_queue.items():
        typer.echo(f"\n{names[queue]}\n{indented([schedule_words(one)])}")
    typer.echo("\n".join(["", *(event_lines(event, told_of) for event in history)]))


@command(app, example="outgate queue count\noutgate queue count --by error")
def count(
    ctx: CommandContext,
    by: Annotated[By, typer.Option("--by", help="Count by queue, state, age or last error")] = By.QUEUE,
) -> None:
    """Count what waits, by queue: one for each gateway and destination; or by state, age or last error."""
    if by is not By.QUEUE:
        with ctx.reading() as op:
            tallied = queue_operations.tally(op, Selection(), by)
        counted: list[JsonObject] = [{by.value: key, "recipients": number} for key, number in tallied]
        table(ctx, counted, {by.value: by.value, "recipients": "recipients"}, nothing="nothing waits")
        return
    with ctx.reading() as op:
        found = queue_operations.counts(op)
        names = queue_names(op, [each.queue for each in found])
    rows: list[JsonObject] = [
        {
            "queue": each.queue,
            "queue_name": names[each.queue],
            "messages": each.messages,
            "recipients": each.recipients,
            "held": each.held,
            "oldest": iso(each.oldest),
        }
        for each in found
    ]
    columns = {key: key for key in ("queue_name", "messages", "recipients", "held", "oldest")}
    table(ctx, rows, columns | {"queue_name": "waits for", "queue": "--queue"}, nothing="nothing waits")


@command(app, example="outgate queue retry 0c8sm2v1r0003\noutgate queue retry --queue mx:recipient.example")
def retry(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    state: StateOption = None,
    older: Older = None,
    reply: Reply = None,
    everything: Everything = False,
    dry_run: DryRun = False,
) -> None:
    """Try again now, whatever the schedule says. What is held stays held."""
    selection = _selection(identity, address, queue, state, older, reply, everything)
    _change(ctx, selection, queue_operations.retry, "tried again now", dry_run)


@command(app, example="outgate queue hold 0c8sm2v1r0003\noutgate queue hold --address newsletter@example.com")
def hold(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    state: StateOption = None,
    older: Older = None,
    reply: Reply = None,
    everything: Everything = False,
    dry_run: DryRun = False,
) -> None:
    """Attempt nothing until `release`. An attempt that is under way is not broken off."""
    selection = _selection(identity, address, queue, state, older, reply, everything)
    _change(ctx, selection, queue_operations.hold, "held", dry_run)


@command(app, example="outgate queue release --all")
def release(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    state: StateOption = None,
    older: Older = None,
    reply: Reply = None,
    everything: Everything = False,
    dry_run: DryRun = False,
) -> None:
    """Undo `hold`, and try at once."""
    selection = _selection(identity, address, queue, state, older, reply, everything)
    _change(ctx, selection, queue_operations.release, "released", dry_run)


@command(app, example="outgate queue delete 0c8sm2v1r0003\noutgate queue delete --all --yes")
def delete(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    state: StateOption = None,
    older: Older = None,
    reply: Reply = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Delete from the queue for good: nothing is delivered, nobody is told, the log says so.

    What is being delivered at this moment stays; hold it first to be sure. On a terminal it asks first, unless it is
    one message.
    """
    selection = _selection(identity, address, queue, state, older, reply, everything)
    if not identity and not dry_run:
        which = " and ".join(one for one in (address, queue) if one)
        ctx.confirm(f"Delete {f'what waits for {which}' if which else 'all that waits'} for good?", yes)
    _change(ctx, selection, queue_operations.delete, "deleted", dry_run)


@command(app, example="outgate queue expire 0c8sm2v1r0003\noutgate queue expire --queue gateway:3 --older 2d --dry-run")
def expire(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    state: StateOption = None,
    older: Older = None,
    reply: Reply = None,
    everything: Everything = False,
    dry_run: DryRun = False,
) -> None:
    """Return to its senders what waits, with a report, as if its time were over. What is held as well."""
    selection = _selection(identity, address, queue, state, older, reply, everything)
    _change(ctx, selection, queue_operations.expire, "returned to the sender", dry_run)


@command(
    app, example="outgate queue move 0c8sm2v1r0003 --way organisation\noutgate queue move --queue gateway:3 --way usual"
)
def move(
    ctx: CommandContext,
    way: Annotated[
        OwnWay, typer.Option("--way", help="organisation (past the address's gateway), direct (past all), or usual")
    ],
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    state: StateOption = None,
    older: Older = None,
    reply: Reply = None,
    everything: Everything = False,
    dry_run: DryRun = False,
) -> None:
    """Send what waits by another way of the organisation's own, if policy allows it. What is held goes on."""
    selection = _selection(identity, address, queue, state, older, reply, everything)
    instruction = None if way is OwnWay.USUAL else Instruction(way.value)
    _change(ctx, selection, lambda op, wanted: queue_operations.move(op, wanted, instruction), "moved", dry_run)


@command(app, example="outgate queue top --times 1")
def top(
    ctx: CommandContext,
    every: Annotated[float, typer.Option("--every", help="Seconds between two looks", min=0.2)] = 2.0,
    times: Annotated[int, typer.Option("--times", help="Looks; 0: until Ctrl-C", min=0)] = 0,
) -> None:
    """Show live what waits where, the fullest queue first, and what is suspended."""
    looked = 0
    while True:
        with ctx.reading() as op:
            found = queue_operations.counts(op)[:TOP]
            names = queue_names(op, [each.queue for each in found])
            stopped = restriction_operations.suspended(op)
        rows: list[JsonObject] = [
            {
                "queue": each.queue,
                "queue_name": names[each.queue],
                "recipients": each.recipients,
                "held": each.held,
                "oldest": to_the_second(iso(each.oldest)),
                "state": "suspended" if each.queue in stopped else "",
            }
            for each in found
        ]
        if not ctx.json and times != 1:
            click.clear()
        columns = {
            "queue_name": "waits for",
            "recipients": "recipients",
            "held": "held",
            "oldest": "oldest",
            "state": "",
        }
        table(ctx, rows, columns, nothing="nothing waits")
        looked += 1
        if looked == times:
            return
        time.sleep(every)


First = Annotated[
    str | None, typer.Option("--first", help="Wait after the first failure, as in 30s, 5m", show_default=False)
]
Factor = Annotated[
    float | None, typer.Option("--factor", help="How many times longer each further wait is", show_default=False)
]
LongestWait = Annotated[str | None, typer.Option("--longest", help="Longest wait, as in 4h", show_default=False)]
WarnAfter = Annotated[
    str | None,
    typer.Option("--warn-after", help="When its sender is told that it waits, as in 4h; or never", show_default=False),
]
GiveUpAfter = Annotated[
    str | None, typer.Option("--give-up-after", help="When it is returned, as in 5d", show_default=False)
]
NoSchedule = Annotated[bool, typer.Option("--none", help="Let the settings' schedule hold again", show_default=False)]
Destinations = Annotated[
    list[str], typer.Argument(help="Recipients' domains, or queues as `outgate queue count` names them")
]


@command(app, example='outgate queue suspend recipient.example --reason "their maintenance" --for 2h')
def suspend(
    ctx: CommandContext, destinations: Destinations, reason: Reason = "none was given", for_: For = None
) -> None:
    """Let nothing go to a destination: its mail waits. What is being handed over is broken off, if it still can be."""
    queues = gateway_overview.destination_queues(destinations)
    with ctx.writing() as op:
        restriction_operations.suspend(op, queues, reason, seconds_of(for_))
    names = " ".join(map(str, queues))
    tell(ctx, {"suspended": [str(one) for one in queues]}, f"suspended: {names}\nundo: outgate queue resume {names}")


@command(app, example="outgate queue resume recipient.example\noutgate queue resume gateway:3")
def resume(ctx: CommandContext, destinations: Destinations) -> None:
    """Let suspended destinations go on, whoever suspended them, and try at once what waits."""
    queues = gateway_overview.destination_queues(destinations)
    with ctx.writing() as op:
        ended = restriction_operations.resume(op, queues)
    lines = [f"resumed: {queue} (it was suspended by {one.author}: {one.reason})" for queue, one in ended]
    tell(
        ctx,
        {"resumed": [str(queue) for queue, _ in ended]},
        ("\n".join(lines) or "nothing of these was suspended") + ctx.only_with_server(),
    )


@command(
    app, example="outgate queue limit recipient.example --rate 600/hour\noutgate queue limit recipient.example --none"
)
def limit(
    ctx: CommandContext,
    destinations: Destinations,
    rate: RateLimits = None,
    connections: Connections = None,
    none: Unlimited = False,
    reason: Reason = "limit of this destination",
) -> None:
    """Give destinations a ceiling of messages by time and of connections, over all nodes; or take it away."""
    ceiling = None if none else Ceiling(connections, tuple(rate or ()))
    queues = gateway_overview.destination_queues(destinations)
    with ctx.writing() as op:
        restriction_operations.limit(op, queues, ceiling, reason)
    told = "no ceiling" if ceiling is None else ceiling_words(ceiling)
    names = [str(one) for one in queues]
    tell(ctx, {"queues": names, "limited": ceiling is not None}, f"{' '.join(names)}: {told}")


@command(
    app,
    example="outgate queue schedule slow.example --first 10m --longest 6h --give-up-after 10d"
    ' --reason "they are moving" --for 14d\noutgate queue schedule slow.example --none',
)
def schedule(
    ctx: CommandContext,
    destination: Annotated[
        str, typer.Argument(help="Ending of recipients' domains, or of gateways' hosts", metavar="DESTINATION")
    ],
    first: First = None,
    factor: Factor = None,
    longest: LongestWait = None,
    warn_after: WarnAfter = None,
    give_up_after: GiveUpAfter = None,
    none: NoSchedule = False,
    reason: Reason = "",
    for_: For = None,
) -> None:
    """Say when mail for a destination is tried again, told of and returned, where the settings have it otherwise.

    What waits goes by it from its next attempt on; `outgate queue retry` makes that at once.
    """
    if none:
        with ctx.writing() as op:
            removed = schedule_operations.remove(op, destination)
        tell(ctx, {"removed": own_row(removed)}, f"{removed.destination}: the settings' schedule holds again")
        return
    warn = 0.0 if warn_after == NEVER else seconds_of(warn_after)
    change = ScheduleChange(seconds_of(first), factor, seconds_of(longest), warn, seconds_of(give_up_after))
    usual = usual_of(ctx)
    with ctx.writing() as op:
        made = schedule_operations.set_schedule(op, usual, destination, change, reason, seconds_of(for_))
    undo = f"undo: outgate queue schedule {made.destination} --none"
    tell(ctx, {"schedule": own_row(made)}, f"{made.destination}: {change_words(change)}\n{undo}")


@command(app, example="outgate queue schedules")
def schedules(ctx: CommandContext) -> None:
    """List the ways' schedules as the settings have them, and the destinations that have their own."""
    usual = usual_of(ctx)
    with ctx.reading() as op:
        own = schedule_operations.listed(op)
    by_way = {kind.value: ScheduleInForce(one) for kind, one in usual.items()}
    lines = [f"{way}\n{indented([schedule_words(one)])}" for way, one in by_way.items()]
    lines += [f"{one.destination}\n{indented([change_words(one.change), origin(one)])}" for one in own]
    rows: JsonObject = {way: schedule_row(one) for way, one in by_way.items()}
    tell(ctx, {"ways": rows, "destinations": [own_row(one) for one in own]}, "\n\n".join(lines))


@command(app, example="outgate queue restrictions")
def restrictions(ctx: CommandContext) -> None:
    """List what is suspended or has a ceiling: why, by whom, until when, and what undoes it."""
    with ctx.reading() as op:
        found = restriction_operations.listed(op)
        names = queue_names(op, {str(queue) for queue, _ in found})
    paragraphs = [f"{queue}  {names[str(queue)]}\n{indented(_restriction(queue, one))}" for queue, one in found]
    tell(ctx, [restriction_row(*each) for each in found], "\n\n".join(paragraphs) or "nothing is held back")


def _restriction(queue: QueueKey, one: Restriction) -> list[str]:
    undo = f"outgate queue limit {queue} --none" if one.cause is Cause.LIMIT else f"outgate queue resume {queue}"
    return restriction_lines(one, undo)


def _selection(
    identity: str | None,
    address: str | None,
    queue: str | None,
    state: WaitState | None,
    older: str | None,
    reply: str | None,
    everything: bool,
) -> Selection:
    filters = (identity, address, queue, state, older, reply)
    if not any(filters) and not everything:
        raise typer.BadParameter("say which: a queue id, --address, --queue, --state, --older, --reply or --all")
    if everything and any(filters):
        raise typer.BadParameter("--all excludes the other ways to say which")
    number = _number(identity) if identity else None
    return Selection(number, address, queue, state=state, older_than=_before(older), reply=reply)


def _before(older: str | None) -> float | None:
    seconds = seconds_of(older)
    return None if seconds is None else clock.now() - seconds


def _number(identity: str) -> int:
    try:
        return from_text(identity)
    except ValueError as error:
        raise Invalid(str(error)) from None


def _change(
    ctx: CommandContext, selection: Selection, change: QueueChange, outcome: str, dry_run: bool = False
) -> None:
    if dry_run:
        with ctx.reading() as op:
            meant = queue_operations.matching(op, selection)
        tell(ctx, {"recipients": meant, "dry_run": True}, f"{_recipients(meant)} would be {outcome}; nothing was done")
        return
    with ctx.writing() as op:
        made = change(op, selection)
    waits = "" if change in (queue_operations.hold, queue_operations.delete) else ctx.only_with_server()
    tell(ctx, {"recipients": made.recipients}, f"{_recipients(made.recipients)} {outcome}{waits}")


def _recipients(number: int) -> str:
    return f"{number} recipient{'' if number == 1 else 's'}"


def _row(each: Waiting, suspended: Collection[str]) -> JsonObject:
    state = "held" if each.held else "suspended" if each.queue in suspended else "waiting"
    return {
        "id": to_text(each.message_id),
        "from": each.sender,
        "size": each.size,
        "received_at": iso(each.received_at),
        "recipient": each.recipient,
        "queue": each.queue,
        "state": "in transfer" if each.in_transfer else state,
        "attempts": each.attempts,
        "next_attempt": iso(each.due_at),
        "last_reply": each.last_reply,
    }
