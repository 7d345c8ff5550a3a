"""`outgate audit`: who changed what, and whether the record of it is whole."""

from typing import Annotated

import typer

from outgate.cli.output import JsonObject, plain, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.cli.times import seconds
from outgate.iso_time import iso
from outgate.operations import audit_operations
from outgate.operations.error_codes import CheckFailed
from outgate.record.activity import activity
from outgate.record.audit_trail import AuditFilter, Recorded

app = typer.Typer(no_args_is_help=True, help="The audit trail: every change by whom, from where, old and new value.")


@command(app, name="list", example="outgate audit list --about alice@example.com\noutgate --json audit list")
def list_(
    ctx: CommandContext,
    about: Annotated[
        str | None, typer.Option("--about", help="Part of who did it, of what it was done to, or of the unit")
    ] = None,
    operation: Annotated[str | None, typer.Option("--operation", help="As in policy.set")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only from then on, as in 2026-01-31")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Only before then")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many, the newest", min=1)] = 50,
) -> None:
    """Show the newest entries of the audit trail. With --json they are activities of the Reports API."""
    wanted = AuditFilter(about, operation, seconds(since), seconds(until), limit)
    with ctx.reading() as op:
        page = audit_operations.search(op, wanted)
    if ctx.json:
        tell(ctx, [activity(one, page.customer) for one in page.entries], "")
        return
    columns = {key: key for key in ("number", "at", "who", "from", "operation", "outcome", "target", "unit", "detail")}
    table(ctx, [_row(one) for one in page.entries], columns, nothing="nothing is recorded")


@command(app, example="outgate audit verify")
def verify(ctx: CommandContext) -> None:
    """Check that no entry of the audit trail was changed, removed or added past Outgate.

    If one was, the exit status is 8, and that it was found is itself recorded.
    """
    try:
        with ctx.writing() as op:
            audit_operations.verify(op)
    except audit_operations.Tampered as error:
        raise CheckFailed("\n".join(("the audit trail was tampered with:", *error.faults))) from None
    tell(ctx, {"whole": True}, "the audit trail is whole")


def _row(one: Recorded) -> JsonObject:
    entry = one.entry
    return {
        "number": one.number,
        "at": iso(entry.at),
        "who": entry.actor,
        "from": entry.peer,
        "operation": entry.operation,
        "outcome": entry.outcome,
        "target": entry.target,
        "unit": entry.unit,
        "detail": "; ".join(f"{name}: {_change(value)}" for name, value in entry.detail.items()),
    }


def _change(value: object) -> str:
    if isinstance(value, list) and len(value) == 2:
        return f"{plain(value[0])} -> {plain(value[1])}"
    return plain(value)
