"""`outgate domain-gateway`: the outbound gateway of the whole organisation."""

from typing import Annotated

import typer

from outgate.commands import gateway
from outgate.commands.command import Here, command
from outgate.commands.output import tell
from outgate.commands.password import PasswordFile, PasswordStdin

app = typer.Typer(
    no_args_is_help=True,
    help="The server that all mail passes which leaves the organisation, but for mail that takes a user's own gateway.",
)


@command(
    app,
    name="set",
    example="outgate domain-gateway set relay.example.net --port 587 --username example --password-file relay.password",
)
def set_(
    here: Here,
    host: Annotated[
        str, typer.Argument(help="Name or IP address of the SMTP server", metavar="HOST", show_default=False)
    ],
    port: gateway.Port = None,
    security: gateway.Security = "starttls",
    username: gateway.Username = "",
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    no_probe: gateway.NoProbe = False,
) -> None:
    """Set or replace the organisation's outbound gateway.

    It is tried first (connect, TLS, log in) and not saved if it can't be used. Mail that waits is decided again.
    """
    from outgate.commands.rows import gateway_row
    from outgate.control import domains

    wanted = gateway.server(host, port, security, username, password_file, password_stdin)
    if not no_probe:
        gateway.try_out(here, wanted, organisations=True)
    with here.acting() as act:
        saved = domains.set_gateway(act, wanted)
    tell(here, {"gateway": gateway_row(saved)}, f"mail that leaves passes {gateway.described(saved)}")


@command(app, example="outgate domain-gateway show")
def show(here: Here) -> None:
    """Show the organisation's outbound gateway."""
    from outgate.commands.rows import gateway_row
    from outgate.control import domains

    with here.looking() as act:
        found = domains.gateway(act)
    text = f"mail that leaves passes {gateway.described(found)}" if found else "no outbound gateway is set"
    tell(here, {"gateway": gateway_row(found)}, text)


@command(app, example="outgate domain-gateway clear")
def clear(here: Here) -> None:
    """Remove the outbound gateway: mail goes to the recipients' mail exchangers, mail that waits as well."""
    from outgate.control import domains

    with here.acting() as act:
        domains.clear_gateway(act)
    tell(here, {"gateway": None}, "no outbound gateway is set: mail goes to the recipients' mail exchangers")
