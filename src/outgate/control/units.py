"""Operations on the tree of units, and on policy."""

from outgate.control import targets
from outgate.control.operation import OPERATIONS, Act, operation
from outgate.directory import policy, units
from outgate.directory.policy import Effective, Policies
from outgate.directory.privileges import Privilege
from outgate.directory.settings import Setting
from outgate.queue import operations as queue


@operation("unit.list", Privilege.UNITS_READ, of=targets.unit, changes=False)
def list_units(act: Act, top: str | None = None) -> tuple[str, ...]:
    """List the units of the tree, or from one downwards."""
    top = units.find(act.connection, top or "/").path
    return tuple(path for path in units.paths(act.connection) if top in policy.up_to_root(path))


@operation("unit.create", Privilege.UNITS_MANAGE, of=targets.parent)
def create(act: Act, path: str) -> str:
    """Add a unit below one that exists."""
    return units.create(act.connection, path)


@operation("unit.move", Privilege.UNITS_MANAGE, of=targets.parent)
def move(act: Act, path: str, to: str) -> str:
    """Rename a unit or put it elsewhere in the tree, with everything below it."""
    act.require(OPERATIONS["unit.move"], targets.parent(act.connection, to))
    new = units.move(act.connection, path, to)
    act.note(path=[path, new])
    queue.hasten(act.connection, act.now)
    return new


@operation("unit.remove", Privilege.UNITS_MANAGE, of=targets.parent)
def remove(act: Act, path: str) -> None:
    """Remove an empty unit with its policy."""
    units.remove(act.connection, path)


@operation("policy.list", Privilege.UNITS_READ, of=targets.unit, changes=False)
def policies(act: Act, top: str | None = None) -> tuple[tuple[str, ...], Policies]:
    """See the policy of units, with where each value comes from."""
    top = units.find(act.connection, top or "/").path
    paths = tuple(path for path in units.paths(act.connection) if top in policy.up_to_root(path))
    return paths, policy.load(act.connection)


@operation("policy.set", Privilege.GMAIL_SETTINGS, of=targets.unit)
def set_policy(act: Act, unit: str, setting: Setting, entered: object) -> Effective:
    """Give a unit a value of its own for a setting."""
    before = policy.load(act.connection).effective(units.find(act.connection, unit).path, setting)
    policy.set_value(act.connection, unit, setting, entered, act.now)
    return _changed(act, unit, setting, before)


@operation("policy.clear", Privilege.GMAIL_SETTINGS, of=targets.unit)
def clear_policy(act: Act, unit: str, setting: Setting) -> Effective:
    """Let a unit inherit a setting again."""
    before = policy.load(act.connection).effective(units.find(act.connection, unit).path, setting)
    policy.clear(act.connection, unit, setting)
    return _changed(act, unit, setting, before)


def _changed(act: Act, unit: str, setting: Setting, before: Effective) -> Effective:
    after = policy.load(act.connection).effective(units.find(act.connection, unit).path, setting)
    act.note(**{setting.name: [before.value, after.value]})
    queue.hasten(act.connection, act.now)
    return after
