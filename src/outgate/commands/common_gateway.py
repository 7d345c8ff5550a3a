"""`outgate address-grant gateway`: the gateway that all who were granted an address have in common."""

from functools import partial
from typing import Annotated

import typer

from outgate import wiring
from outgate.cli.output import tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options, gateway_sign_in
from outgate.commands.address_grant import Address, Group, UnitPath, User, grant_row
from outgate.model import WHOLE_DOMAIN
from outgate.operations import common_gateway_operations, domain_proof_operations
from outgate.operations.gateway_trial import described
from outgate.sendas.proven_domains import AddressGrant

app = typer.Typer(
    no_args_is_help=True,
    help="The gateway that all who were granted an address have in common: an administrator's log-in, which none of"
    " them can see or change.",
)


@command(
    app,
    name="set",
    example="outgate address-grant gateway set sales@dominiopartner.example --ou /Sales"
    " --host smtp.dominiopartner.example --username sales",
)
def set_(
    ctx: CommandContext,
    address: Address,
    user: User = None,
    unit: UnitPath = None,
    group: Group = None,
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
    """Set or change the common gateway of a grant; what is not given stays. Mail that waits is decided again.

    It is tried first (connect, TLS, log in) and not saved if it can't be used. Who is granted the address sees the
    host, and neither the user name nor the password; a gateway of their own goes before it, where policy allows that.
    """
    given = gateway_options.GatewayOptions(host, port, security, username, no_log_in, password_file, password_stdin)
    with ctx.reading() as op:
        before = domain_proof_operations.find_grant(op, address, user=user, unit=unit, group=group)
    kept = partial(common_gateway_operations.kept_password, ctx, before)
    wanted = gateway_options.changed(ctx, given, before.gateway, kept)
    probe = None if no_probe else gateway_options.probe(ctx)
    saved = common_gateway_operations.save(ctx, before, wanted, probe)
    tell(ctx, grant_row(saved), _leaves_by(saved))


@command(
    app,
    name="sign-in",
    example="outgate address-grant gateway sign-in sales@dominiopartner.example --ou /Sales --provider google\n"
    "outgate address-grant gateway sign-in sales@dominiopartner.example --group Press --provider microsoft"
    " --username carla@dominiopartner.example --device",
)
def sign_in(
    ctx: CommandContext,
    address: Address,
    provider: gateway_sign_in.Provider,
    user: User = None,
    unit: UnitPath = None,
    group: Group = None,
    host: gateway_sign_in.Host = None,
    port: gateway_options.Port = None,
    security: gateway_options.KeptSecurity = None,
    username: gateway_sign_in.Username = None,
    device: gateway_sign_in.Device = False,
    no_probe: gateway_options.NoProbe = False,
) -> None:
    """Sign in at a provider that takes no passwords (OAuth), once for all who were granted the address.

    As `outgate sendas gateway sign-in` does for one user: prints an address to open in a browser on this machine; with
    --device it may be anywhere. Tokens are renewed by themselves. The same again repairs it when the consent has ended.
    """
    with ctx.reading() as op:
        before = domain_proof_operations.find_grant(op, address, user=user, unit=unit, group=group)
    if not username and before.address.startswith(WHOLE_DOMAIN):
        raise typer.BadParameter("the grant is of a whole domain: say by --username who signs in")
    server = gateway_sign_in.server(ctx, provider, host, port, security, username or before.address)
    common_gateway_operations.rehearse_sign_in(ctx, before, server.settings)
    consent = gateway_sign_in.consent(ctx, server, by_device=device)
    probe = None if no_probe else gateway_options.probe(ctx)
    saved = common_gateway_operations.save(ctx, before, server.settings(consent), probe)
    tell(ctx, grant_row(saved), _leaves_by(saved))


@command(app, name="test", example="outgate address-grant gateway test sales@dominiopartner.example --ou /Sales")
def try_out(
    ctx: CommandContext, address: Address, user: User = None, unit: UnitPath = None, group: Group = None
) -> None:
    """Try a common gateway by the way of real delivery: connect, TLS, log in. Hands no message over.

    One that was suspended because its log-in was refused goes on if it works.
    """
    wanted, token_of = AddressGrant(address, user, unit, group), wiring.stored_token(ctx.installation())
    found = common_gateway_operations.try_out(ctx, wanted, gateway_options.probe(ctx), token_of)
    tell(ctx, {**grant_row(found), "works": True}, f"{described(found.gateway)} works")


@command(app, example="outgate address-grant gateway clear sales@dominiopartner.example --ou /Sales")
def clear(ctx: CommandContext, address: Address, user: User = None, unit: UnitPath = None, group: Group = None) -> None:
    """Take the common gateway from a grant: its users' own gateways deliver, or the organisation's servers."""
    with ctx.writing() as op:
        before = common_gateway_operations.clear_gateway(op, address, user=user, unit=unit, group=group)
    tell(ctx, {"address": before.address, "gateway": None}, f"{before.address} has no common gateway for {before.to}")


def _leaves_by(grant: AddressGrant) -> str:
    return f"what {grant.to} sends as {grant.address} goes through {described(grant.gateway)}"
