"""`outgate webhook`: endpoints of others that are told of events."""

import asyncio
from typing import Annotated

import typer

from outgate import clock, wiring
from outgate.cli.output import JsonObject, record, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.cli.status import Status
from outgate.iso_time import iso
from outgate.operations import webhook_operations
from outgate.webhooks.endpoints import BOTH_SIGN, Webhook, WebhookSecret, WebhookSettings
from outgate.webhooks.event_body import CHOICES, WebhookEventType
from outgate.webhooks.posting import TryOutcome
from outgate.webhooks.trial import trial
from outgate.webhooks.tries import WebhookTry

app = typer.Typer(
    no_args_is_help=True,
    help="Webhooks: endpoints of others that are told of what became of messages, and of gateways that are suspended.",
)

Name = Annotated[str, typer.Argument(help="The webhook's name", metavar="NAME", show_default=False)]
_TYPES = ", ".join(CHOICES)


@command(
    app,
    example="outgate webhook add tickets https://hooks.example.net/outgate\n"
    "outgate webhook add sales-bounces https://crm.example.net/bounces --type message.bounced --ou /Sales",
)
def add(
    ctx: CommandContext,
    name: Annotated[
        str, typer.Argument(help="A name: small letters, digits and hyphens", metavar="NAME", show_default=False)
    ],
    url: Annotated[str, typer.Argument(help="Where events are posted: https", metavar="URL", show_default=False)],
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help=f"{_TYPES}. Give it again for more; without it all", metavar="TYPE"),
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--ou", help="Only mail of this unit's users and of those below it", metavar="UNIT")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only mail of this user", metavar="ADDRESS")] = None,
) -> None:
    """Add a webhook. Its secret is shown once; the receiver checks with it that an event is from here.

    It is told of what happens from now on. `outgate webhook test` sends it a test.
    """
    allow_http = ctx.installation().config.webhooks.allow_http
    wanted = WebhookSettings(name, url, _types(types), unit, user, allow_http)
    with ctx.writing() as op:
        made, secret = webhook_operations.add(op, wanted)
    _tell_secret(ctx, made, secret, f"added the webhook {made.name}")


@command(app, name="list", example="outgate webhook list")
def list_(ctx: CommandContext) -> None:
    """List the webhooks, and how it stands with each."""
    with ctx.reading() as op:
        rows = [_row(one) for one in webhook_operations.listed(op)]
    columns = {"name": "name", "url": "URL", "types": "types", "of": "of", "state": "state", "waiting": "waiting"}
    table(ctx, rows, columns, nothing="there are no webhooks", whole=("name",))


@command(app, example="outgate webhook show tickets")
def show(ctx: CommandContext, name: Name) -> None:
    """Show all there is to know of a webhook but its secret."""
    with ctx.reading() as op:
        found = webhook_operations.find(op, name)
    record(ctx, _row(found))


@command(app, example="outgate webhook test tickets")
def test(ctx: CommandContext, name: Name) -> None:
    """Send a test event now, and say what the endpoint answers."""
    with ctx.reading() as op:
        found, keys = webhook_operations.to_test(op, name)
    made = asyncio.run(trial(wiring.webhook_client(ctx.installation().config), found, keys, clock.now))
    with ctx.writing_one_of_many() as op:
        noted = webhook_operations.tested(op, name, made)
    is_delivered = noted.outcome is TryOutcome.DELIVERED
    text = "the endpoint has taken it" if is_delivered else "the endpoint has not taken it"
    tell(ctx, _try_row(noted), f"{text}: {noted.reason}, after {noted.seconds:.1f} s")
    if not is_delivered:
        raise typer.Exit(Status.CHECK_FAILED)


