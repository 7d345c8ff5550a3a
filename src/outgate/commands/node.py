"""`outgate node`: the servers of an installation, and draining one."""

import time
from typing import Annotated, Final

import typer

from outgate.cli.output import JsonObject, table, tell, to_the_second
from outgate.cli.shell import CommandContext, command
from outgate.directory.errors import Invalid
from outgate.iso_time import iso
from outgate.node_id import node_id
from outgate.operations import node_operations
from outgate.operations.node_operations import NodeStanding

_PAUSE: Final = 0.2  # seconds between two looks

app = typer.Typer(no_args_is_help=True, help="The servers of this installation: which there are, and draining one.")

NodeId = Annotated[
    str | None,
    typer.Argument(help="Id, as `outgate node list` has it; else that of this data directory", metavar="[ID]"),
]


@command(app, name="list", example="outgate node list")
def list_(ctx: CommandContext) -> None:
    """List the servers that were heard of lately and those that are drained, with what each still has."""
    with ctx.reading() as op:
        rows = [_row(one) for one in node_operations.listed(op)]
    if not ctx.json:
        rows = [row | {"seen_at": to_the_second(row["seen_at"] or "")} for row in rows]
    columns = {"node": "id", "processes": "processes", "seen_at": "seen", "recipients": "recipients", "state": "state"}
    table(ctx, rows, columns, nothing="no server runs", whole=("node",))


@command(app, example="outgate node drain\noutgate node drain --wait")
def drain(
    ctx: CommandContext,
    node: NodeId = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return only when it has finished what it had")] = False,
) -> None:
    """Let a server take nothing new: no connections of mail programs, no mail that waits. What it has it finishes.

    It stays so over restarts, until `outgate node resume`. Its pages go on.
    """
    which = _which(ctx, node)
    with ctx.writing() as op:
        node_operations.drain(op, which)
    standing = _standing(ctx, which)
    while wait and not standing.is_empty:
        time.sleep(_PAUSE)
        standing = _standing(ctx, which)
    state = "empty" if standing.is_empty else f"it still has {standing.held} recipients: outgate node list"
    undo = "outgate node resume" + (f" {node}" if node else "")
    tell(ctx, {"node": which, "recipients": standing.held}, f"drained: {which}; {state}\nundo: {undo}")


@command(app, example="outgate node resume")
def resume(ctx: CommandContext, node: NodeId = None) -> None:
    """Let a drained server take mail again."""
    which = _which(ctx, node)
    with ctx.writing() as op:
        node_operations.resume(op, which)
    tell(ctx, {"node": which}, f"takes mail again: {which}")


def _which(ctx: CommandContext, node: str | None) -> str:
    if node is None:
        return node_id(ctx.installation().config.data)
    with ctx.reading() as op:
        known = [one.node for one in node_operations.listed(op)]
    if node not in known:
        raise Invalid(f"there is no node {node}; there are: {', '.join(known) or 'none that runs'}")
    return node


def _standing(ctx: CommandContext, node: str) -> NodeStanding:
    """Of a node that is drained. Raises Invalid for one that is not any more."""
    with ctx.reading() as op:
        found = next((one for one in node_operations.listed(op) if one.node == node), None)
    if found is None or found.drained is None:
        raise Invalid(f"node {node} is not drained any more: somebody has let it take mail again meanwhile")
    return found


def _row(one: NodeStanding) -> JsonObject:
    left = "drained, empty" if one.is_empty else "drained, finishes what it has"
    return {
        "node": one.node,
        "processes": [each.name.partition("@")[2].rstrip(";") for each in one.processes],
        "seen_at": iso(max(each.seen_at for each in one.processes)) if one.processes else None,
        "recipients": one.held,
        "state": left if one.drained else "",
        "drained_by": one.drained.author if one.drained else None,
        "drained_since": iso(one.drained.since) if one.drained else None,
    }
