"""Writes the pages of docs/ that come from the program itself: `python -m outgate.cli.reference`.

A test says when they are out of date.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from typer.main import get_command

from outgate.cli.api_reference import api_page
from outgate.cli.lazy_command import LazyCommand
from outgate.cli.metrics_reference import metrics_page
from outgate.cli.program import app
from outgate.cli.roles_reference import policy_page, roles_page
from outgate.cli.status import MEANING, Status
from outgate.commands.configuration import default_of, sections, settings_of, summary, toml
from outgate.config import Config

_NOTE = "<!-- Written by `python -m outgate.cli.reference`; change the source, not this file. -->"
_EVERYWHERE = ("--data", "--json", "--help")


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, in the order of the help; groups are left out."""
    return _leaves("outgate", get_command(app))


def _leaves(name: str, found: Any) -> Iterator[tuple[str, Any]]:
    for word, entry in found.commands.items():
        command = entry.load() if isinstance(entry, LazyCommand) else entry
        if hasattr(command, "commands"):
            yield from _leaves(f"{name} {word}", command)
        else:
            yield f"{name} {word}", command


# --- docs/commands.md ------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """The reference of the command line, as Markdown."""
    head = f"""\
{_NOTE}
# Commands

`--data DIR`, or `OUTGATE_DATA` in the environment, says where the data directory is. `--json` prints one object or
list for programs (`log --follow`: one object a line); an error is then `{{"error": {{"code", "message"}}}}` on standard
error. Both may stand before or after the command. A password is asked for, or comes by `--password-file FILE` (`-` is
standard input) or `--password-stdin`; it is never an argument.

| exit status | code | meaning |
|---|---|---|
{_statuses()}
"""
    return head + "".join(_command(name, command) for name, command in commands())


def _statuses() -> str:
    return "\n".join(f"| {status.value} | `{status.name.lower()}` | {MEANING[status]} |" for status in Status)


def _command(name: str, command: Any) -> str:
    parameters = [one for one in command.params if not set(_EVERYWHERE) & set(one.opts)]
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    options = [one for one in parameters if one.param_type_name == "option"]
    usage = " ".join([name, *(_metavar(one) for one in arguments), *(["[OPTIONS]"] if options else [])])
    rows = [f"| `{_metavar(one)}` | {one.help or ''} |" for one in arguments]
    rows += [f"| `{_option(one)}` | {_described(one)} |" for one in options]
    table = "\n".join(["| | |", "|---|---|", *rows]) + "\n\n" if rows else ""
    example = inspect.cleandoc(command.epilog).removeprefix("\b\nExample:\n")
    return f"""
## {name}

{inspect.cleandoc(command.help)}

`{usage}`

{table}```
{inspect.cleandoc(example)}
```
"""


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _option(option: Any) -> str:
    name = "/".join([*option.opts, *option.secondary_opts])
    return name if option.is_flag else f"{name} {option.metavar or option.name.upper()}"


def _described(option: Any) -> str:
    default = option.default
    known = not option.is_flag and isinstance(default, str | int) and default != ""
    notes = ["required"] if option.required else [f"default `{default}`"] if known else []
    return f"{option.help}{''.join(f' ({note})' for note in notes)}".replace("|", "\\|")


# --- docs/configuration.md -------------------------------------------------------------------------------------------


def configuration_page() -> str:
    """The reference of the settings, as Markdown."""
    head = f"""\
{_NOTE}
# Configuration

`outgate.toml` in the data directory, made by `outgate init`; `outgate init --set KEY=VALUE` sets a value at once. An
environment variable comes before the file. An unknown key is an error. The file is read when `outgate serve` starts.
Users, policy and gateways are not here: they are changed by commands while the server runs.

| setting | default | environment | |
|---|---|---|---|
{_settings(Config, "", "OUTGATE_")}
"""
    return head + "".join(_section(name, section) for name, section in sections(Config)) + _ELSEWHERE


_ELSEWHERE = """
## In the environment alone

| variable | |
|---|---|
| `OUTGATE_DATA` | The data directory, where `--data` does not say it |
| `OUTGATE_SECRET_KEY` | The keys in place of the file `secret.key`: `<id> <32 bytes in base64>`, several by commas, \
the last one in use |
"""


def _section(name: str, section: type[BaseModel]) -> str:
    return f"""
## [{name}]

{summary(section)}

| setting | default | environment | |
|---|---|---|---|
{_settings(section, f"{name}.", f"OUTGATE_{name.upper().replace('.', '__')}__")}
"""


def _settings(model: type[BaseModel], prefix: str, variable: str) -> str:
    lines = []
    for name, field in settings_of(model).items():
        default = default_of(field)
        shown = "" if default is None else f"`{toml(default)}`"
        lines.append(f"| `{prefix}{name}` | {shown} | `{variable}{name.upper()}` | {field.description or ''} |")
    return "\n".join(lines)


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "configuration.md": configuration_page,
    "roles.md": lambda: f"{_NOTE}\n{roles_page()}",
    "own-api-reference.md": lambda: f"{_NOTE}\n{api_page()}",
    "metrics.md": lambda: f"{_NOTE}\n{metrics_page()}",
    "policy.md": lambda: f"{_NOTE}\n{policy_page()}",
}


def main() -> None:
    """Write the pages into the folder that the first argument names, else into docs/."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, page in PAGES.items():
        (folder / name).write_text(page())


if __name__ == "__main__":
    main()
