"""An SMTP server as options of a command, and the probe that comes before it is saved."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from outgate.cli.password_input import read_password
from outgate.cli.status import CheckFailed

if TYPE_CHECKING:
    from pathlib import Path

    from outgate.cli.shell import CommandContext
    from outgate.directory.gateway_settings import GatewaySettings
    from outgate.model import Gateway

_FAREWELL_SECONDS = 0.2
_PORTS = {"starttls": 587, "ssl": 465, "none": 25}

Port = Annotated[
    int | None,
    typer.Option("--port", help="Port; else 587 for starttls, 465 for ssl, 25 for none", show_default=False),
]
Security = Annotated[str, typer.Option("--security", help="starttls, ssl, or none (port 25 only)", metavar="KIND")]
Username = Annotated[str, typer.Option("--username", help="User name to log in with; its password is asked for")]
NoProbe = Annotated[bool, typer.Option("--no-probe", help="Save it without connecting and logging in first")]


def server(
    host: str, port: int | None, security: str, username: str, password_file: "Path | None", password_stdin: bool
) -> "GatewaySettings":
    """What the options say. The password is read if there is a user name."""
    from outgate.directory.gateway_settings import GatewaySettings

    password = ""
    if username:
        password = read_password(password_file, password_stdin, f"Password of {username} at {host}")
    elif password_file or password_stdin:
        raise typer.BadParameter("a password needs --username")
    return GatewaySettings(host, port or _PORTS.get(security, 587), security, username, password)  # type: ignore[arg-type]  # it checks


def try_out(ctx: "CommandContext", wanted: "GatewaySettings", *, organisations: bool = False) -> None:
    """Connect and log in as delivery would, to a user's gateway or the organisation's. Raises CheckFailed."""
    from outgate.model import Gateway

    gateway = Gateway("new", wanted.host, wanted.port, wanted.security, wanted.username)
    probe(ctx, gateway, wanted.password, organisations=organisations)


def probe(ctx: "CommandContext", gateway: "Gateway", password: str, *, organisations: bool = False) -> None:
    """As `try_out`. Raises CheckFailed: with all that is known at the console, with what a user may know for others."""
    if reason := asyncio.run(_reason_against(ctx, gateway, password, organisations)):
        raise CheckFailed(f"{gateway.host}:{gateway.port} can't be used as a gateway: {reason}")


async def _reason_against(ctx: "CommandContext", gateway: "Gateway", password: str, organisations: bool) -> str:
    from outgate import wiring
    from outgate.store.rates import Rates

    installation = ctx.installation()
    prober = wiring.prober(installation.config)
    if organisations:
        reason = (await prober.domain_gateway(gateway, password)).detail
    elif ctx.acts_as:
        rates = Rates(installation.engine)
        reason = (await prober.gateway_for(ctx.acts_as, gateway, password, rates)).public
    else:
        reason = (await prober.gateway(gateway, password)).detail
    await asyncio.sleep(_FAREWELL_SECONDS)  # the loop ends here, and QUIT with the end of TLS is still on its way
    return reason


def described(gateway: "Gateway | GatewaySettings") -> str:
    """As in `smtp.example.org:587 (starttls, as alice)`."""
    log_in = f", as {gateway.username}" if gateway.username else ", without log-in"
    return f"{gateway.host}:{gateway.port} ({gateway.security}{log_in})"
