"""`outgate ldap`: users of an LDAP directory made accounts, and kept like it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
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
from outgate.operations.context import Denied, OperationContext, record
from outgate.record.audit_trail import AuditEntry

app = typer.Typer(no_args_is_help=True, help="Users and passwords from an LDAP directory (settings: ldap.*).")

BATCH: Final = 100  # steps in one transaction: others wait no longer than for these
FIRST: Final = 5  # entries that `check` shows


class LdapDryRun(Exception):
    """Undoes a transaction."""


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
    done, faults = _run(ctx, planned.steps, dry_run=dry_run)
    _report(ctx, planned, done, faults, dry_run=dry_run)


def _search(ctx: CommandContext) -> list[LdapEntry | Fault]:
    client = _client(ctx)
    with client.connected() as connection:
        return list(with_progress(entries.search(connection, client.settings), "searching", None))


def _client(ctx: CommandContext) -> LdapClient:
    config = ctx.installation().config
    if not config.ldap.url:
        raise ConfigError("no LDAP directory is set: set ldap.url and ldap.base in outgate.toml; see docs/ldap.md")
    return LdapClient(config)


def _run(ctx: CommandContext, steps: Sequence[SyncStep], *, dry_run: bool) -> tuple[list[SyncStep], list[Problem]]:
    """Do the steps, or find out whether they could be done. A step that fails undoes only itself."""
    done: list[SyncStep] = []
    faults: list[Problem] = []
    denied: list[AuditEntry] = []
    progress = iter(with_progress(steps, "checking" if dry_run else "saving", len(steps)))
    installation = ctx.installation()
    while batch := list(islice(progress, BATCH)):
        with suppress(LdapDryRun), ctx.writing_one_of_many() as op:
            for step in batch:
                _one(op, step, done, faults, denied)
            if dry_run:
                raise LdapDryRun
    if denied:
        record(installation.engine, installation.vault, *denied)
    if done and not dry_run:
        ctx.tell_behind(propagation.wait(installation.engine))
    return done, faults


def _one(
    op: OperationContext,
    step: SyncStep,
    done: list[SyncStep],
    faults: list[Problem],
    denied: list[AuditEntry],
) -> None:
    try:
        with op.step():
            _CHANGES[step.kind](op, step)
        done.append(step)
    except DirectoryError as error:
        faults.append(Problem(step.address, f"{step.kind}: {error}"))
        if isinstance(error, Denied):
            denied.append(error.entry)


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


def _report(
    ctx: CommandContext, planned: Plan, done: Sequence[SyncStep], faults: Sequence[Problem], *, dry_run: bool
) -> None:
    counts = {kind.value: sum(step.kind is kind for step in done) for kind in StepKind}
    steps = [{"kind": step.kind.value, "address": step.address, "because": step.because} for step in done]
    problems = [{"subject": one.subject, "text": one.text} for one in (*planned.problems, *faults)]
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
