"""`outgate gateway rules`: the rules that read replies, what they make of one, and rules of one's own."""

from typing import Annotated

import typer

from outgate import wiring
from outgate.cli.output import JsonObject, plain, table, tell, to_the_second
from outgate.cli.shell import CommandContext, command
from outgate.commands.restriction_options import For, Reason, seconds_of
from outgate.directory.own_rules import OwnRule
from outgate.directory.reply_rules import ReplyRule, RuleAction
from outgate.iso_time import iso
from outgate.operations import reply_rule_operations
from outgate.operations.reply_rule_operations import RuleSettings, RuleShown

app = typer.Typer(
    no_args_is_help=True, help="Rules that read replies: what a provider means, and what follows from it."
)

Name = Annotated[str, typer.Argument(help="A name for the rule, as in partner-busy", metavar="NAME")]
Host = Annotated[str, typer.Option("--host", help="The server's name; else only rules for all servers")]


@command(app, name="list", example="outgate gateway rules list")
def list_(ctx: CommandContext) -> None:
    """List the rules in their order: your own, those of `delivery.reply_rules`, then those that come with Outgate."""
    installed = wiring.reply_rules_of(ctx.installation().config)
    with ctx.reading() as op:
        rules = reply_rule_operations.listed(op, installed)
    columns = {"name": "rule", "hosts": "of", "action": "action", "meaning": "meaning", "author": "by"}
    table(ctx, [_row(one) for one in rules], columns, nothing="there are no rules", whole=("name",))


@command(
    app,
    name="test",
    example="outgate gateway rules test '550 5.4.5 Daily user sending limit exceeded' --host smtp.gmail.com",
)
def read_by(
    ctx: CommandContext,
    reply: Annotated[str, typer.Argument(help="What a server said, as in the log", metavar="REPLY")],
    host: Host = "",
) -> None:
    """Say which rule reads a reply, and what follows from it."""
    installed = wiring.reply_rules_of(ctx.installation().config)
    with ctx.reading() as op:
        found = reply_rule_operations.reading(op, installed, reply, host)
    if found is None:
        tell(ctx, {"rule": None}, "no rule reads this: 4xx is tried again, 5xx is returned")
        return
    rule = found.rule
    tell(ctx, {"rule": _row(found)}, f"{rule.name}: {_follows(rule)}\n{plain(rule.meaning)}")


@command(
    app,
    name="add",
    example="outgate gateway rules add partner-busy '450 * server busy' --action slow-down --rate 60/hour --lasts 2h"
    ' --host dominiopartner.example --reason "agreed with them" --for 3d',
)
def add(
    ctx: CommandContext,
    name: Name,
    words: Annotated[
        str, typer.Argument(help="What is in the reply, in this order; * is anything between", metavar="WORDS")
    ],
    action: Annotated[RuleAction, typer.Option("--action", help="What follows", show_default=False)],
    reason: Reason,
    lasts: Annotated[
        str | None, typer.Option("--lasts", help="How long that holds, as in 30m, 2h or 3d", show_default=False)
    ] = None,
    rate: Annotated[
        str, typer.Option("--rate", help="With slow-down: at most so many messages, as in 60/hour", show_default=False)
    ] = "",
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="Ending of the servers' names; else of all servers", show_default=False),
    ] = None,
    for_: For = None,
) -> None:
    """Add a rule of your own. It is asked before those of files, and holds for a time (`--for`) or until removed."""
    wanted = RuleSettings(name, words, action, reason, tuple(host or ()), seconds_of(lasts) or 0.0, rate)
    installed = wiring.reply_rules_of(ctx.installation().config)
    with ctx.writing() as op:
        made = reply_rule_operations.add(op, installed, wanted, seconds_of(for_))
    tell(
        ctx,
        {"rule": _row(RuleShown(made.rule, made))},
        f"{name}: {_follows(made.rule)}{_until(made)}\nundo: outgate gateway rules remove {name}",
    )


@command(app, name="remove", example="outgate gateway rules remove partner-busy")
def remove(ctx: CommandContext, name: Name) -> None:
    """Remove a rule of your own. What it has suspended or slowed down stays so until its end, or until `resume`."""
    with ctx.writing() as op:
        removed = reply_rule_operations.remove(op, name)
    tell(
        ctx,
        {"removed": _row(RuleShown(removed.rule, removed))},
        f"removed: {name} (it was made by {plain(removed.author)}: {plain(removed.rule.meaning)})",
    )


def _follows(rule: ReplyRule) -> str:
    seconds = f"{rule.seconds:g} seconds"
    return {
        "suspend": f"the gateway is suspended for {seconds}; its mail waits",
        "slow-down": f"at most {rule.rate} for {seconds}; the message waits",
        "wait": f"the message is tried again after {seconds}",
        "give-up": "the message is returned at once",
    }[rule.action.value]


def _until(own: OwnRule) -> str:
    return "" if own.until is None else f"; until {to_the_second(iso(own.until))}"


def _row(one: RuleShown) -> JsonObject:
    rule, own = one.rule, one.own
    return {
        "name": rule.name,
        "hosts": list(rule.hosts),
        "pattern": rule.pattern,
        "words": own.words if own else None,
        "action": rule.action.value,
        "rate": rule.rate or None,
        "seconds": rule.seconds,
        "meaning": rule.meaning,
        "author": own.author if own else None,
        "since": iso(own.since) if own else None,
        "until": iso(own.until) if own and own.until is not None else None,
    }
