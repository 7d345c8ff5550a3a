"""Outgate's own API: webhooks, the endpoints of others that are told of events, and what was sent to each."""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.own_method import LIMIT, limit_of, own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.iso_time import iso
from outgate.operations import webhook_operations
from outgate.webhooks.endpoints import Webhook, WebhookSettings
from outgate.webhooks.event_body import CHOICES, WebhookEventType
from outgate.webhooks.posting import TryOutcome
from outgate.webhooks.trial import trial
from outgate.webhooks.tries import WebhookTry

NAME: Final = ApiParameter("name", "The webhook's name.")
_URL: Final = "https://hooks.example.net/outgate"


class WebhookResource(Resource):
    """A webhook, and how it stands with it."""

    name: str = Field(description="Its name.", examples=["tickets"])
    url: str = Field(description="Where events are posted.", examples=[_URL])
    types: list[WebhookEventType] = Field(description="Of which events it is told.", examples=[["message.bounced"]])
    unit: str | None = Field(None, description="The unit whose users' mail it is told of, if not of all.")
    user: str | None = Field(None, description="The user whose mail it is told of, if not of all.")
    state: str = Field(description="`on`, `failing` or `stopped`.", examples=["on"])
    waiting: int = Field(description="How many events wait for it.", examples=[0])
    failing_since: str | None = Field(None, description="Since when nothing works, if nothing does.")
    stopped_at: str | None = Field(None, description="When it was stopped, if it was.")
    stopped_because: str | None = Field(None, description="Why it was stopped.")
    former_secret_until: str | None = Field(None, description="Until when the former secret signs as well.")
    author: str = Field(description="Who has added it.", examples=["anna@example.com"])
    created_at: str | None = Field(description="When.", examples=[MOMENT])

    @classmethod
    def of(cls, one: Webhook) -> "WebhookResource":
        """As it stands."""
        return cls(**_fields(one))


class WebhookWithSecret(WebhookResource):
    """A webhook with a new secret, which is shown this once."""

    secret: str = Field(description="What its receiver checks signatures with.", examples=["whsec_…"])


class WebhookList(Resource):
    """All webhooks."""

    items: list[WebhookResource] = Field(description="The webhooks.")


class NewWebhook(Resource):
    """A webhook, to be added."""

    name: str = Field(description="Small letters, digits and hyphens.", examples=["tickets"])
    url: str = Field(description="Where events are to be posted.", examples=[_URL])
    types: list[WebhookEventType] = Field(
        list(CHOICES), max_length=len(CHOICES), description="Of which events; left out: of all."
    )
    unit: str | None = Field(None, description="Only mail of this unit's users and of those below it.")
    user: str | None = Field(None, description="Only mail of this user.")


class WebhookStart(Resource):
    """How a webhook begins again."""

    from_now: bool = Field(
        False, description="Leave out what has happened since it was stopped, and what waits.", examples=[False]
    )


class WebhookTryResource(Resource):
    """What came of a try to send an event."""

    event: str = Field(description="The event's id.", examples=["evt-1"])
    type: WebhookEventType = Field(description="Its type.", examples=["message.bounced"])
    at: str | None = Field(description="When.", examples=[MOMENT])
    attempt: int = Field(description="Which try it was.", examples=[1])
    outcome: TryOutcome = Field(description="What came of it.", examples=["delivered"])
    status: int | None = Field(None, description="The status that was answered.", examples=[204])
    reason: str = Field(description="What was answered, or why nothing was.", examples=["204 No Content"])
    seconds: float = Field(description="How long it took.", examples=[0.2])
    next_at: str | None = Field(None, description="When it is tried again, if it is.")

    @classmethod
    def of(cls, one: WebhookTry) -> "WebhookTryResource":
        """As it is on record."""
        return cls(
            event=one.event_id,
            type=one.event_type,
            at=iso(one.at),
            attempt=one.attempt,
            outcome=one.outcome,
            status=one.status,
            reason=one.reason,
            seconds=round(one.seconds, 3),
            next_at=iso(one.next_at),
        )


class WebhookTries(Resource):
    """What was sent to a webhook, the newest first."""

    items: list[WebhookTryResource] = Field(description="The tries.")


