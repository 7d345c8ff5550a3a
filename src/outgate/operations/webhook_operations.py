"""Operations on webhooks: endpoints of others that are told of events."""

from typing import Final

from outgate.directory.errors import NotAllowed
from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.webhooks import endpoints, taking, tries
from outgate.webhooks.endpoints import StopCause, Webhook, WebhookSecret, WebhookSettings
from outgate.webhooks.event_body import EventBody, WebhookEventType
from outgate.webhooks.posting import PostResult
from outgate.webhooks.trial import WebhookTrial
from outgate.webhooks.tries import WebhookTry


@operation("webhook.list", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def listed(op: OperationContext) -> tuple[Webhook, ...]:
    """List the webhooks, and how it stands with each."""
    return endpoints.listed(op.connection)


@operation("webhook.show", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def find(op: OperationContext, name: str) -> Webhook:
    """See how it stands with a webhook."""
    return endpoints.find(op.connection, name)


@operation("webhook.tries", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def tries_of(op: OperationContext, name: str, limit: int) -> list[WebhookTry]:
    """See what was sent to a webhook, the newest first, and what came of it."""
    return tries.listed(op.connection, endpoints.find(op.connection, name).id, limit)


@operation("webhook.add", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def add(op: OperationContext, wanted: WebhookSettings) -> tuple[Webhook, WebhookSecret]:
    """Add a webhook, whose secret is shown once; it is told of what happens from now on."""
    made, secret = endpoints.create(op.connection, op.vault, wanted, op.actor.name, op.now)
    taking.forget_suspensions(op.connection, made, op.now)
    op.note(webhook=made.name, url=made.url, types=[one.value for one in made.event_types])
    op.note(of=made.unit or made.user or "/")
    return made, secret


@operation("webhook.rotate", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def rotate(op: OperationContext, name: str) -> tuple[Webhook, WebhookSecret]:
    """Give a webhook a new secret, which is shown once; the former one signs as well for a day."""
    secret = endpoints.rotate(op.connection, op.vault, name, op.now)
    op.note(webhook=name)
    return endpoints.find(op.connection, name), secret


@operation("webhook.enable", Privilege.API_MANAGE, targets.ORGANISATION)
def enable(op: OperationContext, name: str, *, from_now: bool) -> Webhook:
    """Send a webhook's events again: all since it was stopped, or only those from now on."""
    started = endpoints.start(op.connection, name, op.now, from_now=from_now)
    if from_now:
        taking.forget_suspensions(op.connection, started, op.now)
    op.note(webhook=name, from_now=from_now)
    return started


@operation("webhook.disable", Privilege.API_MANAGE, targets.ORGANISATION)
def disable(op: OperationContext, name: str) -> Webhook:
    """Stop a webhook: nothing is sent to it any more."""
    found = endpoints.find(op.connection, name)
    if found.stopped_at is not None:
        raise NotAllowed("the webhook {name} is stopped already", name=name)
    endpoints.stop(op.connection, found.id, StopCause.ASKED, op.actor.name, op.now)
    op.note(webhook=name)
    return endpoints.find(op.connection, name)


@operation("webhook.remove", Privilege.API_MANAGE, targets.ORGANISATION)
def remove(op: OperationContext, name: str) -> Webhook:
    """Remove a webhook with all that waits for it, and its tries."""
    removed = endpoints.remove(op.connection, name)
    op.note(webhook=removed.name, url=removed.url)
    return removed


@operation("webhook.test", Privilege.API_MANAGE, targets.ORGANISATION, services=("trial",))
def tested(op: OperationContext, name: str, trial: WebhookTrial) -> WebhookTry:
    """Send a test to a webhook, and see what it answers."""
    made = tries.log_trial(op.connection, endpoints.find(op.connection, name).id, trial.body, trial.result, op.now)
    op.note(webhook=name, outcome=made.outcome.value, answer=made.reason)
    return made


def to_test(op: OperationContext, name: str) -> tuple[Webhook, list[bytes]]:
    """What a test is made of, for whoever may make one: the webhook, and what signs its events."""
    tested.require(op, name, _NOT_YET)
    return endpoints.find(op.connection, name), endpoints.secrets_of(op.connection, op.vault, name, op.now)


_NOT_YET: Final = WebhookTrial(EventBody("", WebhookEventType.TEST, ""), PostResult(None, "", 0.0))
