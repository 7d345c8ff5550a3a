"""`outgate explain`: the decision about a message that nobody sends."""

from typing import Annotated

import typer

from outgate.cli.output import JsonObject, JsonValue, plain, tell
from outgate.cli.shell import CommandContext, command
from outgate.cli.status import Status
from outgate.commands.schedule_options import schedule_row, schedule_words, usual_of
from outgate.model import Refused
from outgate.operations import explanation_operations
from outgate.operations.resources import gateway_row
from outgate.route import Route

app = typer.Typer()


@command(app, example="outgate explain alice@example.com alice@dominiopartner.example carol@recipient.example")
def explain(
    ctx: CommandContext,
    account: Annotated[str, typer.Argument(help="Who sends", metavar="ACCOUNT", show_default=False)],
    sender: Annotated[str, typer.Argument(help="The address in From", metavar="FROM", show_default=False)],
    recipient: Annotated[str, typer.Argument(help="Who receives", metavar="RECIPIENT", show_default=False)],
) -> None:
    """Say whether an account may send as an address, and by which way a message would go, with the reasons.

    Nothing is sent. If it would be refused the exit status is 6.
    """
    with ctx.reading() as op:
        found = explanation_operations.explain(
            op,
            account,
            sender,
            recipient,
            local_mailboxes=ctx.installation().config.local.mailbox == "maildir",
            usual=usual_of(ctx),
        )
    asked: JsonObject = {"account": found.account, "from": found.sender, "recipient": found.recipient}
    if isinstance(found.outcome, Refused):
        reason = found.outcome.reason
        tell(ctx, asked | {"allowed": False, "reasons": [reason]}, f"refused: {reason}")
        raise typer.Exit(Status.NOT_ALLOWED)
    cautions: list[JsonValue] = [plain(one) for one in found.cautions]
    assert found.schedule  # of what has a way
    waits = f"if it has to wait: {schedule_words(found.schedule)}"
    text = "\n".join([_text(found.outcome), waits, *(f"but {one}" for one in cautions)])
    row = _row(found.outcome) | {"cautions": cautions, "schedule": schedule_row(found.schedule)}
    tell(ctx, asked | row, text)


def _row(way: Route) -> JsonObject:
    return {
        "allowed": True,
        "way": way.kind.value,
        "queue": str(way.queue),
        "mail_from": way.reverse_path,
        "sender": way.on_behalf_of,
        "gateway": gateway_row(way.gateway),
        "reasons": list(way.reasons),
    }


def _text(way: Route) -> str:
    lines = [
        f"way        {way.kind.value}",
        f"queue      {way.queue_name}",
        f"MAIL FROM  {way.reverse_path or '<>'}",
        f"Sender     {way.on_behalf_of or '-'}",
        "because",
    ]
    return "\n".join(lines + [f"  - {reason}" for reason in way.reasons])