def _fields(one: Webhook) -> dict[str, object]:
    return {
        "name": one.name,
        "url": one.url,
        "types": list(one.event_types),
        "unit": one.unit,
        "user": one.user,
        "state": one.state,
        "waiting": one.waiting,
        "failing_since": iso(one.failing_since),
        "stopped_at": iso(one.stopped_at),
        "stopped_because": str(one.stopped) if one.stopped else None,
        "former_secret_until": iso(one.former_until),
        "author": one.author,
        "created_at": iso(one.created_at),
    }


def listed(call: ApiCall) -> WebhookList:
    """All of them."""
    with call.reading() as op:
        return WebhookList(items=[WebhookResource.of(one) for one in webhook_operations.listed(op)])


def show(call: ApiCall) -> WebhookResource:
    """One."""
    with call.reading() as op:
        return WebhookResource.of(webhook_operations.find(op, call.parameters["name"]))


def add(call: ApiCall) -> WebhookWithSecret:
    """One more."""
    sent = call.resource(NewWebhook)
    allow_http = call.services.config.webhooks.allow_http
    wanted = WebhookSettings(sent.name, sent.url, tuple(sent.types), sent.unit, sent.user, allow_http)
    with call.writing() as op:
        made, secret = webhook_operations.add(op, wanted)
    return WebhookWithSecret(**_fields(made), secret=secret.text)


def rotate(call: ApiCall) -> WebhookWithSecret:
    """Its secret."""
    with call.writing() as op:
        found, secret = webhook_operations.rotate(op, call.parameters["name"])
    return WebhookWithSecret(**_fields(found), secret=secret.text)


def start(call: ApiCall) -> WebhookResource:
    """Again."""
    from_now = call.resource(WebhookStart).from_now
    with call.writing() as op:
        return WebhookResource.of(webhook_operations.enable(op, call.parameters["name"], from_now=from_now))


def stop(call: ApiCall) -> WebhookResource:
    """Until it is started."""
    with call.writing() as op:
        return WebhookResource.of(webhook_operations.disable(op, call.parameters["name"]))


def remove(call: ApiCall) -> None:
    """With all that waits."""
    with call.writing() as op:
        webhook_operations.remove(op, call.parameters["name"])


async def test(call: ApiCall) -> WebhookTryResource:
    """Now, without a retry."""
    webhook, keys = await call.in_thread(_to_test, call)
    made = await trial(call.services.webhook_client, webhook, keys, call.services.now)

    def note() -> WebhookTry:
        with call.writing() as op:
            return webhook_operations.tested(op, webhook.name, made)

    return WebhookTryResource.of(await call.in_thread(note))


def _to_test(call: ApiCall) -> tuple[Webhook, list[bytes]]:
    with call.reading() as op:
        return webhook_operations.to_test(op, call.parameters["name"])


def tries(call: ApiCall) -> WebhookTries:
    """The last ones."""
    with call.reading() as op:
        found = webhook_operations.tries_of(op, call.parameters["name"], limit_of(call))
    return WebhookTries(items=[WebhookTryResource.of(one) for one in found])


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(webhook_operations.listed, "GET", "webhooks", listed, gives=WebhookList),
    own_method(webhook_operations.add, "POST", "webhooks", add, takes=NewWebhook, gives=WebhookWithSecret),
    own_method(webhook_operations.find, "GET", "webhooks/{name}", show, NAME, gives=WebhookResource),
    own_method(webhook_operations.remove, "DELETE", "webhooks/{name}", remove, NAME),
    own_method(webhook_operations.rotate, "POST", "webhooks/{name}/secret", rotate, NAME, gives=WebhookWithSecret),
    own_method(
        webhook_operations.enable,
        "POST",
        "webhooks/{name}/start",
        start,
        NAME,
        takes=WebhookStart,
        gives=WebhookResource,
    ),
    own_method(webhook_operations.disable, "POST", "webhooks/{name}/stop", stop, NAME, gives=WebhookResource),
    own_method(webhook_operations.tested, "POST", "webhooks/{name}/test", test, NAME, gives=WebhookTryResource),
    own_method(webhook_operations.tries_of, "GET", "webhooks/{name}/tries", tries, NAME, LIMIT, gives=WebhookTries),
)
