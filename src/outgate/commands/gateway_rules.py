"""`outgate gateway rules`: the rules that read replies, and what they make of one."""

from typing import Annotated

import typer

from outgate import wiring
from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.deliver.reply_rules import ReplyRule

app = typer.Typer(
    no_args_is_help=True, help="Rules that read replies: what a provider means, and what follows from it."
)


@command(app, name="list", example="outgate gateway rules list")
def list_(ctx: CommandContext) -> None:
    """List the rules in their order: those of `delivery.reply_rules`, then those that come with Outgate."""
    rules = wiring.reply_rules_of(ctx.installation().config).all
    columns = {"name": "rule", "hosts": "of", "action": "action", "meaning": "meaning"}
    table(ctx, [_row(rule) for rule in rules], columns, nothing="there are no rules", whole=("name",))


@command(
    app,
    name="test",
    example="outgate gateway rules test '550 5.4.5 Daily user sending limit exceeded' --host smtp.gmail.com",
)
def read_by(
    ctx: CommandContext,
    reply: Annotated[str, typer.Argument(help="What a server said, as in the log", metavar="REPLY")],
    host: Annotated[str, typer.Option("--host", help="The server's name; else only rules for all servers")] = "",
) -> None:
    """Say which rule reads a reply, and what follows from it."""
    rule = wiring.reply_rules_of(ctx.installation().config).find(host, reply)
    if rule is None:
        tell(ctx, {"rule": None}, "no rule reads this: 4xx is tried again, 5xx is returned")
        return
    tell(ctx, {"rule": _row(rule)}, f"{rule.name}: {_follows(rule)}\n{rule.meaning}")


def _follows(rule: ReplyRule) -> str:
    seconds = f"{rule.seconds:g} seconds"
    return {
        "suspend": f"the gateway is suspended for {seconds}; its mail waits",
        "slow-down": f"at most {rule.rate} for {seconds}; the message waits",
        "wait": f"the message is tried again after {seconds}",
        "give-up": "the message is returned at once",
    }[rule.action.value]


def _row(rule: ReplyRule) -> JsonObject:
    return {
        "name": rule.name,
        "hosts": list(rule.hosts),
        "pattern": rule.pattern,
        "action": rule.action.value,
        "rate": rule.rate or None,
        "seconds": rule.seconds,
        "meaning": rule.meaning,
    }
