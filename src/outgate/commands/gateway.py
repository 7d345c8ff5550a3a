"""`outgate gateway`: how it stands with gateways, and suspending, resuming and limiting them."""

import shlex
from typing import Annotated

import typer

from outgate.cli.output import JsonObject, plain, tell, to_the_second
from outgate.cli.shell import CommandContext, command
from outgate.commands.restriction_options import (
    Connections,
    For,
    RateLimits,
    Reason,
    Unlimited,
    ceiling_words,
    indented,
    restriction_lines,
    restriction_row,
    seconds_of,
)
from outgate.iso_time import iso
from outgate.model import Cause
from outgate.operations import gateway_overview, restriction_operations
from outgate.operations.gateway_overview import GatewayState
from outgate.operations.resources import gateway_row
from outgate.operations.restriction_operations import Ceiling

app = typer.Typer(no_args_is_help=True, help="How it stands with gateways; suspend, resume and limit them.")

Name = Annotated[
    str,
    typer.Argument(
        help="As in `gateway list` (gateway:3, domain-gateway), a From address, or a host: then all gateways there",
        metavar="GATEWAY",
    ),
]


@command(app, name="list", example="outgate gateway list\noutgate gateway list --all")
def list_(
    ctx: CommandContext,
    everything: Annotated[bool, typer.Option("--all", help="Those as well of which there is nothing to say")] = False,
) -> None:
    """Say how it stands with the gateways: those that are suspended, slowed down or failing, or where mail waits."""
    with ctx.reading() as op:
        found = gateway_overview.states(op, "")
    shown = [one for one in found if everything or one.state != "works" or one.waits.recipients]
    paragraphs = [_summary(found), *(_paragraph(one) for one in shown)]
    tell(ctx, [_row(one) for one in (found if everything else shown)], "\n\n".join(paragraphs))


@command(app, example="outgate gateway show gateway:1\noutgate gateway show smtp.dominiopartner.example")
def show(ctx: CommandContext, gateway: Name) -> None:
    """Say how it stands with one gateway, or with all at a host."""
    with ctx.reading() as op:
        gateway_overview.gateway_queues(op, gateway)
        found = gateway_overview.states(op, gateway)
    tell(ctx, [_row(one) for one in found], "\n\n".join(_paragraph(one) for one in found))


@command(
    app,
    example='outgate gateway suspend gateway:1 --reason "maintenance there" --for 2h\n'
    "outgate gateway suspend smtp.dominiopartner.example",
)
def suspend(ctx: CommandContext, gateway: Name, reason: Reason = "none was given", for_: For = None) -> None:
    """Let nothing go by a gateway: its mail waits. What is being handed over is broken off, if it still can be."""
    with ctx.writing() as op:
        queues = gateway_overview.gateway_queues(op, gateway)
        restriction_operations.suspend(op, queues, reason, seconds_of(for_))
    names = " ".join(map(str, queues))
    tell(
        ctx, {"suspended": [str(one) for one in queues]}, f"suspended: {names}\nundo: outgate gateway resume {gateway}"
    )


@command(app, example="outgate gateway resume gateway:1")
def resume(ctx: CommandContext, gateway: Name) -> None:
    """Let a suspended gateway go on, whoever suspended it, and try at once what waits."""
    with ctx.writing() as op:
        ended = restriction_operations.resume(op, gateway_overview.gateway_queues(op, gateway))
    lines = [f"resumed: {queue} (it was suspended by {one.author}: {one.reason})" for queue, one in ended]
    text = "\n".join(lines) or f"nothing of {gateway} was suspended"
    tell(ctx, {"resumed": [str(queue) for queue, _ in ended]}, text + ctx.only_with_server())


@command(
    app,
    example="outgate gateway limit gateway:1 --rate 300/hour --connections 2\noutgate gateway limit gateway:1 --none",
)
def limit(
    ctx: CommandContext,
    gateway: Name,
    rate: RateLimits = None,
    connections: Connections = None,
    none: Unlimited = False,
    reason: Reason = "limit of this gateway",
) -> None:
    """Give a gateway a ceiling of messages by time and of connections, which holds over all nodes; or take it away."""
    ceiling = None if none else Ceiling(connections, tuple(rate or ()))
    with ctx.writing() as op:
        queues = gateway_overview.gateway_queues(op, gateway)
        restriction_operations.limit(op, queues, ceiling, reason)
    told = "no ceiling" if ceiling is None else ceiling_words(ceiling)
    names = " ".join(map(str, queues))
    tell(ctx, {"queues": [str(one) for one in queues], "limited": ceiling is not None}, f"{names}: {told}")


def _summary(found: list[GatewayState]) -> str:
    """One line, with what matters first."""
    counted = {state: sum(one.state == state for one in found) for state in ("suspended", "failing", "slowed")}
    waits = sum(one.waits.recipients for one in found)
    parts = [f"{number} {state}" for state, number in counted.items() if number]
    gateways = f"{len(found)} gateway{'' if len(found) == 1 else 's'}"
    return f"{gateways}: {', '.join(parts) or 'all work'}; {waits or 'no'} recipient{'' if waits == 1 else 's'} wait."


def _paragraph(one: GatewayState) -> str:
    head = f"{one.queue}  {plain(one.gateway.in_short)}  {one.state.upper()}"
    lines = [f"The {one.owned.in_words}."] if one.owned else []
    lines.append(_waits(one))
    for each in one.restrictions:
        undo = f"outgate gateway {'limit' if each.cause is Cause.LIMIT else 'resume'} {one.queue}"
        lines += restriction_lines(each, undo + (" --none" if each.cause is Cause.LIMIT else ""))
        if each.cause is Cause.LOG_IN:
            lines.append(f"To mend it: {_mend(one)}")
    if one.trouble and not one.suspension:
        attempts = f"{one.trouble.attempts} attempt{'' if one.trouble.attempts == 1 else 's'}"
        lines.append(f"After {attempts} it says: {plain(one.trouble.last_reply)}")
        lines.append(f"Tried again at {_time(one.trouble.next_attempt)}.")
    return f"{head}\n{indented(lines)}"


def _mend(one: GatewayState) -> str:
    if one.owned is None:
        return f"outgate domain-gateway set {one.gateway.host} --port {one.gateway.port} ..."
    return plain(shlex.join(one.owned.repair))


def _waits(one: GatewayState) -> str:
    waits = one.waits
    if not waits.recipients or waits.oldest is None:
        return "Nothing waits."
    number = "1 recipient waits" if waits.recipients == 1 else f"{waits.recipients} recipients wait"
    held = f"; {waits.held} of them held" if waits.held else ""
    return f"{number}, the oldest since {_time(waits.oldest)}{held}."


def _time(at: float) -> str:
    return to_the_second(iso(at))[:16] + " UTC"


def _row(one: GatewayState) -> JsonObject:
    trouble, oldest = one.trouble, one.waits.oldest
    return {
        "queue": str(one.queue),
        "gateway": gateway_row(one.gateway),
        "account": (one.owned.account or None) if one.owned else None,
        "ou": (one.owned.unit or None) if one.owned else None,
        "address": one.owned.address if one.owned else None,
        "state": one.state,
        "recipients": one.waits.recipients,
        "held": one.waits.held,
        "oldest": None if oldest is None else iso(oldest),
        "last_reply": trouble.last_reply if trouble else None,
        "next_attempt": iso(trouble.next_attempt) if trouble else None,
        "ceilings": [ceiling_words(each) for each in one.restrictions if not each.suspends],
        "restrictions": [restriction_row(one.queue, each) for each in one.restrictions],
    }
