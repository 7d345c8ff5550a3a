"""`outgate log`: where any message went."""

import json
import time
from collections.abc import Mapping
from typing import Annotated

import typer

from outgate.cli.output import JsonObject, Row, plain, table, tell, to_the_second
from outgate.cli.shell import CommandContext, command
from outgate.cli.times import seconds
from outgate.commands.event_lines import event_lines, named
from outgate.directory.errors import Invalid, NotFound
from outgate.iso_time import iso
from outgate.operations import message_log_operations
from outgate.operations.queue_names import event_queues
from outgate.operations.resources import event_row
from outgate.queue.queue_id import from_text, to_text
from outgate.record.events import MessageEvent
from outgate.record.message_log import LoggedMessage, MessageFilter, MessageOutcome

_POLL_SECONDS = 0.5
_BATCH = 500


app = typer.Typer()


@command(
    app,
    example="outgate log 0c8sm2v1r0003\n"
    "outgate log --to carol@recipient.example --since 2026-01-31\n"
    "outgate log --from example.com --outcome bounced\n"
    "outgate log --follow",
)
def log(
    ctx: CommandContext,
    identity: Annotated[
        str | None, typer.Argument(help="Queue id of one message, for its whole story", metavar="[ID]")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Only messages from or to this address, or this domain")
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--from", help="Only messages with this sender or account, or of this domain")
    ] = None,
    recipient: Annotated[str | None, typer.Option("--to", help="Only messages to this address, or this domain")] = None,
    message_id: Annotated[
        str | None, typer.Option("--message-id", help="Only the messages with this Message-ID")
    ] = None,
    outcome: Annotated[
        MessageOutcome | None,
        typer.Option("--outcome", help="Only messages that came to this: waiting, delivered, bounced, refused"),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only from then on, as in 2026-01-31 or 2026-01-31T12:00")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Only before then")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many messages, the newest", min=1)] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print what happens from now on, until Ctrl-C")
    ] = False,
) -> None:
    """Show the messages that came, the newest first; or the whole story of one; or what happens now.

    A story has each decision with its reasons, each attempt with the peer's reply, and each outcome. A message waits
    while one of its recipients does; it has bounced if one was given up.
    """
    wanted = MessageFilter(
        address, sender, recipient, message_id, outcome, since=seconds(since), until=seconds(until), limit=limit
    )
    if follow and (identity or wanted != MessageFilter(limit=limit)):
        raise typer.BadParameter("--follow shows what happens to all messages; leave out the queue id and what to find")
    if follow:
        _follow(ctx)
    elif identity:
        _story(ctx, identity)
    else:
        _messages(ctx, wanted)


def _messages(ctx: CommandContext, wanted: MessageFilter) -> None:
    with ctx.reading() as op:
        rows = [_row(message) for message in message_log_operations.messages(op, wanted)]
    columns = {"id": "id", "at": "at", "outcome": "outcome", "sender": "from", "recipients": "to"}
    if not ctx.json:
        rows = [{**row, "at": to_the_second(row["at"]), "recipients": _first(row)} for row in rows]
    table(ctx, rows, columns, nothing="no message matches", whole=("id", "outcome"))


def _story(ctx: CommandContext, identity: str) -> None:
    try:
        number = from_text(identity)
    except ValueError as error:
        raise Invalid(str(error)) from None
    with ctx.reading() as op:
        events = message_log_operations.history(op, number)
        names = event_queues(op, events)
    if not events:
        raise NotFound(f"there is no message {identity}")
    value: JsonObject = {"id": to_text(number), "facts": [event_row(event, names) for event in events]}
    tell(ctx, value, "\n".join([f"message {value['id']}", *(event_lines(event, names) for event in events)]))


def _follow(ctx: CommandContext) -> None:
    after: int | None = None
    while True:
        complete = message_log_operations.complete_row(ctx.installation().engine)
        if complete is None:  # somebody writes at length
            continue
        with ctx.reading() as op:
            tail = message_log_operations.latest(op, complete, after, _BATCH)
            names = event_queues(op, tail.events)
        after = tail.after
        for event in tail.events:
            row = {"id": to_text(event.message_id)} | event_row(event, names)
            typer.echo(json.dumps(row) if ctx.json else _short(event, names))
        if len(tail.events) < _BATCH:
            time.sleep(_POLL_SECONDS)


def _row(message: LoggedMessage) -> JsonObject:
    event = message.event
    fixed: JsonObject = {
        "id": to_text(event.message_id),
        "at": iso(event.at),
        "outcome": message.outcome.value,
        "refused": "",
    }
    sender = ", ".join(event.detail["from"]) or event.detail["mail_from"] or event.detail["account"]
    return fixed | {"sender": sender, "refused": ""} | event.detail


def _first(row: Row) -> str:
    recipients = row["recipients"]
    assert isinstance(recipients, list)
    return f"{recipients[0]} +{len(recipients) - 1}" if len(recipients) > 1 else plain(recipients)


def _short(event: MessageEvent, names: Mapping[str, str]) -> str:
    row = named(event_row(event, names))
    return f"{iso(event.at)}  {to_text(event.message_id)}  {event.kind.value:9}  {_details(row)}"


def _details(row: Row) -> str:
    shown = {key: value for key, value in row.items() if key not in ("at", "kind") and value not in ("", None, [])}
    return "  ".join(f"{key}={plain(value)}" for key, value in shown.items())
