"""`outgate explain`: the decision about a message that nobody sends."""

from typing import Annotated, Any, NoReturn

import typer

from outgate.cli.output import tell
from outgate.cli.shell import CommandContext, command
from outgate.cli.status import Status


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example="outgate explain alice@example.com alice@dominiopartner.example carol@recipient.example")(
        explain
    )


def explain(
    ctx: CommandContext,
    account: Annotated[str, typer.Argument(help="Who sends", metavar="ACCOUNT", show_default=False)],
    sender: Annotated[str, typer.Argument(help="The address in From", metavar="FROM", show_default=False)],
    recipient: Annotated[str, typer.Argument(help="Who receives", metavar="RECIPIENT", show_default=False)],
) -> None:
    """Say whether an account may send as an address, and by which way a message would go, with the reasons.

    Nothing is sent. If it would be refused the exit status is 6.
    """
    from outgate.authorise import authorise
    from outgate.directory import accounts
    from outgate.mail.addresses import canonical
    from outgate.model import Refused
    from outgate.operations import send_as_operations
    from outgate.route import route

    sender, recipient = canonical(sender), canonical(recipient)
    with ctx.reading() as op:
        owner = send_as_operations.account(op, account)
        organisation = accounts.load_organisation(op.connection)
    verdict = authorise(owner, sender, [sender])
    asked = {"account": owner.primary, "from": sender, "recipient": recipient}
    if isinstance(verdict, Refused):
        _refuse(ctx, asked, verdict.reason)
    way = route(organisation, owner, verdict.chosen, recipient, reverse_path=sender, automatic=False)
    if isinstance(way, Refused):
        _refuse(ctx, asked, way.reason)
    tell(ctx, asked | _row(way), _text(way))


def _refuse(ctx: CommandContext, asked: dict[str, Any], reason: str) -> NoReturn:
    tell(ctx, asked | {"allowed": False, "reasons": [reason]}, f"refused: {reason}")
    raise typer.Exit(Status.NOT_ALLOWED)


def _row(way: Any) -> dict[str, Any]:
    from outgate.operations.resources import gateway_row

    return {
        "allowed": True,
        "way": way.kind.value,
        "queue": str(way.queue),
        "mail_from": way.reverse_path,
        "sender": way.on_behalf_of,
        "gateway": gateway_row(way.gateway),
        "reasons": list(way.reasons),
    }


def _text(way: Any) -> str:
    lines = [
        f"way        {way.kind.value}",
        f"queue      {way.queue}",
        f"MAIL FROM  {way.reverse_path or '<>'}",
        f"Sender     {way.on_behalf_of or '-'}",
        "because",
    ]
    return "\n".join(lines + [f"  - {reason}" for reason in way.reasons])
