"""`outgate queue`: mail that waits."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outgate.cli.output import JsonObject, iso, record, table, tell
from outgate.cli.shell import CommandContext, command

if TYPE_CHECKING:
    from outgate.operations.operation import OperationContext
    from outgate.queue.admin import Selection, Waiting

app = typer.Typer(
    no_args_is_help=True, help="Mail that waits: to be tried again, because it is held, or as it just came."
)

Identity = Annotated[str, typer.Argument(help="Queue id, as in 'queued as 0c8sm2v1r0003'", metavar="ID")]
SomeIdentity = Annotated[
    str | None, typer.Argument(help="Queue id, as in 'queued as 0c8sm2v1r0003'", metavar="[ID]", show_default=False)
]
Address = Annotated[str | None, typer.Option("--address", help="Only with this in the sender's or recipient's address")]
QueueName = Annotated[
    str | None, typer.Option("--queue", help="Only in this queue, as `outgate queue count` names them")
]
Everything = Annotated[bool, typer.Option("--all", help="Everything that waits")]


@command(app, name="list", example="outgate queue list\noutgate queue list --address dominiopartner.example")
def list_(
    ctx: CommandContext,
    address: Address = None,
    queue: QueueName = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many recipients", min=1)] = 200,
) -> None:
    """List the recipients that have no final outcome yet, those of the oldest message first."""
    from outgate.queue.admin import Selection

    rows = _waiting(ctx, Selection(address=address, queue=queue), limit)
    columns = {
        "id": "id",
        "from": "from",
        "recipient": "recipient",
        "queue": "queue",
        "state": "state",
        "attempts": "attempts",
        "next_attempt": "next attempt",
        "last_reply": "last reply",
    }
    table(ctx, rows, columns, nothing="nothing waits")


@command(app, example="outgate queue show 0c8sm2v1r0003")
def show(ctx: CommandContext, identity: Identity) -> None:
    """Show what waits of one message. Its whole story is in `outgate log ID`."""
    from outgate.directory.errors import NotFound
    from outgate.queue.admin import Selection

    rows = _waiting(ctx, Selection(message_id=_number(identity)), 1_000_000)
    if not rows:
        raise NotFound(f"nothing waits of the message {identity}; `outgate log {identity}` shows what became of it")
    common = ("id", "from", "size", "received_at")
    recipients = [{key: value for key, value in row.items() if key not in common} for row in rows]
    value = {key: rows[0][key] for key in common}
    if ctx.json:
        record(ctx, value | {"recipients": recipients})
        return
    record(ctx, value)
    columns = {key: key.replace("_", " ") for key in ("recipient", "queue", "state", "next_attempt", "last_reply")}
    table(ctx, recipients, columns, nothing="")


@command(app, example="outgate queue count")
def count(ctx: CommandContext) -> None:
    """Count what waits, by queue: one for each gateway and destination."""
    from outgate.operations import record_operations

    with ctx.reading() as op:
        rows: list[JsonObject] = [
            {
                "queue": each.queue,
                "messages": each.messages,
                "recipients": each.recipients,
                "held": each.held,
                "oldest": iso(each.oldest),
            }
            for each in record_operations.counts(op)
        ]
    table(ctx, rows, {key: key for key in rows[0]} if rows else {}, nothing="nothing waits")


@command(app, example="outgate queue retry 0c8sm2v1r0003\noutgate queue retry --queue mx:recipient.example")
def retry(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    everything: Everything = False,
) -> None:
    """Try again now, whatever the schedule says. What is held stays held."""
    from outgate.operations import record_operations

    selection = _selection(identity, address, queue, everything)
    _change(ctx, selection, record_operations.retry, "will be tried again now")


@command(app, example="outgate queue hold 0c8sm2v1r0003\noutgate queue hold --address newsletter@example.com")
def hold(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    everything: Everything = False,
) -> None:
    """Attempt nothing until `release`. An attempt that is under way is not broken off."""
    from outgate.operations import record_operations

    selection = _selection(identity, address, queue, everything)
    _change(ctx, selection, record_operations.hold, "held")


@command(app, example="outgate queue release --all")
def release(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    everything: Everything = False,
) -> None:
    """Undo `hold`, and try at once."""
    from outgate.operations import record_operations

    selection = _selection(identity, address, queue, everything)
    _change(ctx, selection, record_operations.release, "released")


@command(app, example="outgate queue delete 0c8sm2v1r0003")
def delete(
    ctx: CommandContext,
    identity: SomeIdentity = None,
    address: Address = None,
    queue: QueueName = None,
    everything: Everything = False,
) -> None:
    """Delete from the queue for good: nothing is delivered, nobody is told, the log says so.

    What is being delivered at this moment stays; hold it first to be sure.
    """
    from outgate.operations import record_operations

    selection = _selection(identity, address, queue, everything)
    _change(ctx, selection, record_operations.delete, "deleted")


def _selection(identity: str | None, address: str | None, queue: str | None, everything: bool) -> "Selection":
    from outgate.queue.admin import Selection

    if not (identity or address or queue) and not everything:
        raise typer.BadParameter("say which: a queue id, --address, --queue or --all")
    if everything and (identity or address or queue):
        raise typer.BadParameter("--all excludes the other ways to say which")
    return Selection(_number(identity) if identity else None, address, queue)


def _number(identity: str) -> int:
    from outgate.directory.errors import Invalid
    from outgate.queue.queue_id import from_text

    try:
        return from_text(identity)
    except ValueError as error:
        raise Invalid(str(error)) from None


def _change(
    ctx: CommandContext, selection: "Selection", change: "Callable[[OperationContext, Selection], int]", outcome: str
) -> None:
    from outgate.directory.errors import NotFound
    from outgate.queue import admin

    with ctx.writing() as op:
        found = len(list(admin.waiting(op.connection, selection, op.now, 1)))
        changed = change(op, selection)
    if selection.message_id is not None and not found:
        raise NotFound("nothing waits of this message; `outgate log ID` shows what became of it")
    tell(ctx, {"recipients": changed}, f"{changed} recipient{'' if changed == 1 else 's'} {outcome}")


def _waiting(ctx: CommandContext, selection: "Selection", limit: int) -> list[dict[str, Any]]:
    from outgate.operations import record_operations

    with ctx.reading() as op:
        return [_row(each) for each in record_operations.waiting(op, selection, limit)]


def _row(each: "Waiting") -> dict[str, Any]:
    from outgate.queue.queue_id import to_text

    return {
        "id": to_text(each.message_id),
        "from": each.sender,
        "size": each.size,
        "received_at": iso(each.received_at),
        "recipient": each.recipient,
        "queue": each.queue,
        "state": "in transfer" if each.in_transfer else "held" if each.held else "waiting",
        "attempts": each.attempts,
        "next_attempt": iso(each.due_at),
        "last_reply": each.last_reply,
    }
