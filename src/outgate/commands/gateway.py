"""An SMTP server as options of a command, and the probe that comes before it is saved."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from outgate.commands.password import read_password
from outgate.commands.status import CheckFailed

if TYPE_CHECKING:
    from pathlib import Path

    from outgate.authorise import Gateway
    from outgate.commands.command import Here
    from outgate.directory.server import Server

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
) -> "Server":
    """What the options say. The password is read if there is a user name."""
    from outgate.directory.server import Server

    password = ""
    if username:
        password = read_password(password_file, password_stdin, f"Password of {username} at {host}")
    elif password_file or password_stdin:
        raise typer.BadParameter("a password needs --username")
    return Server(host, port or _PORTS.get(security, 587), security, username, password)  # type: ignore[arg-type]  # it checks


def try_out(here: "Here", wanted: "Server", *, organisations: bool = False) -> None:
    """Connect and log in as delivery would, to a user's gateway or the organisation's. Raises CheckFailed."""
    from outgate.authorise import Gateway

    gateway = Gateway("new", wanted.host, wanted.port, wanted.security, wanted.username)
    probe(here, gateway, wanted.password, organisations=organisations)


def probe(here: "Here", gateway: "Gateway", password: str, *, organisations: bool = False) -> None:
    """As `try_out`. Raises CheckFailed: with all that is known at the console, with what a user may know for others."""
    if reason := asyncio.run(_reason_against(here, gateway, password, organisations)):
        raise CheckFailed(f"{gateway.host}:{gateway.port} can't be used as a gateway: {reason}")


async def _reason_against(here: "Here", gateway: "Gateway", password: str, organisations: bool) -> str:
    from outgate import wiring
    from outgate.store.rates import Rates

    place = here.place()
    prober = wiring.prober(place.config)
    if organisations:
        reason = (await prober.domain_gateway(gateway, password)).detail
    elif here.acts_as:
        rates = Rates(place.engine)
        reason = (await prober.gateway_for(here.acts_as, gateway, password, rates)).public
    else:
        reason = (await prober.gateway(gateway, password)).detail
    await asyncio.sleep(_FAREWELL_SECONDS)  # the loop ends here, and QUIT with the end of TLS is still on its way
    return reason


def described(gateway: "Gateway | Server") -> str:
    """As in `smtp.example.org:587 (starttls, as alice)`."""
    log_in = f", as {gateway.username}" if gateway.username else ", without log-in"
    return f"{gateway.host}:{gateway.port} ({gateway.security}{log_in})"
