"""An SMTP server as options of a command."""

from pathlib import Path
from typing import Annotated

import typer

from outgate import wiring
from outgate.cli.password_input import read_password
from outgate.cli.shell import CommandContext
from outgate.directory.gateway_settings import GatewaySettings
from outgate.operations.gateway_trial import GatewayProbe

_PORTS = {"starttls": 587, "ssl": 465, "none": 25}

Port = Annotated[
    int | None,
    typer.Option("--port", help="Port; else 587 for starttls, 465 for ssl, 25 for none", show_default=False),
]
Security = Annotated[str, typer.Option("--security", help="starttls, ssl, or none (port 25 only)", metavar="KIND")]
Username = Annotated[str, typer.Option("--username", help="User name to log in with; its password is asked for")]
NoProbe = Annotated[bool, typer.Option("--no-probe", help="Save it without connecting and logging in first")]


def gateway_settings(
    host: str, port: int | None, security: str, username: str, password_file: Path | None, password_stdin: bool
) -> GatewaySettings:
    """What the options say. The password is read if there is a user name."""
    password = ""
    if username:
        password = read_password(password_file, password_stdin, f"Password of {username} at {host}")
    elif password_file or password_stdin:
        raise typer.BadParameter("a password needs --username")
    return GatewaySettings.entered(host, port or _PORTS.get(security, 587), security, username, password)


def probe(ctx: CommandContext) -> GatewayProbe:
    """Tries gateways; tells all that is known at the console, else what a user may know."""
    return wiring.gateway_probe(ctx.installation(), ctx.acts_as)
