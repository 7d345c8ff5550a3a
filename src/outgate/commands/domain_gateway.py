"""`outgate domain-gateway`: the outbound gateway of the whole organisation."""

from typing import Annotated

import typer

from outgate.cli.output import tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options
from outgate.operations import domain_gateway_operations
from outgate.operations.gateway_trial import described
from outgate.operations.resources import gateway_row

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
    ctx: CommandContext,
    host: Annotated[
        str, typer.Argument(help="Name or IP address of the SMTP server", metavar="HOST", show_default=False)
    ],
    port: gateway_options.Port = None,
    security: gateway_options.Security = "starttls",
    username: gateway_options.Username = "",
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    no_probe: gateway_options.NoProbe = False,
) -> None:
    """Set or replace the organisation's outbound gateway.

    It is tried first (connect, TLS, log in) and not saved if it can't be used. Mail that waits is decided again.
    """
    wanted = gateway_options.gateway_settings(host, port, security, username, password_file, password_stdin)
    saved = domain_gateway_operations.save(ctx, wanted, None if no_probe else gateway_options.probe(ctx))
    tell(ctx, {"gateway": gateway_row(saved)}, f"mail that leaves passes {described(saved)}")


@command(app, example="outgate domain-gateway show")
def show(ctx: CommandContext) -> None:
    """Show the organisation's outbound gateway."""
    with ctx.reading() as op:
        found = domain_gateway_operations.show(op)
    text = f"mail that leaves passes {described(found)}" if found else "no outbound gateway is set"
    tell(ctx, {"gateway": gateway_row(found)}, text)


@command(app, example="outgate domain-gateway clear")
def clear(ctx: CommandContext) -> None:
    """Remove the outbound gateway: mail goes to the recipients' mail exchangers, mail that waits as well."""
    with ctx.writing() as op:
        domain_gateway_operations.clear_gateway(op)
    tell(ctx, {"gateway": None}, "no outbound gateway is set: mail goes to the recipients' mail exchangers")
