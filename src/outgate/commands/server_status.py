"""`outgate status`: how it stands, on one screen, with an exit status for scripts."""

from importlib.metadata import version

import typer

from outgate import clock
from outgate.accept import tls
from outgate.cli.output import JsonObject, plain, tell, to_the_second
from outgate.cli.shell import CommandContext, command
from outgate.cli.status import Status
from outgate.installation import server_runs
from outgate.iso_time import iso
from outgate.operations import status_operations
from outgate.operations.status_operations import State
from outgate.queue.census import Trouble

app = typer.Typer()

_DAY = 86400.0


@command(app, example="outgate status\noutgate --json status")
def status(ctx: CommandContext) -> None:
    """Say how it stands: server, version, queue and its oldest, gateways that fail, the certificate's end, nodes.

    Works with the server down, and says so. The exit status is 8 if something is wrong, which is named.
    """
    config = ctx.installation().config
    with ctx.reading() as op:
        found = status_operations.state(op)
    ends, ending = _certificate(ctx)
    running = server_runs(config.data)
    down = [] if running else [_DOWN]
    problems = [
        *down,
        *ending,
        *_wedged(found, clock.now()),
        *_drained(found),
        *_stopped(found),
        *(_told(found, trouble) for trouble in found.census.troubles),
    ]
    value: JsonObject = {
        "version": version("outgate"),
        "data": str(config.data),
        "hostname": config.hostname,
        "server": "running" if running else "not running",
        "waiting": found.census.recipients,
        "oldest": iso(found.census.oldest) if found.census.oldest else None,
        "certificate_ends": iso(ends) if ends else None,
        "nodes": _nodes(found),
        "problems": problems,
    }
    tell(ctx, value, _text(value, found, problems))
    if problems:
        raise typer.Exit(Status.CHECK_FAILED)


_DOWN = (
    "no server runs on this data directory: nothing is taken and nothing leaves; start it with:"
    " systemctl start outgate, or outgate serve"
)
_RELOAD = "systemctl reload outgate (or send the server SIGHUP)"


def _certificate(ctx: CommandContext) -> tuple[float | None, list[str]]:
    """When it ends, and what is wrong with it."""
    config = ctx.installation().config
    chain = config.path(config.submission.certificate)
    try:
        ends = tls.facts_of(chain).ends
    except tls.CertificateError as error:
        return None, [str(error)]
    left = ends - clock.now()
    if left <= 0:
        return ends, [f"the certificate {chain} has expired: put a new one there, then: {_RELOAD}"]
    if left < tls.SOON:
        days = int(left // _DAY)
        return ends, [f"the certificate {chain} ends in {days} days: renew it, then: {_RELOAD}"]
    return ends, []


def _wedged(found: State, now: float) -> list[str]:
    """What watchdogs told of today: each time is a fault of this program, or of what it stands on."""
    return [
        f"node {node.name.rstrip(';')} had to break off {'a task' if node.wedged == 1 else f'{node.wedged} tasks'} that"
        f" made no step (or to wait for a commit), the last {to_the_second(iso(node.wedged_at))}; its mail is tried"
        " again; what it was is in the log: no step for longer than all deadlines"
        for node in found.nodes
        if node.wedged and now - node.wedged_at < _DAY
    ]


def _drained(found: State) -> list[str]:
    return [
        f"node {node} takes nothing new: it was drained by {plain(one.author)}, {to_the_second(iso(one.since))}; undo:"
        f" outgate node resume {node}"
        for node, one in found.drained.items()
    ]


def _stopped(found: State) -> list[str]:
    return [
        f"the webhook {one.name} is stopped: {plain(str(one.stopped))}; when it is mended: outgate webhook enable"
        f" {one.name}"
        for one in found.stopped
    ]


def _nodes(found: State) -> list[dict[str, str]]:
    return [{"name": node.name.rstrip(";"), "seen_at": iso(node.seen_at)} for node in found.nodes]


def _told(found: State, trouble: Trouble) -> str:
    name, said = plain(found.names[trouble.queue]), plain(trouble.last_reply)
    if owned := found.gateways.get(trouble.queue):
        name += f", the {owned.in_words}"
    attempts = "1 attempt" if trouble.attempts == 1 else f"{trouble.attempts} attempts"
    return f"mail waits for {name}, after {attempts}, next {to_the_second(iso(trouble.next_attempt))}: {said}"


def _text(value: JsonObject, found: State, problems: list[str]) -> str:
    times = {key: to_the_second(at) for key in ("oldest", "certificate_ends") if (at := value[key])}
    nodes = "; ".join(f"{node['name']}, seen {to_the_second(node['seen_at'])}" for node in _nodes(found))
    shown = value | times | {"nodes": nodes}
    lines = [f"{key.replace('_', ' '):16}  {plain(each)}" for key, each in shown.items() if key != "problems"]
    return "\n".join([*lines, *(f"problem           {one}" for one in problems)])
