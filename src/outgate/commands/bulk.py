"""`outgate import` and `outgate export`: users, addresses and gateways as CSV (RFC 4180, UTF-8)."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from outgate.cli.output import JsonObject, table, tell
from outgate.cli.progress import with_progress
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options
from outgate.commands.sendas import confirmation
from outgate.directory.errors import Invalid
from outgate.directory.users import Credentials
from outgate.operations.bulk_operations import KINDS, Import, ImportLine, ListKind

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run

KindName = Annotated[
    str, typer.Argument(help="users, addresses or gateways", metavar="users|addresses|gateways", show_default=False)
]


app = typer.Typer()


@command(app, name="export", example="outgate export users --to users.csv\noutgate export gateways --to gateways.csv")
def export(
    ctx: CommandContext,
    kind: KindName,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write; else standard output", show_default=False)
    ] = None,
) -> None:
    """Write all users, all From addresses but the primary ones, or all gateways, as CSV; never a password."""
    found = _kind(kind)
    with ctx.reading() as op:
        rows = list(found.export(op))
    with _output(to) as file:
        writer = csv.DictWriter(file, [*found.key, *found.optional])
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _harmless(text) for name, text in row.items()})
    if to:
        tell(ctx, {"rows": len(rows)}, f"wrote {len(rows)} {kind} to {to}")


@command(
    app,
    name="import",
    example="outgate import users users.csv --dry-run\noutgate import addresses addresses.csv",
)
def import_(
    ctx: CommandContext,
    kind: KindName,
    file: Annotated[Path, typer.Argument(help="The CSV file; its first line names the columns", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row and change nothing")] = False,
    skip_faulty: Annotated[
        bool, typer.Option("--skip-faulty", help="Take the good rows although others have faults")
    ] = False,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Save gateways without connecting and logging in first")
    ] = False,
) -> None:
    """Add or change many users, addresses or gateways.

    All rows are checked first; if one has a fault, nothing is changed (but see --skip-faulty). What a row leaves empty
    stays as it is. An address outside the own domains is mailed its code, and can be used when that was entered. Run
    again, it changes nothing more.
    """
    found = _kind(kind)
    lines = _read(file, found)
    task = Import(ctx, found, confirmation(ctx), lambda password: _credentials(ctx, password))
    probe = None if no_probe else gateway_options.probe(ctx)
    faults = task.check(with_progress(lines, "checking", len(lines)), probe).faults
    if dry_run or (faults and not skip_faulty):
        good = len(lines) - len(faults)
        if faults:
            _tell_faults(ctx, faults)
            raise Invalid(f"{len(faults)} of {len(lines)} rows have faults; nothing was changed")
        tell(ctx, {"rows": good, "dry_run": True}, f"{good} rows are good; nothing was changed")
        return
    bad = {number for number, _ in faults}
    good_lines = [one for one in lines if one.number not in bad]
    saved = task.save(with_progress(good_lines, "saving", len(good_lines)))
    faults += saved.faults
    _tell_faults(ctx, faults)
    counts = {word: saved.done.count(word) for word in ("created", "changed", "unchanged")}
    text = ", ".join(f"{count} {word}" for word, count in counts.items())
    tell(ctx, counts | {"faulty": len(faults)}, f"{kind}: {text}, {len(faults)} faulty")


def _credentials(ctx: CommandContext, password: str) -> Credentials:
    return Credentials.derive(password, ctx.installation().config.log_in.scram_iterations)


def _kind(name: str) -> ListKind:
    if name not in KINDS:
        raise typer.BadParameter(f"'{name}' is not one of: {', '.join(KINDS)}")
    return KINDS[name]


def _read(file: Path, kind: ListKind) -> list[ImportLine]:
    """All rows, checked for their form. Raises Invalid."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            first = opened.readline()
            opened.seek(0)
            # Spreadsheets of many countries separate by semicolons.
            reader = csv.DictReader(opened, delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
            _check_columns(file, kind, reader.fieldnames or [])
            lines = [ImportLine(reader.line_num, _clean(file, reader.line_num, row)) for row in reader]
    except UnicodeDecodeError:
        raise Invalid(f"{file} is not UTF-8; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise Invalid(f"{file} is not CSV: {error}") from None
    _check_keys(file, kind, lines)
    return lines


def _check_columns(file: Path, kind: ListKind, names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in kind.columns]
    missing = [name for name in kind.key if name not in names]
    if unknown or missing:
        told = [f"has the unknown column '{name}'" for name in unknown] + [f"lacks '{name}'" for name in missing]
        raise Invalid(f"{file}: the first line {', '.join(told)}; the columns are: {', '.join(kind.columns)}")


def _clean(file: Path, number: int, row: Mapping[str, str]) -> dict[str, str]:
    if None in row or None in row.values():
        raise Invalid(f"{file}, line {number}: not as many fields as the first line has")
    return {
        name: text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text for name, text in row.items()
    }


def _check_keys(file: Path, kind: ListKind, lines: Sequence[ImportLine]) -> None:
    seen: dict[tuple[str, ...], int] = {}
    names = [name for name in kind.key if name != "host"]
    for line in lines:
        key = tuple(line.row[name].lower() for name in names)
        if not all(key):
            raise Invalid(f"{file}, line {line.number}: {' and '.join(names)} must be given")
        if key in seen:
            raise Invalid(f"{file}, line {line.number}: {', '.join(key)} stands in line {seen[key]} already")
        seen[key] = line.number


def _harmless(text: str) -> str:
    """With an apostrophe where a spreadsheet would take the text for a formula; `import` takes it off again."""
    return f"'{text}" if text.startswith(_FORMULA) else text


@contextmanager
def _output(to: Path | None) -> Iterator[TextIO]:
    if to is None:
        yield sys.stdout
        return
    with to.open("w", encoding="utf-8", newline="") as file:
        yield file


def _tell_faults(ctx: CommandContext, faults: Sequence[tuple[int, str]]) -> None:
    if faults and not ctx.json:
        rows: list[JsonObject] = [{"line": number, "fault": text} for number, text in faults]
        table(ctx, rows, {"line": "line", "fault": "fault"}, nothing="")
