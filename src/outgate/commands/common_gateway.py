"""`outgate address-grant gateway`: the gateway that all who were granted an address have in common."""

from functools import partial
from typing import Annotated

import typer

from outgate.cli.output import tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options
from outgate.commands.address_grant import Address, Group, UnitPath, User, grant_row
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
    tell(ctx, grant_row(saved), f"what {saved.to} sends as {saved.address} goes through {described(saved.gateway)}")


@command(app, name="test", example="outgate address-grant gateway test sales@dominiopartner.example --ou /Sales")
def try_out(
    ctx: CommandContext, address: Address, user: User = None, unit: UnitPath = None, group: Group = None
) -> None:
    """Try a common gateway by the way of real delivery: connect, TLS, log in. Hands no message over.

    One that was suspended because its log-in was refused goes on if it works.
    """
    found = common_gateway_operations.try_out(ctx, AddressGrant(address, user, unit, group), gateway_options.probe(ctx))
    tell(ctx, {**grant_row(found), "works": True}, f"{described(found.gateway)} works")


@command(app, example="outgate address-grant gateway clear sales@dominiopartner.example --ou /Sales")
def clear(ctx: CommandContext, address: Address, user: User = None, unit: UnitPath = None, group: Group = None) -> None:
    """Take the common gateway from a grant: its users' own gateways deliver, or the organisation's servers."""
    with ctx.writing() as op:
        before = common_gateway_operations.clear_gateway(op, address, user=user, unit=unit, group=group)
    tell(ctx, {"address": before.address, "gateway": None}, f"{before.address} has no common gateway for {before.to}")
