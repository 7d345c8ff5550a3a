"""Operations on policy: what users of a unit may do."""

from outgate.directory import policies, units
from outgate.directory.policies import Effective, Policies
from outgate.directory.privileges import Privilege
from outgate.directory.settings import Setting
from outgate.directory.units import normal_path
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.operations.unit_operations import paths_below
from outgate.queue.admin import Selection


@operation("policy.list", Privilege.UNITS_READ, targets.unit("top"), changes=False)
def list_policies(op: OperationContext, top: str | None = None) -> tuple[tuple[str, ...], Policies]:
    """See the policy of units, with where each value comes from."""
    return paths_below(op, top), policies.load(op.connection)


@operation("policy.set", Privilege.GMAIL_SETTINGS, targets.unit("unit"))
def set_policy(op: OperationContext, unit: str, setting: Setting, entered: object) -> Effective:
    """Give a unit a value of its own for a setting."""
    before = _effective(op, unit, setting)
    policies.set_value(op.connection, unit, setting, entered, op.now)
    return _changed(op, unit, setting, before)


@operation("policy.clear", Privilege.GMAIL_SETTINGS, targets.unit("unit"))
def clear_policy(op: OperationContext, unit: str, setting: Setting) -> Effective:
    """Let a unit inherit a setting again."""
    before = _effective(op, unit, setting)
    policies.clear(op.connection, unit, setting)
    return _changed(op, unit, setting, before)


def _effective(op: OperationContext, unit: str, setting: Setting) -> Effective:
    return policies.load(op.connection).effective(units.find(op.connection, unit).path, setting)


def _changed(op: OperationContext, unit: str, setting: Setting, before: Effective) -> Effective:
    after = _effective(op, unit, setting)
    op.note(**{setting.name: [before.value, after.value]})  # the Reports API shows what was asked for, changed or not
    op.reconsider(Selection(unit=normal_path(unit)))
    return after
