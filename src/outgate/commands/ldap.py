"""`outgate ldap`: users of an LDAP directory made accounts, and kept like it."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from typing import Annotated, Final

import typer

from outgate.cli.output import JsonObject, table, tell
from outgate.cli.progress import with_progress
from outgate.cli.shell import CommandContext, command
from outgate.config import ConfigError
from outgate.directory.errors import DirectoryError, NotAllowed
from outgate.ldap import entries
from outgate.ldap.entries import Fault, LdapEntry
from outgate.ldap.ldap_client import LdapClient
from outgate.ldap.sync import Plan, Problem, StepKind, SyncStep, plan
from outgate.operations import propagation, user_operations
from outgate.operations.context import Denied, OperationContext, record, rehearse
from outgate.operations.moments import for_a_moment, room_after
from outgate.record.audit_trail import AuditEntry

app = typer.Typer(no_args_is_help=True, help="Users and passwords from an LDAP directory (settings: ldap.*).")

BATCH: Final = 100  # accounts between two moves of the bar
FIRST: Final = 5  # entries that `check` shows


@dataclass(slots=True)
class _Progress:
    """What became of the steps so far."""

    done: list[SyncStep] = field(default_factory=list)
    faults: list[Problem] = field(default_factory=list)
    denied: list[AuditEntry] = field(default_factory=list)


@command(app, example="outgate ldap check")
def check(ctx: CommandContext) -> None:
    """Connect, search, and show the first users as Outgate understands them. Changes nothing."""
    found = _search(ctx)
    entries = [one for one in found if isinstance(one, LdapEntry)]
    faults = [{"subject": one.dn, "text": one.text} for one in found if not isinstance(one, LdapEntry)]
    first = [_entry(one) for one in entries[:FIRST]]
    text = f"{len(entries)} users, {len(faults)} entries that can't be used"
    tell(ctx, {"users": len(entries), "faulty": len(faults), "first": first, "problems": faults}, text)
    if not ctx.json:
        columns = {"address": "address", "name": "name", "ou": "unit", "disabled": "disabled", "dn": "DN"}
        table(ctx, first, columns, nothing="nothing was found: see ldap.base and ldap.filter")
        _show_problems(ctx, faults[:FIRST])


@command(app, example="outgate ldap sync --dry-run\noutgate ldap sync")
def sync(
    ctx: CommandContext,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done and change nothing")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Accounts that are there already become those of entries with their address")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Suspend although more than 5 and more than 20 % would be suspended")
    ] = False,
) -> None:
    """Make the accounts what the directory says: create, rename, move, suspend who is gone, resume who is back.

    Nobody is deleted. An entry that can't be used is told of, and its account stays as it is. Run again, it changes
    nothing more.
    """
    found = _search(ctx)
    with ctx.reading() as op:
        planned = plan(user_operations.list_users(op), found, adopt=adopt)
    if planned.suspends_too_many and not force:
        count = planned.count(StepKind.SUSPEND)
        told = f"{count} of {planned.active} users of the directory would be suspended; nothing was changed"
        raise NotAllowed(f"{told}. If that is right: --force. If not, see ldap.base and ldap.filter")
    made = _run(ctx, planned.steps, dry_run=dry_run)
    _report(ctx, planned, made, dry_run=dry_run)


def _search(ctx: CommandContext) -> list[LdapEntry | Fault]:
    client = _client(ctx)
    with client.connected() as connection:
        return list(with_progress(entries.search(connection, client.settings), "searching", None))


def _client(ctx: CommandContext) -> LdapClient:
    config = ctx.installation().config
    if not config.ldap.url:
        raise ConfigError("no LDAP directory is set: set ldap.url and ldap.base in outgate.toml; see docs/ldap.md")
    return LdapClient(config)


def _run(ctx: CommandContext, steps: Sequence[SyncStep], *, dry_run: bool) -> _Progress:
    """Do the steps, or find out whether they could be done: those about one account in one transaction."""
    made = _Progress()
    taken = with_progress(steps, "checking" if dry_run else "saving", len(steps))
    accounts = (list(of_one) for _, of_one in groupby(taken, key=lambda step: step.address))
    while waiting := deque(islice(accounts, BATCH)):
        while waiting:
            with room_after():
                _apply_some(ctx, partial(_some, waiting, made), dry_run=dry_run)
    installation = ctx.installation()
    if made.denied:
        record(installation.engine, installation.vault, *made.denied)
    if made.done and not dry_run:
        ctx.tell_behind(propagation.wait(installation.engine))
    return made


def _apply_some(ctx: CommandContext, change: Callable[[OperationContext], None], *, dry_run: bool) -> None:
    if dry_run:
        rehearse(ctx, change)
        return
    with ctx.writing_one_of_many() as op:
        change(op)


def _some(waiting: deque[list[SyncStep]], made: _Progress, op: OperationContext) -> None:
    for steps in for_a_moment(waiting):
        for step in steps:
            _one(op, step, made)


def _one(op: OperationContext, step: SyncStep, made: _Progress) -> None:
    """A step that fails undoes only itself."""
    try:
        with op.step():
            _CHANGES[step.kind](op, step)
        made.done.append(step)
    except DirectoryError as error:
        made.faults.append(Problem(step.address, f"{step.kind}: {error}"))
        if isinstance(error, Denied):
            made.denied.append(error.entry)


def _suspend(op: OperationContext, step: SyncStep) -> None:
    user_operations.suspend(op, step.address)
    user_operations.link(op, step.address, step.external)


# How each kind of step is done: the one place that changes accounts.
_CHANGES: Final[Mapping[StepKind, Callable[[OperationContext, SyncStep], object]]] = {
    StepKind.CREATE: lambda op, step: user_operations.create(
        op, step.address, None, name=step.name, unit=step.unit or "/", external=step.external
    ),
    StepKind.ADOPT: lambda op, step: user_operations.link(op, step.address, step.external),
    StepKind.LINK: lambda op, step: user_operations.link(op, step.address, step.external),
    StepKind.RENAME: lambda op, step: user_operations.edit(op, step.address, name=step.name),
    StepKind.MOVE: lambda op, step: user_operations.move(op, step.address, step.unit or "/"),
    StepKind.RESUME: lambda op, step: user_operations.resume(op, step.address),
    StepKind.SUSPEND: _suspend,
}


def _report(ctx: CommandContext, planned: Plan, made: _Progress, *, dry_run: bool) -> None:
    counts = {kind.value: sum(step.kind is kind for step in made.done) for kind in StepKind}
    steps = [{"kind": step.kind.value, "address": step.address, "because": step.because} for step in made.done]
    problems = [{"subject": one.subject, "text": one.text} for one in (*planned.problems, *made.faults)]
    if not ctx.json:
        if dry_run and steps:
            table(ctx, steps, {"kind": "step", "address": "address", "because": "because"}, nothing="")
        _show_problems(ctx, problems)
    said = ", ".join(f"{kind} {count}" for kind, count in counts.items() if count) or "nothing to do"
    ending = "; nothing was changed" if dry_run else ""
    value: JsonObject = {"dry_run": dry_run, "counts": counts, "steps": steps, "problems": problems}
    tell(ctx, value, f"{said}; {len(problems)} left alone{ending}")


def _show_problems(ctx: CommandContext, problems: Sequence[dict[str, str]]) -> None:
    if problems:
        table(ctx, problems, {"subject": "left alone", "text": "because"}, nothing="")


def _entry(entry: LdapEntry) -> JsonObject:
    return {
        "address": entry.address,
        "name": entry.name,
        "ou": entry.unit,
        "disabled": entry.disabled,
        "dn": entry.dn,
    }
