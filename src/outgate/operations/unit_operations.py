"""Operations on the tree of units, and on policy."""

from outgate.directory import policies, units
from outgate.directory.policies import Effective, Policies
from outgate.directory.privileges import Privilege
from outgate.directory.settings import Setting
from outgate.operations import targets
from outgate.operations.operation import OPERATIONS, OperationContext, operation
from outgate.queue import admin as queue


@operation("unit.list", Privilege.UNITS_READ, of=targets.unit, changes=False)
def list_units(op: OperationContext, top: str | None = None) -> tuple[str, ...]:
    """List the units of the tree, or from one downwards."""
    top = units.find(op.connection, top or "/").path
    return tuple(path for path in units.paths(op.connection) if top in policies.up_to_root(path))


@operation("unit.create", Privilege.UNITS_MANAGE, of=targets.parent)
def create(op: OperationContext, path: str) -> str:
    """Add a unit below one that exists."""
    return units.create(op.connection, path)


@operation("unit.move", Privilege.UNITS_MANAGE, of=targets.parent)
def move(op: OperationContext, path: str, to: str) -> str:
    """Rename a unit or put it elsewhere in the tree, with everything below it."""
    op.require(OPERATIONS["unit.move"], targets.parent(op.connection, to))
    new = units.move(op.connection, path, to)
    op.note(path=[path, new])
    queue.reconsider(op.connection, op.now)
    return new


@operation("unit.remove", Privilege.UNITS_MANAGE, of=targets.parent)
def remove(op: OperationContext, path: str) -> None:
    """Remove an empty unit with its policy."""
    units.remove(op.connection, path)


@operation("policy.list", Privilege.UNITS_READ, of=targets.unit, changes=False)
def list_policies(op: OperationContext, top: str | None = None) -> tuple[tuple[str, ...], Policies]:
    """See the policy of units, with where each value comes from."""
    top = units.find(op.connection, top or "/").path
    paths = tuple(path for path in units.paths(op.connection) if top in policies.up_to_root(path))
    return paths, policies.load(op.connection)


@operation("policy.set", Privilege.GMAIL_SETTINGS, of=targets.unit)
def set_policy(op: OperationContext, unit: str, setting: Setting, entered: object) -> Effective:
    """Give a unit a value of its own for a setting."""
    before = policies.load(op.connection).effective(units.find(op.connection, unit).path, setting)
    policies.set_value(op.connection, unit, setting, entered, op.now)
    return _changed(op, unit, setting, before)


@operation("policy.clear", Privilege.GMAIL_SETTINGS, of=targets.unit)
def clear_policy(op: OperationContext, unit: str, setting: Setting) -> Effective:
    """Let a unit inherit a setting again."""
    before = policies.load(op.connection).effective(units.find(op.connection, unit).path, setting)
    policies.clear(op.connection, unit, setting)
    return _changed(op, unit, setting, before)


def _changed(op: OperationContext, unit: str, setting: Setting, before: Effective) -> Effective:
    after = policies.load(op.connection).effective(units.find(op.connection, unit).path, setting)
    op.note(**{setting.name: [before.value, after.value]})
    queue.reconsider(op.connection, op.now)
    return after
