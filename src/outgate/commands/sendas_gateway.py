"""`outgate sendas gateway`: the SMTP server that delivers what is sent as an address."""

from typing import Annotated, Any

import typer

from outgate.cli.output import tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options
from outgate.commands.sendas import AccountName, Address

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
    from outgate.operations import send_as_operations

    wanted = gateway_options.server(host, port, security, username, password_file, password_stdin)
    owner, entry = _find(ctx, account, address)
    # What policy forbids is refused below; nothing is connected to for it.
    if owner.policy.allow_external_smtp and not entry.own_domain and not no_probe:
        gateway_options.try_out(ctx, wanted)
    with ctx.writing() as op:
        send_as_operations.set_gateway(op, account, entry.address, wanted)
    _tell(ctx, account, address, f"mail sent as {entry.address} goes through {gateway_options.described(wanted)}")


@command(app, example="outgate sendas gateway clear alice@example.com alice@dominiopartner.example")
def clear(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Remove an address's gateway: the organisation's servers deliver from now on, mail that waits as well."""
    from outgate.operations import send_as_operations

    with ctx.writing() as op:
        send_as_operations.clear_gateway(op, account, address)
    _tell(ctx, account, address, f"the organisation's servers deliver what is sent as {address}")


def _find(ctx: CommandContext, account: str, address: str) -> tuple[Any, Any]:
    from outgate.commands.sendas import find_account, find_entry

    owner = find_account(ctx, account)
    return owner, find_entry(owner, address)


def _tell(ctx: CommandContext, account: str, address: str, text: str) -> None:
    from outgate.operations.resources import send_as_row

    owner, entry = _find(ctx, account, address)
    tell(ctx, send_as_row(owner.primary, entry), text)
