"""`outgate role`: what administrators may do, and who is one."""

from typing import Annotated

import typer

from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.privileges import BUILT_IN
from outgate.directory.roles import Assignment
from outgate.operations import role_operations

app = typer.Typer(
    no_args_is_help=True,
    help="Roles: what administrators may do. A role is given to a user for a unit, and holds there and below.",
)

Name = Annotated[str, typer.Argument(help="The role's name", metavar="ROLE", show_default=False)]
User = Annotated[str, typer.Argument(help="The user's primary address", metavar="ADDRESS", show_default=False)]
Unit = Annotated[str, typer.Option("--ou", help="Organisational unit, as in /Sales/Italy", metavar="PATH")]


@command(app, name="list", example="outgate role list")
def list_(ctx: CommandContext) -> None:
    """List the roles with their privileges: the built-in ones, then those that were made here."""
    with ctx.reading() as op:
        rows: list[JsonObject] = [
            {
                "name": role.name,
                "summary": role.summary,
                "privileges": sorted(role.privileges),
                "built_in": role.name in BUILT_IN,
            }
            for role in role_operations.list_roles(op)
        ]
    columns = {"name": "role", "summary": "for", "privileges": "privileges", "built_in": "built in"}
    table(ctx, rows, columns, nothing="there are no roles")


@command(app, example="outgate role create queue-watch --privilege queue-read --privilege log-read")
def create(
    ctx: CommandContext,
    name: Name,
    privileges: Annotated[
        list[str], typer.Option("--privilege", help="One that the role has; give it again for more", metavar="NAME")
    ],
    summary: Annotated[str, typer.Option("--summary", help="What the role is for")] = "",
) -> None:
    """Make a role of your own."""
    with ctx.writing() as op:
        role = role_operations.create(op, name, privileges, summary)
    tell(ctx, {"name": role.name, "privileges": sorted(role.privileges)}, f"made the role {role.name}")


@command(app, example="outgate role remove queue-watch")
def remove(ctx: CommandContext, name: Name) -> None:
    """Remove a role that nobody has. The built-in ones stay."""
    with ctx.writing() as op:
        role_operations.remove(op, name)
    tell(ctx, {"name": name}, f"removed the role {name}")


@command(app, example="outgate role assign alice@example.com help-desk --ou /Sales")
def assign(ctx: CommandContext, address: User, role: Name, unit: Unit = "/") -> None:
    """Give a user a role for a unit and those below it."""
    with ctx.writing() as op:
        assignment = role_operations.assign(op, address, role, unit)
    tell(ctx, _row(assignment), f"{assignment.account} has the role {assignment.role} for {assignment.unit}")


@command(app, example="outgate role unassign alice@example.com help-desk --ou /Sales")
def unassign(ctx: CommandContext, address: User, role: Name, unit: Unit = "/") -> None:
    """Take a role away from a user."""
    with ctx.writing() as op:
        former = role_operations.unassign(op, address, role, unit)
    tell(ctx, _row(former), f"{former.account} no longer has the role {former.role} for {former.unit}")


@command(app, example="outgate role assignments")
def assignments(ctx: CommandContext) -> None:
    """See who has which role for which unit."""
    with ctx.reading() as op:
        rows = [_row(assignment) for assignment in role_operations.assignments(op)]
    table(ctx, rows, {"account": "user", "role": "role", "ou": "unit"}, nothing="nobody has a role")


def _row(assignment: Assignment) -> JsonObject:
    return {"account": assignment.account, "role": assignment.role, "ou": assignment.unit}
