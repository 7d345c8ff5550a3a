"""`outgate log`: where any message went."""

import json
import time
from collections.abc import Iterable
from typing import Annotated

import typer

from outgate.cli.output import JsonObject, iso, plain, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.cli.times import seconds
from outgate.directory.errors import Invalid, NotFound
from outgate.operations import message_log_operations
from outgate.queue.queue_id import from_text, to_text
from outgate.record.events import MessageEvent
from outgate.record.message_log import MessageFilter

_POLL_SECONDS = 0.5
_BATCH = 500


app = typer.Typer()


@command(
    app,
    example="outgate log 0c8sm2v1r0003\n"
    "outgate log --address carol@recipient.example --since 2026-01-31\n"
    "outgate log --follow",
)
def log(
    ctx: CommandContext,
    identity: Annotated[
        str | None, typer.Argument(help="Queue id of one message, for its whole story", metavar="[ID]")
    ] = None,
    address: Annotated[str | None, typer.Option("--address", help="Only messages from or to this address")] = None,
    message_id: Annotated[
        str | None, typer.Option("--message-id", help="Only the messages with this Message-ID")
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

    A story has each decision with its reasons, each attempt with the peer's reply, and each outcome.
    """
    if identity and follow:
        raise typer.BadParameter("--follow shows all messages; leave out the queue id")
    if follow:
        _follow(ctx)
    elif identity:
        _story(ctx, identity)
    else:
        wanted = MessageFilter(address or message_id, seconds(since), seconds(until), limit)
        _messages(ctx, wanted, message_id)


def _messages(ctx: CommandContext, wanted: MessageFilter, message_id: str | None) -> None:
    with ctx.reading() as op:
        found = [_row(fact) for fact in message_log_operations.messages(op, wanted)]
    rows = [row for row in found if message_id is None or _bare(str(row["message_id"])) == _bare(message_id)]
    columns = {"id": "id", "at": "at", "account": "account", "from": "from", "recipients": "recipients"}
    columns["refused"] = "refused"
    table(ctx, rows, columns, nothing="no message matches")


def _bare(message_id: str) -> str:
    return message_id.strip().strip("<>")


def _story(ctx: CommandContext, identity: str) -> None:
    try:
        number = from_text(identity)
    except ValueError as error:
        raise Invalid(str(error)) from None
    with ctx.reading() as op:
        facts = message_log_operations.history(op, number)
    if not facts:
        raise NotFound(f"there is no message {identity}")
    value: JsonObject = {"id": to_text(number), "facts": [_fact_row(fact) for fact in facts]}
    tell(ctx, value, "\n".join([f"message {value['id']}", *(_lines(fact) for fact in facts)]))


def _follow(ctx: CommandContext) -> None:
    after: int | None = None
    while True:
        with ctx.reading() as op:
            tail = message_log_operations.latest(op, after, _BATCH)
        after = tail.after
        for fact in tail.events:
            told = json.dumps({"id": to_text(fact.message_id)} | _fact_row(fact)) if ctx.json else _short(fact)
            typer.echo(told)
        if len(tail.events) < _BATCH:
            time.sleep(_POLL_SECONDS)


def _row(fact: MessageEvent) -> JsonObject:
    """The `accepted` or `refused` fact of a message."""
    return {"id": to_text(fact.message_id), "at": iso(fact.at), "refused": ""} | fact.detail


def _fact_row(fact: MessageEvent) -> JsonObject:
    detail = dict(fact.detail)
    if "next_attempt" in detail:
        detail["next_attempt"] = iso(detail["next_attempt"])
    return {"at": iso(fact.at), "kind": fact.kind.value} | detail


def _short(fact: MessageEvent) -> str:
    return f"{iso(fact.at)}  {to_text(fact.message_id)}  {fact.kind.value:9}  {_details(_fact_row(fact))}"


def _lines(fact: MessageEvent) -> str:
    """A fact as a heading and a line for each of its details."""
    row = _fact_row(fact)
    lines = [f"{row.pop('at')}  {row.pop('kind')}"]
    for key, value in row.items():
        values: Iterable[object] = value if isinstance(value, list) else [value]
        if value not in ("", None, []):
            lines.extend(f"    {key.replace('_', ' '):12}  {plain(each)}" for each in values)
    return "\n".join(lines)


def _details(row: JsonObject) -> str:
    shown = {key: value for key, value in row.items() if key not in ("at", "kind") and value not in ("", None, [])}
    return "  ".join(f"{key}={plain(value)}" for key, value in shown.items())
