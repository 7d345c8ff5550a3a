"""`outgate group`: users who have something in common, whatever unit they are in."""

from typing import Annotated

import typer

from outgate.cli.output import JsonObject, record, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.user_groups import UserGroup
from outgate.iso_time import iso
from outgate.operations import group_operations, user_operations
from outgate.operations.group_operations import GroupDetails

app = typer.Typer(
    no_args_is_help=True,
    help="Groups of users, whatever unit they are in, to which addresses are granted (`outgate address-grant`).",
)

Name = Annotated[str, typer.Argument(help="The group's name", metavar="NAME", show_default=False)]
Users = Annotated[list[str], typer.Argument(help="Primary addresses", metavar="USER...", show_default=False)]


@command(app, name="list", example="outgate group list")
def list_(ctx: CommandContext) -> None:
    """List the groups."""
    with ctx.reading() as op:
        rows = [_row(one) for one in group_operations.list_groups(op)]
    columns = {"name": "name", "external_id": "at the identity provider", "created_at": "created"}
    table(ctx, rows, columns, nothing="there are no groups")


@command(app, example="outgate group show Press")
def show(ctx: CommandContext, name: Name) -> None:
    """Show a group with its members."""
    with ctx.reading() as op:
        details = group_operations.show(op, name)
    record(ctx, _row(details.group) | {"members": [one.address for one in details.members]})


@command(app, example="outgate group create Press")
def create(ctx: CommandContext, name: Name) -> None:
    """Make a group. Those that an identity provider keeps it makes itself (`outgate scim`)."""
    with ctx.writing() as op:
        made = group_operations.create(op, name)
    tell(ctx, _row(made), f"made the group {made.name}")


@command(app, example="outgate group rename Press News")
def rename(
    ctx: CommandContext,
    name: Name,
    to: Annotated[str, typer.Argument(help="The new name", metavar="NEW-NAME", show_default=False)],
) -> None:
    """Give a group another name. Its members, and what it was granted, stay."""
    with ctx.writing() as op:
        before = group_operations.show(op, name).group
        renamed = group_operations.edit(op, name, to=to, external_id=before.external_id)
    tell(ctx, _row(renamed), f"{name} is {renamed.name} now")


@command(app, example="outgate group add Press alice@example.com bob@example.com")
def add(ctx: CommandContext, name: Name, users: Users) -> None:
    """Put users into a group. They get the addresses that it was granted."""
    _change(ctx, name, users, come=True)


@command(app, name="take-out", example="outgate group take-out Press bob@example.com")
def take_out(ctx: CommandContext, name: Name, users: Users) -> None:
    """Take users out of a group. They lose the addresses that it was granted, with the gateways that they gave them."""
    _change(ctx, name, users, come=False)


@command(app, example="outgate group remove Press")
def remove(ctx: CommandContext, name: Name) -> None:
    """Remove a group, with what was granted to it. Its users stay."""
    with ctx.writing() as op:
        removed = group_operations.remove(op, name)
    tell(ctx, _row(removed), f"removed the group {removed.name}")


def _change(ctx: CommandContext, name: str, users: list[str], *, come: bool) -> None:
    with ctx.writing() as op:
        named = {user_operations.show(op, one).user.id for one in users}
        had = {one.account_id for one in group_operations.show(op, name).members}
        details = group_operations.set_members(op, name, had | named if come else had - named)
    _tell(ctx, details)


def _tell(ctx: CommandContext, details: GroupDetails) -> None:
    members = [one.address for one in details.members]
    tell(ctx, _row(details.group) | {"members": members}, f"{details.group.name} has {len(members)} members now")


def _row(one: UserGroup) -> JsonObject:
    return {"name": one.name, "external_id": one.external_id, "created_at": iso(one.created_at)}
