"""`outgate address-grant`: addresses that users, units and groups may send as without a proof of their own."""

from typing import Annotated

import typer

from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.operations import domain_proof_operations
from outgate.operations.gateway_trial import described
from outgate.operations.resources import gateway_row
from outgate.sendas.proven_domains import AddressGrant

app = typer.Typer(
    no_args_is_help=True,
    help="Addresses that users, units and groups may send as without their own proof, in proven domains and own ones.",
)

Address = Annotated[
    str,
    typer.Argument(help="The address, or *@DOMAIN for all of a proven domain", metavar="ADDRESS", show_default=False),
]
User = Annotated[str | None, typer.Option("--user", help="To this user", metavar="USER", show_default=False)]
UnitPath = Annotated[
    str | None, typer.Option("--ou", help="To all users of this unit and those below it", metavar="PATH")
]

Group = Annotated[
    str | None, typer.Option("--group", help="To all users of this group", metavar="NAME", show_default=False)
]


@command(
    app,
    example="outgate address-grant add '*@dominiopartner.example' --user alice@example.com\n"
    "outgate address-grant add sales@dominiopartner.example --ou /Sales\n"
    "outgate address-grant add info@example.com --ou /Sales\n"
    "outgate address-grant add press@example.com --group Press",
)
def add(ctx: CommandContext, address: Address, user: User = None, unit: UnitPath = None, group: Group = None) -> None:
    """Let a user, or all users of a unit or group, send as an address.

    Each of them has it among their From addresses. It leaves by the gateway that they have in common (`outgate
    address-grant gateway set`), or by one of their own if they give it one (`outgate sendas gateway set`).

    Who comes into the unit or group later gets it, who leaves it loses it. It is a grant to send, not to receive: an
    own address needs a mailbox of its own for the answers.
    """
    with ctx.writing() as op:
        granted = domain_proof_operations.grant(op, address, user=user, unit=unit, group=group)
    tell(ctx, grant_row(granted), f"{granted.to} can send as {granted.address}")


@command(app, name="list", example="outgate address-grant list")
def list_(ctx: CommandContext) -> None:
    """List what users, units and groups were granted, with the gateways that they have in common."""
    with ctx.reading() as op:
        found = domain_proof_operations.list_grants(op)
    rows = [grant_row(one) if ctx.json else _in_short(one) for one in found]
    columns = {"address": "address", "user": "user", "ou": "unit", "group": "group", "gateway": "common gateway"}
    table(ctx, rows, columns, nothing="nothing is granted")


@command(app, example="outgate address-grant remove sales@dominiopartner.example --ou /Sales")
def remove(
    ctx: CommandContext, address: Address, user: User = None, unit: UnitPath = None, group: Group = None
) -> None:
    """Take a grant back; the address goes with the gateway that its users gave it, and the common one is forgotten.

    Who has confirmed it by themselves keeps it.
    """
    with ctx.writing() as op:
        revoked = domain_proof_operations.revoke(op, address, user=user, unit=unit, group=group)
    tell(ctx, grant_row(revoked), f"{revoked.address} is taken from {revoked.to}")


def grant_row(grant: AddressGrant) -> JsonObject:
    """A grant with its common gateway, without the password."""
    return {
        "address": grant.address,
        "user": grant.user,
        "ou": grant.unit,
        "group": grant.group,
        "gateway": gateway_row(grant.gateway),
    }


def _in_short(grant: AddressGrant) -> JsonObject:
    return {**grant_row(grant), "gateway": described(grant.gateway) or None}
