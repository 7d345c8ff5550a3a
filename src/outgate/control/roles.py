"""Operations on roles: making them, and giving them to users for a unit."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from outgate.control import targets
from outgate.control.operation import Act, Target, operation
from outgate.directory import roles, units, users
from outgate.directory.errors import NotAllowed
from outgate.directory.privileges import Grant, Privilege, Role, at_least
from outgate.directory.roles import Assignment


def _place(connection: Connection, address: str, _role: str, unit: str, *_args: Any) -> Target:
    user = users.find(connection, address)
    return Target(units.find(connection, unit).path, user.address, user.id)


@operation("role.list", Privilege.ROLES_READ, of=targets.organisation, changes=False)
def list_roles(act: Act) -> tuple[Role, ...]:
    """List the roles with their privileges."""
    return roles.roles(act.connection)


@operation("role.assignments", Privilege.ROLES_READ, of=targets.organisation, changes=False)
def assignments(act: Act) -> tuple[Assignment, ...]:
    """See who has which role where."""
    return roles.assignments(act.connection)


@operation("role.create", Privilege.ROLES_MANAGE, of=targets.organisation)
def create(act: Act, name: str, privileges: Sequence[str], summary: str = "") -> Role:
    """Make a role of one's own."""
    made = roles.create(act.connection, name, privileges, summary)
    act.note(role=["", name], privileges=sorted(made.privileges))
    return made


@operation("role.remove", Privilege.ROLES_MANAGE, of=targets.organisation)
def remove(act: Act, name: str) -> None:
    """Remove a role that nobody has."""
    act.note(role=[name, ""])
    roles.remove(act.connection, name)


@operation("role.assign", Privilege.ROLES_MANAGE, of=_place)
def assign(act: Act, address: str, role: str, unit: str) -> Assignment:
    """Give a user a role for a unit and those below it: never more than one has oneself."""
    place = units.find(act.connection, unit).path
    wanted = (Grant(place, roles.find(act.connection, role).privileges),)
    if not at_least(act.actor.grants(act.connection), wanted):
        raise NotAllowed(f"the role {role} has privileges that you don't have in {place}")
    act.note(role=["", role])
    return roles.assign(act.connection, address, role, unit, act.now)


@operation("role.unassign", Privilege.ROLES_MANAGE, of=_place)
def unassign(act: Act, address: str, role: str, unit: str) -> Assignment:
    """Take a role away from a user."""
    act.note(role=[role, ""])
    return roles.unassign(act.connection, address, role, unit)
