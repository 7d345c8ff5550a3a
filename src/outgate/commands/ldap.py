"""`outgate ldap`: users of an LDAP directory made accounts, and kept like it."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from outgate.commands.command import Here, command
from outgate.commands.output import table, tell

if TYPE_CHECKING:
    from outgate.control.operation import Act
    from outgate.ldap.client import Client
    from outgate.ldap.entries import Entry, Fault
    from outgate.ldap.sync import Plan, Problem, Step
    from outgate.record import audit

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Users and passwords from an LDAP directory (settings: ldap.*).")

BATCH: Final = 100  # steps in one transaction: others wait no longer than for these
FIRST: Final = 5  # entries that `check` shows


class DryRun(Exception):
    """Undoes a transaction."""


@command(app, example="outgate ldap check")
def check(here: Here) -> None:
    """Connect, search, and show the first users as Outgate understands them. Changes nothing."""
    from outgate.ldap.entries import Entry

    found = _search(here)
    entries = [one for one in found if isinstance(one, Entry)]
    faults = [{"subject": one.dn, "text": one.text} for one in found if not isinstance(one, Entry)]
    first = [_entry(one) for one in entries[:FIRST]]
    text = f"{len(entries)} users, {len(faults)} entries that can't be used"
    tell(here, {"users": len(entries), "faulty": len(faults), "first": first, "problems": faults}, text)
    if not here.json:
        columns = {"address": "address", "name": "name", "ou": "unit", "disabled": "disabled", "dn": "DN"}
        table(here, first, columns, nothing="nothing was found: see ldap.base and ldap.filter")
        _show_problems(here, faults[:FIRST])


@command(app, example="outgate ldap sync --dry-run\noutgate ldap sync")
def sync(
    here: Here,
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
    from outgate.control import users
    from outgate.directory.errors import NotAllowed
    from outgate.ldap.sync import Kind, plan

    found = _search(here)
    with here.looking() as act:
        planned = plan(users.list_users(act), found, adopt=adopt)
    if planned.suspends_too_many and not force:
        count = planned.count(Kind.SUSPEND)
        told = f"{count} of {planned.active} users of the directory would be suspended; nothing was changed"
        raise NotAllowed(f"{told}. If that is right: --force. If not, see ldap.base and ldap.filter")
    done, faults = _run(here, planned.steps, dry_run=dry_run)
    _report(here, planned, done, faults, dry_run=dry_run)


def _search(here: Here) -> list["Entry | Fault"]:
    from outgate.ldap import entries

    client = _client(here)
    with client.connected() as connection:
        return list(_with_progress(entries.search(connection, client.settings), "searching", None))


def _client(here: Here) -> "Client":
    from outgate.config import ConfigError

    config = here.place().config
    if not config.ldap.url:
        raise ConfigError("no LDAP directory is set: set ldap.url and ldap.base in outgate.toml; see docs/ldap.md")
    from outgate.ldap.client import Client

    return Client(config)


def _run(here: Here, steps: Sequence["Step"], *, dry_run: bool) -> tuple[list["Step"], list["Problem"]]:
    """Do the steps, or find out whether they could be done. A step that fails undoes only itself."""
    from outgate.commands import in_force
    from outgate.control.operation import record

    done: list[Step] = []
    faults: list[Problem] = []
    denied: list[audit.Entry] = []
    progress = iter(_with_progress(steps, "checking" if dry_run else "saving", len(steps)))
    place = here.place()
    while batch := list(islice(progress, BATCH)):
        with suppress(DryRun), here.acting_on_many() as act:
            for step in batch:
                _one(act, step, done, faults, denied)
            if dry_run:
                raise DryRun
    if denied:
        record(place.engine, place.vault, *denied)
    if done and not dry_run:
        in_force.wait(place.engine)
    return done, faults


def _one(act: "Act", step: "Step", done: list["Step"], faults: list["Problem"], denied: list["audit.Entry"]) -> None:
    from outgate.control.operation import Denied
    from outgate.directory.errors import DirectoryError
    from outgate.ldap.sync import Problem

    try:
        with act.connection.begin_nested():
            _changes()[step.kind](act, step)
        done.append(step)
    except DirectoryError as error:
        faults.append(Problem(step.address, f"{step.kind}: {error}"))
        if isinstance(error, Denied):
            denied.append(error.entry)


def _changes() -> "dict[str, Callable[[Act, Step], object]]":
    """How each kind of step is done: the one place that changes accounts."""
    from outgate.control import users
    from outgate.ldap.sync import Kind

    def suspend(act: "Act", step: "Step") -> None:
        users.suspend(act, step.address)
        users.link(act, step.address, step.external)

    return {
        Kind.CREATE: lambda act, step: users.create(
            act, step.address, None, name=step.name, unit=step.unit or "/", external=step.external
        ),
        Kind.ADOPT: lambda act, step: users.link(act, step.address, step.external),
        Kind.LINK: lambda act, step: users.link(act, step.address, step.external),
        Kind.RENAME: lambda act, step: users.edit(act, step.address, name=step.name),
        Kind.MOVE: lambda act, step: users.move(act, step.address, step.unit or "/"),
        Kind.RESUME: lambda act, step: users.resume(act, step.address),
        Kind.SUSPEND: suspend,
    }


def _report(here: Here, planned: "Plan", done: Sequence["Step"], faults: Sequence["Problem"], *, dry_run: bool) -> None:
    from outgate.ldap.sync import Kind

    counts = {kind.value: sum(step.kind is kind for step in done) for kind in Kind}
    steps = [{"kind": step.kind.value, "address": step.address, "because": step.because} for step in done]
    problems = [{"subject": one.subject, "text": one.text} for one in (*planned.problems, *faults)]
    if not here.json:
        if dry_run and steps:
            table(here, steps, {"kind": "step", "address": "address", "because": "because"}, nothing="")
        _show_problems(here, problems)
    said = ", ".join(f"{kind} {count}" for kind, count in counts.items() if count) or "nothing to do"
    ending = "; nothing was changed" if dry_run else ""
    value = {"dry_run": dry_run, "counts": counts, "steps": steps, "problems": problems}
    tell(here, value, f"{said}; {len(problems)} left alone{ending}")


def _show_problems(here: Here, problems: Sequence[dict[str, str]]) -> None:
    if problems:
        table(here, problems, {"subject": "left alone", "text": "because"}, nothing="")


def _entry(entry: "Entry") -> dict[str, Any]:
    return {
        "address": entry.address,
        "name": entry.name,
        "ou": entry.unit,
        "disabled": entry.disabled,
        "dn": entry.dn,
    }


def _with_progress(those: Iterable[T], doing: str, total: int | None) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(those, description=doing, total=total, console=console, disable=not sys.stderr.isatty())
