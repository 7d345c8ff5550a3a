"""`outgate import` and `outgate export`: users, addresses and gateways as CSV (RFC 4180, UTF-8)."""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer

from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command

if TYPE_CHECKING:
    from outgate.operations.bulk_operations import ListKind
    from outgate.operations.operation import OperationContext
    from outgate.record.audit_trail import AuditEntry

BATCH: Final = 100  # rows in one transaction: others wait no longer than for these
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run

KindName = Annotated[
    str, typer.Argument(help="users, addresses or gateways", metavar="users|addresses|gateways", show_default=False)
]


@dataclass(frozen=True, slots=True)
class Line:
    """A row with the line of the file that it begins in."""

    number: int
    row: dict[str, str]


@dataclass(slots=True)
class Result:
    """What became of the rows: what was done with each good one, line and text of each fault, and who was denied."""

    done: list[str] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    denied: list["AuditEntry"] = field(default_factory=list)


class DryRun(Exception):
    """Undoes a transaction."""


def register(app: typer.Typer) -> None:
    """Both commands."""
    command(
        app,
        name="import",
        example="outgate import users users.csv --dry-run\noutgate import addresses addresses.csv",
    )(import_)
    command(
        app, name="export", example="outgate export users --to users.csv\noutgate export gateways --to gateways.csv"
    )(export)


def export(
    ctx: CommandContext,
    kind: KindName,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write; else standard output", show_default=False)
    ] = None,
) -> None:
    """Write all users, all From addresses but the primary ones, or all gateways, as CSV; never a password."""
    found = _kind(kind)
    with ctx.reading() as op, _output(to) as file:
        writer = csv.DictWriter(file, [*found.key, *found.optional])
        writer.writeheader()
        count = 0
        for row in found.export(op):
            writer.writerow({name: _harmless(text) for name, text in row.items()})
            count += 1
    if to:
        tell(ctx, {"rows": count}, f"wrote {count} {kind} to {to}")


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
    from outgate.directory.errors import Invalid

    found = _kind(kind)
    lines = _read(file, found)
    faults = _run(ctx, found, lines, "checking", dry_run=True, no_probe=no_probe).faults
    if dry_run or (faults and not skip_faulty):
        good = len(lines) - len(faults)
        if faults:
            _tell_faults(ctx, faults)
            raise Invalid(f"{len(faults)} of {len(lines)} rows have faults; nothing was changed")
        tell(ctx, {"rows": good, "dry_run": True}, f"{good} rows are good; nothing was changed")
        return
    bad = {number for number, _ in faults}
    saved = _run(ctx, found, [one for one in lines if one.number not in bad], "saving", dry_run=False)
    faults += saved.faults
    _tell_faults(ctx, faults)
    counts = {word: saved.done.count(word) for word in ("created", "changed", "unchanged")}
    text = ", ".join(f"{count} {word}" for word, count in counts.items())
    tell(ctx, counts | {"faulty": len(faults)}, f"{kind}: {text}, {len(faults)} faulty")


def _run(
    ctx: CommandContext, kind: "ListKind", lines: Sequence[Line], doing: str, *, dry_run: bool, no_probe: bool = True
) -> Result:
    """Do what the rows say, or only find out whether it could be done. A row that fails undoes only itself."""
    from outgate.operations import propagation
    from outgate.operations.operation import record

    result, installation = Result(), ctx.installation()
    progress = iter(_with_progress(lines, doing))
    while batch := list(islice(progress, BATCH)):
        prepared = [(line, _prepared(ctx, kind, line, no_probe)) for line in batch]
        with suppress(DryRun), ctx.writing_one_of_many() as op:
            for line, ready in prepared:
                _one(ctx, op, kind, line, ready, result)
            if dry_run:
                raise DryRun
    if result.denied:
        record(installation.engine, installation.vault, *result.denied)
    if not dry_run:
        propagation.wait(installation.engine)
    return result


