"""`outgate sendas gateway`: the SMTP server that delivers what is sent as an address."""

from functools import partial
from typing import Annotated

import typer

from outgate.cli.output import tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options, gateway_sign_in
from outgate.commands.sendas import AccountName, Address
from outgate.mail.addresses import canonical
from outgate.operations import gateway_operations, send_as_operations
from outgate.operations.account_lookup import entry_of
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
    host: Annotated[
        str | None, typer.Option("--host", help="Name or IP address of the SMTP server", show_default=False)
    ] = None,
    port: gateway_options.Port = None,
    security: gateway_options.KeptSecurity = None,
    username: gateway_options.KeptUsername = None,
    no_log_in: gateway_options.NoLogIn = False,
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    no_probe: gateway_options.NoProbe = False,
) -> None:
    """Set or change the gateway of an external address, where policy allows it; what is not given stays.

    It is tried first (connect, TLS, log in) and not saved if it can't be used. Mail that waits is decided again.
    """
    given = gateway_options.GatewayOptions(host, port, security, username, no_log_in, password_file, password_stdin)
    with ctx.reading() as op:
        before = entry_of(send_as_operations.account(op, account), address).gateway
    kept = partial(gateway_operations.kept_password, ctx, account, address)
    wanted = gateway_options.changed(ctx, given, before, kept)
    entry = gateway_operations.save(ctx, account, address, wanted, None if no_probe else gateway_options.probe(ctx))
    row = send_as_row(canonical(account), entry)
    tell(ctx, row, f"mail sent as {entry.address} goes through {described(entry.gateway)}")


@command(
    app,
    name="sign-in",
    example="outgate sendas gateway sign-in alice@example.com alice@dominiopartner.example --provider google\n"
    "outgate sendas gateway sign-in alice@example.com sales@dominiopartner.example --provider microsoft"
    " --username alice@dominiopartner.example --device",
)
def sign_in(
    ctx: CommandContext,
    account: AccountName,
    address: Address,
    provider: gateway_sign_in.Provider,
    host: gateway_sign_in.Host = None,
    port: gateway_options.Port = None,
    security: gateway_options.KeptSecurity = None,
    username: gateway_sign_in.Username = None,
    device: gateway_sign_in.Device = False,
    no_probe: gateway_options.NoProbe = False,
) -> None:
    """Sign in at a provider that takes no passwords (OAuth): the gateway then logs in by tokens, which are renewed.

    Prints an address to open in a browser on this machine, and waits there for up to ten minutes; with --device it may
    be anywhere. The same again repairs a gateway whose consent has ended: what waits leaves by itself.
    """
    server = gateway_sign_in.server(ctx, provider, host, port, security, username or address)
    gateway_operations.rehearse_sign_in(ctx, account, address, server.settings)
    consent = gateway_sign_in.consent(ctx, server, by_device=device)
    probe = None if no_probe else gateway_options.probe(ctx)
    entry = gateway_operations.save(ctx, account, address, server.settings(consent), probe)
    row = send_as_row(canonical(account), entry)
    tell(ctx, row, f"mail sent as {entry.address} goes through {described(entry.gateway)}")


@command(app, example="outgate sendas gateway clear alice@example.com alice@dominiopartner.example")
def clear(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Remove an address's gateway: the organisation's servers deliver from now on, mail that waits as well."""
    with ctx.writing() as op:
        entry = gateway_operations.clear_gateway(op, account, address)
    row = send_as_row(canonical(account), entry)
    tell(ctx, row, f"the organisation's servers deliver what is sent as {entry.address}")
