"""What commands print: for people by default, JSON for programs. Times are ISO 8601 in UTC in both."""

import json
from collections.abc import Container, Mapping, Sequence
from typing import TypeAlias

import typer

from outgate.cli.shell import CommandContext
from outgate.operations import resources
from outgate.printable import printable, printable_lines

# What is printed; `JsonObject` is for those who make one.
JsonValue: TypeAlias = resources.JsonValue
JsonObject: TypeAlias = resources.JsonObject
Row: TypeAlias = Mapping[str, JsonValue]

_WIDE = 240  # columns when the output is no terminal: a file or a pipe has no edge


def tell(ctx: CommandContext, value: Row | Sequence[Row], text: str) -> None:
    """The outcome of a command: `text` for people, with nothing that a terminal would obey, `value` for programs."""
    typer.echo(json.dumps(value, indent=2) if ctx.json else printable_lines(text))


def table(
    ctx: CommandContext, rows: Sequence[Row], columns: Mapping[str, str], *, nothing: str, whole: Container[str] = ()
) -> None:
    """A list: all of each row for programs, these columns (key to title) for people; `nothing` if there is no row.

    Values of the columns `whole` are never broken, however narrow the terminal is: they are copied.
    """
    if ctx.json or not rows:
        tell(ctx, rows, nothing)
        return
    # Imported here: most commands print a line, and Rich would be a tenth of what they take.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for key, title in columns.items():
        drawn.add_column(title, overflow="fold", no_wrap=key in whole)
    for row in rows:
        drawn.add_row(*(plain(row[key]) for key in columns))
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(drawn)


def record(ctx: CommandContext, value: Row) -> None:
    """One thing with all its properties."""
    width = max(len(key) for key in value)
    tell(ctx, value, "\n".join(f"{key.replace('_', ' '):{width}}  {plain(each)}" for key, each in value.items()))


def plain(value: object) -> str:
    """A value in words, with nothing that a terminal would obey: much of it comes from outside."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return ", ".join(f"{key} {plain(each)}" for key, each in value.items())
        case list() | tuple():
            return ", ".join(plain(each) for each in value) or "-"
    return printable(str(value))


def to_the_second(at: object) -> str:
    """What `iso` gave as `2026-01-31 12:00:00Z`, for narrow terminals."""
    return f"{str(at)[:19]}Z".replace("T", " ")
