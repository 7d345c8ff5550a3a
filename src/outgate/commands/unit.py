"""`outgate ou`: the tree of organisational units."""

from collections import Counter
from typing import Annotated

import typer

from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.units import normal_path
from outgate.operations import unit_operations, user_operations

app = typer.Typer(
    no_args_is_help=True, help="Organisational units: a tree in which users have their place, and policy is inherited."
)

UnitPath = Annotated[
    str, typer.Argument(help="The unit's path, as in /Sales/Italy", metavar="PATH", show_default=False)
]


@command(app, example="outgate ou add /Sales\noutgate ou add /Sales/Italy")
def add(ctx: CommandContext, path: UnitPath) -> None:
    """Add an organisational unit below one that exists. It inherits that one's policy."""
    with ctx.writing() as op:
        path = unit_operations.create(op, path)
    tell(ctx, {"path": path}, f"added the unit {path}")


@command(app, name="list", example="outgate ou list")
def list_(ctx: CommandContext) -> None:
    """List the organisational units with the number of users in each."""
    with ctx.reading() as op:
        members = Counter(user.unit for user in user_operations.list_users(op))
        rows: list[JsonObject] = [{"path": path, "users": members[path]} for path in unit_operations.list_units(op)]
    table(ctx, rows, {"path": "unit", "users": "users"}, nothing="there are no units")


@command(app, example="outgate ou move /Sales/Italy /Europe/Italy")
def move(
    ctx: CommandContext,
    path: UnitPath,
    to: Annotated[str, typer.Argument(help="Its new path", metavar="NEW", show_default=False)],
) -> None:
    """Rename an organisational unit or put it elsewhere in the tree, with its users and the units below it."""
    with ctx.writing() as op:
        new = unit_operations.move(op, path, to)
    tell(ctx, {"path": new}, f"the unit {path} is {new} now")


@command(app, example="outgate ou remove /Sales/Italy")
def remove(ctx: CommandContext, path: UnitPath) -> None:
    """Remove an organisational unit that has neither users nor units below it."""
    path = normal_path(path)
    with ctx.writing() as op:
        unit_operations.remove(op, path)
    tell(ctx, {"path": path}, f"removed the unit {path}")
