"""`outgate sendas gateway`: the SMTP server that delivers what is sent as an address."""

from typing import Annotated

import typer

from outgate.cli.output import tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options
from outgate.commands.sendas import AccountName, Address
from outgate.mail.addresses import canonical
from outgate.operations import gateway_operations
from outgate.operations.gateway_trial import described
from outgate.operations.resources import send_as_row

app = typer.Typer(
    no_args_is_help=True, help="The gateway of a From address: its own SMTP server, which delivers what is sent as it."
)


@command(
    app,
    name="set",
    example="outgate sendas gateway set alice@example.com alice@dominiopartner.example"
    " --host smtp.dominiopartner.example --username alice",
)
def set_(
    ctx: CommandContext,
    account: AccountName,
    address: Address,
    host: Annotated[str, typer.Option("--host", help="Name or IP address of the SMTP server", show_default=False)],
    port: gateway_options.Port = None,
    security: gateway_options.Security = "starttls",
    username: gateway_options.Username = "",
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    no_probe: gateway_options.NoProbe = False,
) -> None:
    """Set or replace the gateway of an external address, where policy allows it.

    It is tried first (connect, TLS, log in) and not saved if it can't be used. Mail that waits is decided again.
    """
    wanted = gateway_options.gateway_settings(host, port, security, username, password_file, password_stdin)
    entry = gateway_operations.save(ctx, account, address, wanted, None if no_probe else gateway_options.probe(ctx))
    row = send_as_row(canonical(account), entry)
    tell(ctx, row, f"mail sent as {entry.address} goes through {described(entry.gateway)}")


@command(app, example="outgate sendas gateway clear alice@example.com alice@dominiopartner.example")
def clear(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Remove an address's gateway: the organisation's servers deliver from now on, mail that waits as well."""
    with ctx.writing() as op:
        entry = gateway_operations.clear_gateway(op, account, address)
    row = send_as_row(canonical(account), entry)
    tell(ctx, row, f"the organisation's servers deliver what is sent as {entry.address}")
