"""`outgate domain-gateway`: the outbound gateway of the whole organisation."""

from typing import Annotated

import typer

from outgate.cli.output import tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options

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
    from outgate.operations import domain_operations
    from outgate.operations.resources import gateway_row

    wanted = gateway_options.server(host, port, security, username, password_file, password_stdin)
    if not no_probe:
        gateway_options.try_out(ctx, wanted, organisations=True)
    with ctx.writing() as op:
        saved = domain_operations.set_gateway(op, wanted)
    tell(ctx, {"gateway": gateway_row(saved)}, f"mail that leaves passes {gateway_options.described(saved)}")


@command(app, example="outgate domain-gateway show")
def show(ctx: CommandContext) -> None:
    """Show the organisation's outbound gateway."""
    from outgate.operations import domain_operations
    from outgate.operations.resources import gateway_row

    with ctx.reading() as op:
        found = domain_operations.gateway(op)
    text = f"mail that leaves passes {gateway_options.described(found)}" if found else "no outbound gateway is set"
    tell(ctx, {"gateway": gateway_row(found)}, text)


@command(app, example="outgate domain-gateway clear")
def clear(ctx: CommandContext) -> None:
    """Remove the outbound gateway: mail goes to the recipients' mail exchangers, mail that waits as well."""
    from outgate.operations import domain_operations

    with ctx.writing() as op:
        domain_operations.clear_gateway(op)
    tell(ctx, {"gateway": None}, "no outbound gateway is set: mail goes to the recipients' mail exchangers")
