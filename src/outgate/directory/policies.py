"""Policy: which value of each setting is in force for a unit. A unit without its own value inherits its parent's."""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from outgate.directory import units
from outgate.directory.change import touch
from outgate.directory.settings import SETTINGS, Setting, Value
from outgate.frozen import frozen
from outgate.model import Policy
from outgate.store import tables


@frozen
class Effective:
    """The value in force. `source` is the path of the unit that it comes from, None if it is the default."""

    value: Value
    source: str | None


Own = Mapping[str, Value]  # the values that a unit has of its own, by setting


class Policies:
    """The policy of every unit, as one reading of the directory. Units that inherit everything share one record."""

    def __init__(self, own: Mapping[str, Own]) -> None:
        self.own = own
        self._made: dict[tuple[str, ...], Policy] = {}

    def effective(self, unit_path: str, setting: Setting) -> Effective:
        """The value in force for a unit: its own, else that of the nearest unit above it, else the default."""
        for path in up_to_root(unit_path):
            if setting.name in self.own.get(path, ()):
                return Effective(self.own[path][setting.name], path)
        return Effective(setting.default, None)

    def all_effective(self, unit_path: str) -> dict[str, Effective]:
        """The values of all settings in force for a unit, by name."""
        found = {name: Effective(setting.default, None) for name, setting in SETTINGS.items()}
        for path in reversed(up_to_root(unit_path)):
            for name, value in self.own.get(path, {}).items():
                found[name] = Effective(value, path)
        return found

    def policy(self, unit_path: str) -> Policy:
        """All values in force for a unit."""
        key = tuple(path for path in up_to_root(unit_path) if path in self.own)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(unit_path)
        return made

    def _make(self, unit_path: str) -> Policy:
        found = self.all_effective(unit_path)
        values = {one.field: one.made(found[name].value) for name, one in SETTINGS.items()}
        sources = {SETTINGS[name].field: one.source for name, one in found.items() if one.source}
        return Policy(**values, sources=sources)


def up_to_root(unit_path: str) -> list[str]:
    """`/Sales/Italy` -> `/Sales/Italy`, `/Sales`, `/`."""
    names = unit_path.strip("/").split("/") if unit_path != "/" else []
    return ["/" + "/".join(names[:count]) for count in range(len(names), 0, -1)] + ["/"]


def load(connection: Connection) -> Policies:
    """The policy of all units."""
    rows = connection.execute(
        select(tables.unit.c.path, tables.policy.c.setting, tables.policy.c.value).join_from(tables.policy, tables.unit)
    )
    own: dict[str, dict[str, Value]] = {}
    for path, name, value in rows:
        if name in SETTINGS:  # a later release may have known more
            own.setdefault(path, {})[name] = json.loads(value)
    return Policies(own)


def set_value(connection: Connection, unit_path: str, setting: Setting, entered: object, now: float) -> None:
    """Give a unit a value of its own, which the units below inherit. Raises Invalid and NotFound."""
    value = setting.check(entered)
    clear(connection, unit_path, setting)
    connection.execute(
        insert(tables.policy).values(
            unit_id=units.find(connection, unit_path).id,
            setting=setting.name,
            value=json.dumps(value),
            changed_at=now,
        )
    )


def changed_at(connection: Connection, unit_path: str, setting: Setting) -> float | None:
    """When a unit was given the value that it has of its own; None if it has none."""
    columns = tables.policy.c
    mine = (tables.unit.c.path == unit_path, columns.setting == setting.name)
    return connection.scalar(select(columns.changed_at).join_from(tables.policy, tables.unit).where(*mine))


def clear(connection: Connection, unit_path: str, setting: Setting) -> None:
    """Let a unit inherit again."""
    touch(connection, shared=True)
    columns = tables.policy.c
    unit = units.find(connection, unit_path)
    connection.execute(delete(tables.policy).where(columns.unit_id == unit.id, columns.setting == setting.name))
