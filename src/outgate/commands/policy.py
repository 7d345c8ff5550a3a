"""`outgate policy`: what users may do, unit by unit."""

from typing import Annotated, Any

import typer

from outgate.commands.command import Here, command
from outgate.commands.output import record, table, tell

app = typer.Typer(no_args_is_help=True, help="What users may do. A unit without a value of its own inherits.")

SettingName = Annotated[
    str,
    typer.Argument(
        help="The setting's name, as in allowUsersToUseExternalSmtpServers", metavar="SETTING", show_default=False
    ),
]
Unit = Annotated[str, typer.Option("--ou", help="Organisational unit, as in /Sales/Italy", metavar="PATH")]

_VALUES = {"on": True, "true": True, "off": False, "false": False}


@command(app, name="list", example="outgate policy list")
def list_(here: Here) -> None:
    """List every setting for every organisational unit, with the value in force and the unit that it comes from."""
    from outgate.directory import policy, units
    from outgate.store.engine import read

    with read(here.place().engine) as connection:
        rows = [
            _row(setting, path, policy.effective(connection, path, setting))
            for setting in policy.SETTINGS.values()
            for path in units.paths(connection)
        ]
    shown = rows if here.json else [row | {"value": _word(row["value"])} for row in rows]
    columns = {"setting": "setting", "ou": "unit", "value": "value", "inherited_from": "inherited from"}
    table(here, shown, columns, nothing="there are no units")


@command(app, example="outgate policy show allowUsersToUseExternalSmtpServers --ou /Sales")
def show(here: Here, setting: SettingName, unit: Unit = "/") -> None:
    """Show the value in force for a unit, where it comes from, and what the setting is for."""
    from outgate.directory import policy, units
    from outgate.store.engine import read

    known = policy.setting(setting)
    with read(here.place().engine) as connection:
        path = units.find(connection, unit).path
        value = _row(known, path, policy.effective(connection, path, known)) | {"summary": known.summary}
    record(here, value if here.json else value | {"value": _word(value["value"])})


@command(
    app,
    name="set",
    example="outgate policy set allowUsersToUseExternalSmtpServers on\n"
    "outgate policy set allowUsersToUseExternalSmtpServers off --ou /Sales",
)
def set_(
    here: Here,
    setting: SettingName,
    value: Annotated[str, typer.Argument(help="on or off", metavar="on|off", show_default=False)],
    unit: Unit = "/",
) -> None:
    """Set a value for a unit and those below it, at once: mail that waits is decided again under the new policy."""
    if value.lower() not in _VALUES:
        raise typer.BadParameter(f"'{value}' is neither on nor off")
    _change(here, setting, unit, _VALUES[value.lower()])


@command(app, example="outgate policy clear allowUsersToUseExternalSmtpServers --ou /Sales")
def clear(here: Here, setting: SettingName, unit: Unit = "/") -> None:
    """Remove a unit's own value, so that it inherits again. Holds at once, for mail that waits as well."""
    _change(here, setting, unit, None)


def _change(here: Here, name: str, unit: str, value: bool | None) -> None:
    from outgate import clock
    from outgate.directory import policy, units
    from outgate.queue import operations
    from outgate.store.engine import write

    setting, now = policy.setting(name), clock.now()
    with write(here.place().engine) as connection:
        path = units.find(connection, unit).path
        if value is None:
            policy.clear(connection, path, setting)
        else:
            policy.set_value(connection, path, setting, value, now)
        operations.hasten(connection, now)
        row = _row(setting, path, policy.effective(connection, path, setting))
    inherited = f" (from {row['inherited_from']})" if row["inherited_from"] else ""
    tell(here, row, f"{setting.name} is {_word(row['value'])} for {path}{inherited}")


def _row(setting: Any, path: str, effective: Any) -> dict[str, Any]:
    """`inherited_from` is None where the unit has a value of its own."""
    source = "the default" if effective.source is None else effective.source
    return {
        "setting": setting.name,
        "ou": path,
        "value": effective.value,
        "inherited_from": None if source == path else source,
    }


def _word(value: bool) -> str:
    return "on" if value else "off"
