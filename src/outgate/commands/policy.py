"""`outgate policy`: what users may do, unit by unit."""

from typing import Annotated

import typer

from outgate.cli.output import record, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory import settings
from outgate.directory.settings import SETTINGS, in_words
from outgate.directory.units import normal_path
from outgate.operations import policy_operations
from outgate.operations.resources import effective_row

app = typer.Typer(no_args_is_help=True, help="What users may do. A unit without a value of its own inherits.")

SettingName = Annotated[
    str,
    typer.Argument(
        help="The setting's name, as in allowUsersToUseExternalSmtpServers", metavar="SETTING", show_default=False
    ),
]
Unit = Annotated[str, typer.Option("--ou", help="Organisational unit, as in /Sales/Italy", metavar="PATH")]


@command(app, name="list", example="outgate policy list")
def list_(
    ctx: CommandContext,
    unit: Annotated[
        str | None, typer.Option("--ou", help="Only for this unit", metavar="PATH", show_default=False)
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="Only values that units have of their own")] = False,
) -> None:
    """List every setting for every organisational unit, with the value in force and the unit that it comes from."""
    with ctx.reading() as op:
        paths, policies = policy_operations.list_policies(op, unit)
    paths = paths if unit is None else paths[:1]
    found = {path: policies.all_effective(path) for path in paths}
    listed = [(path, name, found[path][name]) for name in SETTINGS for path in paths]
    if own:
        listed = [(path, name, effective) for path, name, effective in listed if effective.source == path]
    rows = [effective_row(path, name, effective) for path, name, effective in listed]
    if not ctx.json:
        rows = [row | {"value": in_words(effective.value)} for row, (*_, effective) in zip(rows, listed, strict=True)]
    columns = {"setting": "setting", "ou": "unit", "value": "value", "inherited_from": "inherited from"}
    table(ctx, rows, columns, nothing="there are no units")


@command(app, example="outgate policy show allowUsersToUseExternalSmtpServers --ou /Sales")
def show(ctx: CommandContext, setting: SettingName, unit: Unit = "/") -> None:
    """Show the value in force for a unit, where it comes from, and what the setting is for."""
    known = settings.setting(setting)
    with ctx.reading() as op:
        paths, policies = policy_operations.list_policies(op, unit)
    effective = policies.effective(paths[0], known)
    value = effective_row(paths[0], known.name, effective) | {"may_be": known.form, "summary": known.summary}
    record(ctx, value if ctx.json else value | {"value": settings.in_words(effective.value)})


@command(
    app,
    name="set",
    example="outgate policy set allowUsersToUseExternalSmtpServers on\n"
    "outgate policy set allowUsersToUseExternalSmtpServers off --ou /Sales\n"
    "outgate policy set allowedGatewayHosts '*.dominiopartner.example,smtp.example.net' --ou /Sales",
)
def set_(
    ctx: CommandContext,
    setting: SettingName,
    value: Annotated[
        str, typer.Argument(help="The value; `outgate policy show SETTING` says what it may be", show_default=False)
    ],
    unit: Unit = "/",
) -> None:
    """Set a value for a unit and those below it, at once: mail that waits is decided again under the new policy."""
    _change(ctx, setting, unit, value)


@command(app, example="outgate policy clear allowUsersToUseExternalSmtpServers --ou /Sales")
def clear(ctx: CommandContext, setting: SettingName, unit: Unit = "/") -> None:
    """Remove a unit's own value, so that it inherits again. Holds at once, for mail that waits as well."""
    _change(ctx, setting, unit, None)


def _change(ctx: CommandContext, name: str, unit: str, value: str | None) -> None:
    setting, path = settings.setting(name), normal_path(unit)
    with ctx.writing() as op:
        if value is None:
            effective = policy_operations.clear_policy(op, path, setting)
        else:
            effective = policy_operations.set_policy(op, path, setting, value)
    row = effective_row(path, setting.name, effective)
    inherited = f" (from {row['inherited_from']})" if row["inherited_from"] else ""
    tell(ctx, row, f"{setting.name} is {settings.in_words(effective.value) or 'empty'} for {path}{inherited}")
