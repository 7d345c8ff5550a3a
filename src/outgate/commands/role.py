"""`outgate role`: what administrators may do, and who is one."""

from typing import Annotated, Any

import typer

from outgate.commands.command import Here, command
from outgate.commands.output import table, tell

app = typer.Typer(
    no_args_is_help=True,
    help="Roles: what administrators may do. A role is given to a user for a unit, and holds there and below.",
)

Name = Annotated[str, typer.Argument(help="The role's name", metavar="ROLE", show_default=False)]
User = Annotated[str, typer.Argument(help="The user's primary address", metavar="ADDRESS", show_default=False)]
Unit = Annotated[str, typer.Option("--ou", help="Organisational unit, as in /Sales/Italy", metavar="PATH")]


@command(app, name="list", example="outgate role list")
def list_(here: Here) -> None:
    """List the roles with their privileges: the built-in ones, then those that were made here."""
    from outgate.control import roles
    from outgate.directory.privileges import BUILT_IN

    with here.looking() as act:
        rows = [
            {
                "name": role.name,
                "summary": role.summary,
                "privileges": sorted(role.privileges),
                "built_in": role.name in BUILT_IN,
            }
            for role in roles.list_roles(act)
        ]
    columns = {"name": "role", "summary": "for", "privileges": "privileges", "built_in": "built in"}
    table(here, rows, columns, nothing="there are no roles")


@command(app, example="outgate role create queue-watch --privilege queue-read --privilege log-read")
def create(
    here: Here,
    name: Name,
    privileges: Annotated[
        list[str], typer.Option("--privilege", help="One that the role has; give it again for more", metavar="NAME")
    ],
    summary: Annotated[str, typer.Option("--summary", help="What the role is for")] = "",
) -> None:
    """Make a role of your own."""
    from outgate.control import roles

    with here.acting() as act:
        made = roles.create(act, name, privileges, summary)
    tell(here, {"name": made.name, "privileges": sorted(made.privileges)}, f"made the role {made.name}")


@command(app, example="outgate role remove queue-watch")
def remove(here: Here, name: Name) -> None:
    """Remove a role that nobody has. The built-in ones stay."""
    from outgate.control import roles

    with here.acting() as act:
        roles.remove(act, name)
    tell(here, {"name": name}, f"removed the role {name}")


@command(app, example="outgate role assign alice@example.com help-desk --ou /Sales")
def assign(here: Here, address: User, role: Name, unit: Unit = "/") -> None:
    """Give a user a role for a unit and those below it."""
    from outgate.control import roles

    with here.acting() as act:
        made = roles.assign(act, address, role, unit)
    tell(here, _row(made), f"{made.account} has the role {made.role} for {made.unit}")


@command(app, example="outgate role unassign alice@example.com help-desk --ou /Sales")
def unassign(here: Here, address: User, role: Name, unit: Unit = "/") -> None:
    """Take a role away from a user."""
    from outgate.control import roles

    with here.acting() as act:
        former = roles.unassign(act, address, role, unit)
    tell(here, _row(former), f"{former.account} no longer has the role {former.role} for {former.unit}")


@command(app, example="outgate role assignments")
def assignments(here: Here) -> None:
    """See who has which role for which unit."""
    from outgate.control import roles

    with here.looking() as act:
        rows = [_row(one) for one in roles.assignments(act)]
    table(here, rows, {"account": "user", "role": "role", "ou": "unit"}, nothing="nobody has a role")


def _row(one: Any) -> dict[str, Any]:
    return {"account": one.account, "role": one.role, "ou": one.unit}
