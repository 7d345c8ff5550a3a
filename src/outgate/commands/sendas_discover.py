"""`outgate sendas discover`: which server an address would send by, and what says so."""

import asyncio
from dataclasses import asdict

import typer

from outgate import wiring
from outgate.cli.output import table, tell
from outgate.cli.shell import CommandContext, command
from outgate.commands.sendas import Address
from outgate.discovery.candidates import Discovered

app = typer.Typer()


@command(app, example="outgate sendas discover alice@dominiopartner.example")
def discover(ctx: CommandContext, address: Address) -> None:
    """Look for the SMTP server of an address: by presets, DNS, and what its domain publishes for mail programs.

    Nothing is saved and no mail server is connected to. Where it says `confirm`, the server is outside the address's
    domain and only the DNS says so: ask the provider before a password goes there.
    """
    found = asyncio.run(wiring.discoverer(ctx.installation().config).discover(address))
    if ctx.json:
        tell(ctx, asdict(found), "")
    else:
        _show(ctx, found)


def _show(ctx: CommandContext, found: Discovered) -> None:
    candidates = {
        "host": "server",
        "port": "port",
        "security": "security",
        "username": "user name",
        "source": "source",
        "certainty": "certainty",
        "confirm": "confirm",
        "hint": "hint",
    }
    places = {"source": "source", "where": "looked at", "outcome": "outcome", "detail": "detail"}
    table(ctx, [asdict(one) for one in found.candidates], candidates, nothing="no server was found")
    table(ctx, [asdict(one) for one in found.looked_at], places, nothing="nothing was looked at")