@command(app, example="outgate webhook rotate tickets")
def rotate(ctx: CommandContext, name: Name) -> None:
    """Make a new secret and show it once. For a day each event is signed with both: no receiver is in a hurry."""
    with ctx.writing() as op:
        found, secret = webhook_operations.rotate(op, name)
    hours = round(BOTH_SIGN / 3600)
    _tell_secret(ctx, found, secret, f"{found.name} has a new secret; the former one signs as well for {hours} hours")


@command(app, example="outgate webhook enable tickets\noutgate webhook enable tickets --from-now")
def enable(
    ctx: CommandContext,
    name: Name,
    from_now: Annotated[
        bool, typer.Option("--from-now", help="Leave out what has happened since it was stopped, and what waits")
    ] = False,
) -> None:
    """Send events again, all that have happened since it was stopped and that the record still has."""
    with ctx.writing() as op:
        found = webhook_operations.enable(op, name, from_now=from_now)
    tell(ctx, _row(found), f"events are sent to {found.name} again{ctx.only_with_server()}")


@command(app, example="outgate webhook disable tickets")
def disable(ctx: CommandContext, name: Name) -> None:
    """Send nothing more, until `outgate webhook enable`."""
    with ctx.writing() as op:
        found = webhook_operations.disable(op, name)
    tell(ctx, _row(found), f"nothing is sent to {found.name} any more\nundo: outgate webhook enable {found.name}")


@command(app, example="outgate webhook remove tickets")
def remove(ctx: CommandContext, name: Name) -> None:
    """Remove a webhook with all that waits for it, and its tries."""
    with ctx.writing() as op:
        removed = webhook_operations.remove(op, name)
    tell(ctx, _row(removed), f"removed the webhook {removed.name}")


@command(app, name="tries", example="outgate webhook tries tickets")
def tries_(
    ctx: CommandContext,
    name: Name,
    limit: Annotated[int, typer.Option("--limit", help="At most so many", min=1, max=500)] = 50,
) -> None:
    """Show what was sent to a webhook, the newest first, and what came of it. The last 500 of 30 days are kept."""
    with ctx.reading() as op:
        rows = [_try_row(one) for one in webhook_operations.tries_of(op, name, limit)]
    columns = {
        "at": "at",
        "event": "event",
        "type": "type",
        "attempt": "attempt",
        "outcome": "outcome",
        "reason": "answer",
        "next_at": "tried again",
    }
    table(ctx, rows, columns, nothing=f"nothing was sent to {name} yet")


def _types(texts: list[str] | None) -> tuple[WebhookEventType, ...]:
    if not texts:
        return CHOICES
    if unknown := [one for one in texts if one not in CHOICES]:
        raise typer.BadParameter(f"'{unknown[0]}' is not a type of event; these are: {_TYPES}")
    return tuple(WebhookEventType(one) for one in texts)


def _tell_secret(ctx: CommandContext, webhook: Webhook, secret: WebhookSecret, text: str) -> None:
    tell(
        ctx,
        _row(webhook) | {"secret": secret.text},
        f"{text}\nits secret, for the receiver; it is not shown again:\n{secret.text}",
    )


def _row(webhook: Webhook) -> JsonObject:
    return {
        "name": webhook.name,
        "url": webhook.url,
        "types": [one.value for one in webhook.event_types],
        "of": webhook.unit or webhook.user or "/",
        "state": webhook.state,
        "waiting": webhook.waiting,
        "failing_since": iso(webhook.failing_since),
        "stopped_at": iso(webhook.stopped_at),
        "stopped_because": str(webhook.stopped) if webhook.stopped else None,
        "former_secret_until": iso(webhook.former_until),
        "author": webhook.author,
        "created_at": iso(webhook.created_at),
    }


def _try_row(one: WebhookTry) -> JsonObject:
    return {
        "at": iso(one.at),
        "event": one.event_id,
        "type": one.event_type.value,
        "attempt": one.attempt,
        "outcome": one.outcome.value,
        "status": one.status,
        "reason": one.reason,
        "seconds": round(one.seconds, 3),
        "next_at": iso(one.next_at),
    }
