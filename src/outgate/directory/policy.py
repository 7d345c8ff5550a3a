"""Policy: the settings there are, and which value is in force for a unit. A unit without its own value inherits."""

import json
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from outgate.directory import units
from outgate.directory.change import touch
from outgate.directory.errors import NotFound
from outgate.store import tables


@dataclass(frozen=True, slots=True)
class Setting:
    """A switch that an administrator sets for a unit; `default` holds where no unit up to the root has a value."""

    name: str
    default: bool
    summary: str


@dataclass(frozen=True, slots=True)
class Effective:
    """The value in force. `source` is the path of the unit that it comes from, None if it is the default."""

    value: bool
    source: str | None


ALLOW_EXTERNAL_SMTP: Final = Setting(
    "allowUsersToUseExternalSmtpServers",
    default=False,
    summary="Allow users to send mail through an external SMTP server when configuring a 'from' address hosted outside"
    " your email domains",
)

SETTINGS: Final = {setting.name: setting for setting in (ALLOW_EXTERNAL_SMTP,)}


def setting(name: str) -> Setting:
    """The setting of this name, in any case. Raises NotFound with the names there are."""
    for known in SETTINGS.values():
        if known.name.lower() == name.lower():
            return known
    raise NotFound(f"there is no setting '{name}'; the settings are: {', '.join(SETTINGS)}")


def effective(connection: Connection, unit_path: str, setting: Setting) -> Effective:
    """The value in force for a unit: its own, else that of the nearest unit above it, else the default."""
    row = connection.execute(
        select(tables.policy.c.value, tables.unit.c.path)
        .join_from(tables.policy, tables.unit)
        .where(tables.policy.c.setting == setting.name, tables.unit.c.path.in_(_up_to_root(unit_path)))
        .order_by(func.length(tables.unit.c.path).desc())
        .limit(1)
    ).first()
    return Effective(json.loads(row.value), row.path) if row else Effective(setting.default, None)


def _up_to_root(unit_path: str) -> list[str]:
    """`/Sales/Italy` -> `/Sales/Italy`, `/Sales`, `/`."""
    names = unit_path.strip("/").split("/")
    return ["/" + "/".join(names[:count]) for count in range(len(names), 0, -1)] + ["/"]


@dataclass(frozen=True, slots=True)
class Own:
    """A value that a unit has of its own."""

    unit: str
    setting: str
    value: bool


def values(connection: Connection) -> tuple[Own, ...]:
    """All values that units have of their own, by unit."""
    rows = connection.execute(
        select(tables.unit.c.path, tables.policy.c.setting, tables.policy.c.value)
        .join_from(tables.policy, tables.unit)
        .order_by(tables.unit.c.path, tables.policy.c.setting)
    )
    return tuple(Own(row.path, row.setting, json.loads(row.value)) for row in rows)


def set_value(connection: Connection, unit_path: str, setting: Setting, value: bool, now: float) -> None:
    """Give a unit a value of its own, which the units below inherit."""
    clear(connection, unit_path, setting)
    connection.execute(
        insert(tables.policy).values(
            unit_id=units.find(connection, unit_path).id,
            setting=setting.name,
            value=json.dumps(value),
            changed_at=now,
        )
    )


def clear(connection: Connection, unit_path: str, setting: Setting) -> None:
    """Let a unit inherit again."""
    touch(connection)
    columns = tables.policy.c
    unit = units.find(connection, unit_path)
    connection.execute(delete(tables.policy).where(columns.unit_id == unit.id, columns.setting == setting.name))