def _one(ctx: CommandContext, op: "OperationContext", kind: "ListKind", line: Line, ready: Any, result: Result) -> None:
    from outgate.directory.errors import DirectoryError
    from outgate.mail.addresses import AddressError
    from outgate.operations.operation import Denied

    if isinstance(ready, Exception):
        result.faults.append((line.number, str(ready)))
        return
    try:
        with op.connection.begin_nested():
            result.done.append(_apply(ctx, op, kind, line, ready))
    except (DirectoryError, AddressError) as error:
        result.faults.append((line.number, str(error)))
        if isinstance(error, Denied):
            result.denied.append(error.entry)


def _apply(ctx: CommandContext, op: "OperationContext", kind: "ListKind", line: Line, credentials: Any) -> str:
    from outgate.operations import bulk_operations
    from outgate.operations.confirmation import Confirmation

    if kind.name == "users":
        return bulk_operations.import_user(op, line.row, credentials)
    if kind.name == "gateways":
        return bulk_operations.import_gateway(op, line.row)
    config = ctx.installation().config
    return bulk_operations.import_address(op, line.row, Confirmation(config.hostname, config.web.public_url))


def _prepared(ctx: CommandContext, kind: "ListKind", line: Line, no_probe: bool) -> Any:
    """What takes long, before the transaction: the hashes of a password, the probe of a gateway. Returns a fault."""
    from outgate.cli.status import CheckFailed
    from outgate.commands import gateway_options
    from outgate.directory.errors import DirectoryError
    from outgate.directory.users import Credentials
    from outgate.operations.bulk_operations import server

    try:
        if kind.name == "users" and line.row.get("password"):
            return Credentials.derive(line.row["password"], ctx.installation().config.log_in.scram_iterations)
        if kind.name == "gateways" and not no_probe:
            gateway_options.try_out(ctx, server(line.row))
    except (DirectoryError, CheckFailed) as error:
        return error
    return None


def _kind(name: str) -> "ListKind":
    from outgate.operations.bulk_operations import KINDS

    if name not in KINDS:
        raise typer.BadParameter(f"'{name}' is not one of: {', '.join(KINDS)}")
    return KINDS[name]


def _read(file: Path, kind: "ListKind") -> list[Line]:
    """All rows, checked for their form. Raises Invalid."""
    from outgate.directory.errors import Invalid

    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            first = opened.readline()
            opened.seek(0)
            # Spreadsheets of many countries separate by semicolons.
            reader = csv.DictReader(opened, delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
            _check_columns(file, kind, reader.fieldnames or [])
            lines = [Line(reader.line_num, _clean(file, reader.line_num, row)) for row in reader]
    except UnicodeDecodeError:
        raise Invalid(f"{file} is not UTF-8; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise Invalid(f"{file} is not CSV: {error}") from None
    _check_keys(file, kind, lines)
    return lines


def _check_columns(file: Path, kind: "ListKind", names: Sequence[str]) -> None:
    from outgate.directory.errors import Invalid

    unknown = [name for name in names if name not in kind.columns]
    missing = [name for name in kind.key if name not in names]
    if unknown or missing:
        told = [f"has the unknown column '{name}'" for name in unknown] + [f"lacks '{name}'" for name in missing]
        raise Invalid(f"{file}: the first line {', '.join(told)}; the columns are: {', '.join(kind.columns)}")


def _clean(file: Path, number: int, row: dict[Any, Any]) -> dict[str, str]:
    from outgate.directory.errors import Invalid

    if None in row or None in row.values():
        raise Invalid(f"{file}, line {number}: not as many fields as the first line has")
    return {
        name: text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text for name, text in row.items()
    }


def _check_keys(file: Path, kind: "ListKind", lines: Sequence[Line]) -> None:
    from outgate.directory.errors import Invalid

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


def _with_progress(lines: Sequence[Line], doing: str) -> Iterator[Line]:
    from rich.console import Console
    from rich.progress import track

    yield from track(lines, description=doing, console=Console(stderr=True), disable=not sys.stderr.isatty())
