"""`outgate systemd-unit`: the unit by which systemd runs the server."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from outgate import systemd
from outgate.cli.output import tell
from outgate.cli.shell import CommandContext, command

app = typer.Typer()


@command(app, example="outgate --data /var/lib/outgate systemd-unit --user outgate")
def systemd_unit(
    ctx: CommandContext,
    user: Annotated[str, typer.Option("--user", help="The user that the server runs as")] = "outgate",
) -> None:
    """Print the systemd unit of this data directory's server: its own user, low ports, nothing else to write to.

    The user must be there, and have the data directory: docs/set-up.md has the commands, from useradd to systemctl.
    """
    config = ctx.installation().config
    program = Path(sys.executable).parent / "outgate"
    data = config.data.resolve()
    unit = systemd.service_unit(program, data, data / config.local.maildir, user, config.delivery.stop_timeout)
    tell(ctx, {"unit": unit}, unit.rstrip("\n"))
