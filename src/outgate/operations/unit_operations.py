"""Operations on the tree of units."""

from outgate.directory import policies, units
from outgate.directory.privileges import Privilege
from outgate.directory.units import OrgUnit
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue.admin import Selection
from outgate.sendas import proven_domains


def paths_below(op: OperationContext, top: str | None) -> tuple[str, ...]:
    """A unit and all those below it; all units if none is named. Raises NotFound."""
    top = units.find(op.connection, top or "/").path
    return tuple(path for path in units.paths(op.connection) if top in policies.up_to_root(path))


@operation("unit.list", Privilege.UNITS_READ, targets.unit("top"), changes=False)
def list_units(op: OperationContext, top: str | None = None) -> tuple[str, ...]:
    """List the units of the tree, or from one downwards."""
    return paths_below(op, top)


@operation("unit.tree", Privilege.UNITS_READ, targets.unit("top"), changes=False)
def tree(op: OperationContext, top: str | None = None) -> tuple[OrgUnit, ...]:
    """List the units of the tree with their numbers, by which programs name them."""
    below = frozenset(paths_below(op, top))
    return tuple(one for one in units.numbered(op.connection) if one.path in below)


@operation("unit.create", Privilege.UNITS_MANAGE, targets.parent("path"))
def create(op: OperationContext, path: str) -> str:
    """Add a unit below one that exists."""
    return units.create(op.connection, path)


@operation(
    "unit.move",
    Privilege.UNITS_MANAGE,
    targets.parent("path"),
    targets.parent("to"),
    targets.granted_to_moved_unit("path", "to"),
)
def move(op: OperationContext, path: str, to: str) -> str:
    """Rename a unit or put it elsewhere in the tree, with everything below it."""
    new = units.move(op.connection, path, to)
    op.changed(path=(path, new))
    proven_domains.settle(op.connection, op.now)  # what is granted to a unit holds below it as well
    op.reconsider(Selection(unit=new))
    return new


@operation("unit.remove", Privilege.UNITS_MANAGE, targets.parent("path"))
def remove(op: OperationContext, path: str) -> None:
    """Remove an empty unit with its policy."""
    units.remove(op.connection, path)
