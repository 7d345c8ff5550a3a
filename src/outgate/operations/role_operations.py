"""Operations on roles: making them, and giving them to users for a unit."""

from collections.abc import Sequence

from outgate.directory import roles, units
from outgate.directory.errors import NotAllowed
from outgate.directory.privileges import Grant, Privilege, Role, at_least
from outgate.directory.roles import Assignment
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation


@operation("role.list", Privilege.ROLES_READ, targets.ORGANISATION, changes=False)
def list_roles(op: OperationContext) -> tuple[Role, ...]:
    """List the roles with their privileges."""
    return roles.roles(op.connection)


@operation("role.assignments", Privilege.ROLES_READ, targets.ORGANISATION, changes=False)
def assignments(op: OperationContext) -> tuple[Assignment, ...]:
    """See who has which role where."""
    return roles.assignments(op.connection)


@operation("role.create", Privilege.ROLES_MANAGE, targets.ORGANISATION, proof=True)
def create(op: OperationContext, name: str, privileges: Sequence[str], summary: str = "") -> Role:
    """Make a role of one's own."""
    made = roles.create(op.connection, name, privileges, summary)
    op.changed(role=("", name))
    op.note(privileges=sorted(made.privileges))
    return made


@operation("role.remove", Privilege.ROLES_MANAGE, targets.ORGANISATION, proof=True)
def remove(op: OperationContext, name: str) -> None:
    """Remove a role that nobody has."""
    op.changed(role=(name, ""))
    roles.remove(op.connection, name)


@operation(
    "role.assign", Privilege.ROLES_MANAGE, targets.assignee("address", "unit"), targets.user("address"), proof=True
)
def assign(op: OperationContext, address: str, role: str, unit: str) -> Assignment:
    """Give a user a role for a unit and those below it: never more than one has oneself."""
    place = units.find(op.connection, unit).path
    wanted = (Grant(place, roles.find(op.connection, role).privileges),)
    if not at_least(op.actor.grants(op.connection), wanted):
        raise NotAllowed(f"the role {role} has privileges that you don't have in {place}")
    op.changed(role=("", role))
    return roles.assign(op.connection, address, role, unit, op.now)


@operation(
    "role.unassign", Privilege.ROLES_MANAGE, targets.assignee("address", "unit"), targets.user("address"), proof=True
)
def unassign(op: OperationContext, address: str, role: str, unit: str) -> Assignment:
    """Take a role away from a user."""
    op.changed(role=(role, ""))
    return roles.unassign(op.connection, address, role, unit)
