"""`outgate demo`: a small internet on loopback to try it on."""

import asyncio
from typing import Annotated

import typer

from outgate.cli.shell import CommandContext, command
from outgate.demo.run import run

app = typer.Typer()


@command(app, example="outgate demo\noutgate demo --once --json")
def demo(
    ctx: CommandContext,
    once: Annotated[bool, typer.Option("--once", help="End after the four messages")] = False,
) -> None:
    """Show Outgate at work among a partner, recipients and a DNS of their own, all on this machine, no root needed.

    The same message goes out with the switch off, with it on, with a domain gateway set, and from the primary address;
    a table shows what its recipient sees. Then it keeps running, for a browser, with a page of what recipients see
    beside those of the users, or for your own mail program. Everything is in a temporary directory
    unless --data is given (OUTGATE_DATA does not count here). The exit status is 0 only if every message was as the
    reference says.
    """
    raise typer.Exit(asyncio.run(run(once, ctx.json, ctx.given)))
