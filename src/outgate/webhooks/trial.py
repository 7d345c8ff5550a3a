"""Sends a test to an endpoint, as its events are sent. For operations that note what came of it."""

from collections.abc import Callable
from uuid import uuid4

from outgate.egress.https_client import HttpsClient
from outgate.frozen import frozen
from outgate.webhooks import event_body
from outgate.webhooks.endpoints import Webhook
from outgate.webhooks.event_body import EventBody
from outgate.webhooks.posting import PostResult, post


@frozen
class WebhookTrial:
    """What was sent, and what came of it."""

    body: EventBody
    result: PostResult


async def trial(client: HttpsClient, webhook: Webhook, keys: list[bytes], now: Callable[[], float]) -> WebhookTrial:
    """Raises nothing: what can't be sent has its reason."""
    body = event_body.trial(f"test-{uuid4()}", webhook.name, now())
    return WebhookTrial(body, await post(client, webhook.url, keys, body.event_id, body.text, now))
