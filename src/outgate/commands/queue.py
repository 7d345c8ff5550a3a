"""`outgate queue`: mail that waits."""

from collections.abc import Callable, Collection
from typing import Annotated

import typer

from outgate.cli.options import Yes
from outgate.cli.output import JsonObject, iso, record, table, tell, to_the_second
from outgate.cli.shell import CommandContext, command
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
from outgate.directory.errors import Invalid
from outgate.model import Cause, QueueKey, Restriction
from outgate.operations import gateway_overview, queue_operations, restriction_operations
from outgate.operations.context import OperationContext
from outgate.operations.queue_names import queue_names
from outgate.operations.restriction_operations import Ceiling
from outgate.operations.waiting_mail import LaterChange
from outgate.queue.admin import Selection, Waiting
from outgate.queue.queue_id import from_text, to_text

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
QueueChange = Callable[[OperationContext, Selection], LaterChange]
Everything = Annotated[bool, typer.Option("--all", help="Everything that waits")]


@command(app, name="list", example="outgate queue list\noutgate queue list --address dominiopartner.example")
def list_(
    ctx: CommandContext,
    address: Address = None,
    queue: QueueName = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many recipients", min=1)] = 200,
) -> None:
    """List the recipients that have no final outcome yet, those of the oldest message first."""
    with ctx.reading() as op:
        found = queue_operations.waiting(op, Selection(address=address, queue=queue), limit)
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
    """Show what waits of one message. Its whole story is in `outgate log ID`."""
    with ctx.reading() as op:
        found = queue_operations.of_message(op, _number(identity))
        names = queue_names(op, {each.queue for each in found})
        suspended = restriction_operations.suspended(op)
    rows = [_row(each, suspended) | {"queue_name": names[each.queue]} for each in found]
    common = ("id", "from", "size", "received_at")
    recipients = [{key: value for key, value in row.items() if key not in common} for row in rows]
    value = {key: rows[0][key] for key in common}
    if ctx.json:
        record(ctx, value | {"recipients": recipients})
        return
    record(ctx, value)
    columns = {key: key.replace("_", " ") for key in ("recipient", "queue_name", "state", "next_attempt", "last_reply")}
    columns["queue_name"] = "queue"
    table(ctx, recipients, columns, nothing="")


@command(app, example="outgate queue count")
def count(ctx: CommandContext) -> None:
    """Count what waits, by queue: one for each gateway and destination."""
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
    everything: Everything = False,
) -> None:
    """Try again now, whatever the schedule says. What is held stays held."""
    selection = _selection(identity, address, queue, everything)
    _change(ctx, selection, queue_operations.retry, "will be tried again now")


@command(app, example="outgate queue hold 0c8sm2v1r0003\noutgate queue hold --address newsletter@example.com")
def hold(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    everything: Everything = False,
) -> None:
    """Attempt nothing until `release`. An attempt that is under way is not broken off."""
    selection = _selection(identity, address, queue, everything)
    _change(ctx, selection, queue_operations.hold, "held")


@command(app, example="outgate queue release --all")
def release(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    everything: Everything = False,
) -> None:
    """Undo `hold`, and try at once."""
    selection = _selection(identity, address, queue, everything)
    _change(ctx, selection, queue_operations.release, "released")


@command(app, example="outgate queue delete 0c8sm2v1r0003\noutgate queue delete --all --yes")
def delete(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    everything: Everything = False,
    yes: Yes = False,
) -> None:
    """Delete from the queue for good: nothing is delivered, nobody is told, the log says so.

    What is being delivered at this moment stays; hold it first to be sure. On a terminal it asks first, unless it is
    one message.
    """
    selection = _selection(identity, address, queue, everything)
    if not identity:
        which = " and ".join(one for one in (address, queue) if one)
        ctx.confirm(f"Delete {f'what waits for {which}' if which else 'all that waits'} for good?", yes)
    _change(ctx, selection, queue_operations.delete, "deleted")


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


def _selection(identity: str | None, address: str | None, queue: str | None, everything: bool) -> Selection:
    if not (identity or address or queue) and not everything:
        raise typer.BadParameter("say which: a queue id, --address, --queue or --all")
    if everything and (identity or address or queue):
        raise typer.BadParameter("--all excludes the other ways to say which")
    return Selection(_number(identity) if identity else None, address, queue)


def _number(identity: str) -> int:
    try:
        return from_text(identity)
    except ValueError as error:
        raise Invalid(str(error)) from None


def _change(ctx: CommandContext, selection: Selection, change: QueueChange, outcome: str) -> None:
    with ctx.writing() as op:
        made = change(op, selection)
    changed = made.recipients
    waits = ctx.only_with_server() if change in (queue_operations.retry, queue_operations.release) else ""
    tell(ctx, {"recipients": changed}, f"{changed} recipient{'' if changed == 1 else 's'} {outcome}{waits}")


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
