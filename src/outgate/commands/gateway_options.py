"""An SMTP server as options of a command."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from outgate import wiring
from outgate.cli.password_input import read_password
from outgate.cli.shell import CommandContext
from outgate.directory.gateway_settings import GatewaySettings
from outgate.frozen import frozen
from outgate.model import Gateway, GatewayKind
from outgate.operations.gateway_trial import GatewayProbe

_PORTS = {"starttls": 587, "ssl": 465, "none": 25}

Port = Annotated[
    int | None,
    typer.Option("--port", help="Port; else 587 for starttls, 465 for ssl, 25 for none", show_default=False),
]
Security = Annotated[str, typer.Option("--security", help="starttls, ssl, or none (port 25 only)", metavar="KIND")]
Username = Annotated[str, typer.Option("--username", help="User name to log in with; its password is asked for")]
NoLogIn = Annotated[
    bool, typer.Option("--no-log-in", help="Connect without a log-in, although there was one", show_default=False)
]
KeptUsername = Annotated[
    str | None,
    typer.Option("--username", help="User name to log in with; its password is asked for", show_default=False),
]
KeptSecurity = Annotated[
    str | None,
    typer.Option("--security", help="starttls, ssl, or none (port 25 only)", metavar="KIND", show_default=False),
]
NoProbe = Annotated[bool, typer.Option("--no-probe", help="Save it without connecting and logging in first")]


def gateway_settings(
    host: str,
    port: int | None,
    security: str,
    username: str,
    password_file: Path | None,
    password_stdin: bool,
    fallbacks: Sequence[str] = (),
) -> GatewaySettings:
    """What the options say. The password is read if there is a user name."""
    password = ""
    if username:
        password = read_password(password_file, password_stdin, f"Password of {username} at {host}")
    elif password_file or password_stdin:
        raise typer.BadParameter("a password needs --username")
    port = port or _PORTS.get(security, 587)
    return GatewaySettings.entered(host, port, security, username, password, fallbacks=fallbacks)


@frozen
class GatewayOptions:
    """What of a gateway was given; None was not."""

    host: str | None
    port: int | None
    security: str | None
    username: str | None
    no_log_in: bool
    password_file: Path | None
    password_stdin: bool

    @property
    def has_password(self) -> bool:
        """Whether one was given."""
        return bool(self.password_file or self.password_stdin)


def changed(
    ctx: CommandContext, given: GatewayOptions, before: Gateway | None, kept_password: Callable[[], str]
) -> GatewaySettings:
    """What is wanted: as given, and as it was where nothing is given.

    A log-in never follows to another host, and is never taken away unless that is said.
    """
    if before and before.kind is not GatewayKind.SMTP:
        before = None  # what a provider's interface is used with is of no use to an SMTP server
    host = given.host or (before.host if before else "")
    if not host:
        raise typer.BadParameter("the address has no SMTP server yet: say --host")
    same = before if before and GatewaySettings.entered(host, 25, "none").host == before.host else None
    security = given.security or (same.security.value if same else "starttls")
    port = given.port or (same.port if same and security == same.security.value else None)
    username = _username(ctx, given, before, host)
    if same and same.sealed and username == same.username and not (given.username or given.has_password):
        return GatewaySettings.entered(host, port or _PORTS.get(security, 587), security, username, kept_password())
    return gateway_settings(host, port, security, username, given.password_file, given.password_stdin)


def _username(ctx: CommandContext, given: GatewayOptions, before: Gateway | None, host: str) -> str:
    former = before.username if before else ""
    if given.no_log_in and given.username:
        raise typer.BadParameter("--no-log-in and --username exclude each other")
    if given.no_log_in and former:
        ctx.confirm(f"Connect to {host} without the log-in of {former} from now on?", False)
    if given.username or given.no_log_in or not former:
        return given.username or ""
    if before and host.lower() != before.host:
        raise typer.BadParameter(
            f"the log-in of {former} was for {before.host}, and does not follow to {host}: say --username for the one"
            " there, or --no-log-in"
        )
    return former


def probe(ctx: CommandContext) -> GatewayProbe:
    """Tries gateways; tells all that is known at the console, else what a user may know."""
    return wiring.gateway_probe(ctx.installation(), ctx.acts_as)
