"""`outgate log-in`: what is locked after failed log-ins."""

from ipaddress import ip_network
from typing import Annotated

import typer

from outgate.accept.throttle import limits_of
from outgate.cli.output import table, tell
from outgate.cli.shell import CommandContext, command
from outgate.iso_time import iso
from outgate.operations import log_in_operations

app = typer.Typer(no_args_is_help=True, help="Failed log-ins: what is locked by them, and unlocking a network.")


@command(app, example="outgate log-in locked")
def locked(ctx: CommandContext) -> None:
    """List the accounts and networks that are locked after too many failed log-ins, and until when."""
    limits = limits_of(ctx.installation().config.log_in)
    with ctx.reading() as op:
        found = log_in_operations.locked(op, limits)
    rows = [{"account": one.account, "network": one.network, "until": iso(one.until)} for one in found]
    table(ctx, rows, {"account": "account", "network": "network", "until": "until"}, nothing="nothing is locked")


@command(app, example="outgate log-in unlock 192.0.2.0/24\noutgate log-in unlock 2001:db8::25")
def unlock(
    ctx: CommandContext,
    network: Annotated[
        str, typer.Argument(help="A network, or an address in it", metavar="NETWORK", show_default=False)
    ],
) -> None:
    """Forget the failed log-ins from a network, for all accounts. The server knows of it within two seconds."""
    try:
        meant = ip_network(network, strict=False)
    except ValueError:
        raise typer.BadParameter(f"'{network}' is no network; write 192.0.2.0/24 or 192.0.2.7") from None
    with ctx.writing() as op:
        count = log_in_operations.unlock_network(op, meant)
    done = f"unlocked {meant}" if count else f"there were no failed log-ins from {meant}"
    tell(ctx, {"network": str(meant), "failures": count}, done)
