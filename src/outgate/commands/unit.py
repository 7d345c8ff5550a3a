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
    from outgate.directory import units
    from outgate.store.engine import write

    with write(here.place().engine) as connection:
        path = units.create(connection, path)
    tell(here, {"path": path}, f"added the unit {path}")


@command(app, name="list", example="outgate ou list")
def list_(here: Here) -> None:
    """List the organisational units with the number of users in each."""
    from collections import Counter

    from outgate.directory import units, users
    from outgate.store.engine import read

    with read(here.place().engine) as connection:
        members = Counter(user.unit for user in users.users(connection))
        rows = [{"path": path, "users": members[path]} for path in units.paths(connection)]
    table(here, rows, {"path": "unit", "users": "users"}, nothing="there are no units")


@command(app, example="outgate ou remove /Sales/Italy")
def remove(here: Here, path: UnitPath) -> None:
    """Remove an organisational unit that has neither users nor units below it."""
    from outgate.directory import units
    from outgate.store.engine import write

    with write(here.place().engine) as connection:
        path = units.normal_path(path)
        units.remove(connection, path)
    tell(here, {"path": path}, f"removed the unit {path}")
