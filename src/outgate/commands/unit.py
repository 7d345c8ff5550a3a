"""`outgate ou`: the tree of organisational units."""

from typing import Annotated

import typer

from outgate.commands.command import Here, command
from outgate.commands.output import table, tell

app = typer.Typer(
    no_args_is_help=True, help="Organisational units: a tree in which users have their place, and policy is inherited."
)

UnitPath = Annotated[
    str, typer.Argument(help="The unit's path, as in /Sales/Italy", metavar="PATH", show_default=False)
]


@command(app, example="outgate ou add /Sales\noutgate ou add /Sales/Italy")
def add(here: Here, path: UnitPath) -> None:
    """Add an organisational unit below one that exists. It inherits that one's policy."""
    from outgate.control import units

    with here.acting() as act:
        path = units.create(act, path)
    tell(here, {"path": path}, f"added the unit {path}")


@command(app, name="list", example="outgate ou list")
def list_(here: Here) -> None:
    """List the organisational units with the number of users in each."""
    from collections import Counter

    from outgate.control import units, users

    with here.looking() as act:
        members = Counter(user.unit for user in users.list_users(act))
        rows = [{"path": path, "users": members[path]} for path in units.list_units(act)]
    table(here, rows, {"path": "unit", "users": "users"}, nothing="there are no units")


@command(app, example="outgate ou move /Sales/Italy /Europe/Italy")
def move(
    here: Here,
    path: UnitPath,
    to: Annotated[str, typer.Argument(help="Its new path", metavar="NEW", show_default=False)],
) -> None:
    """Rename an organisational unit or put it elsewhere in the tree, with its users and the units below it."""
    from outgate.control import units

    with here.acting() as act:
        new = units.move(act, path, to)
    tell(here, {"path": new}, f"the unit {path} is {new} now")


@command(app, example="outgate ou remove /Sales/Italy")
def remove(here: Here, path: UnitPath) -> None:
    """Remove an organisational unit that has neither users nor units below it."""
    from outgate.control import units
    from outgate.directory.units import normal_path

    path = normal_path(path)
    with here.acting() as act:
        units.remove(act, path)
    tell(here, {"path": path}, f"removed the unit {path}")
