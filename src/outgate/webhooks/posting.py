"""Sends one event to an endpoint, and says what came of it. Knows no database."""

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from outgate.egress.https_client import Fetched, HttpsClient
from outgate.frozen import frozen
from outgate.printable import printable
from outgate.webhooks import signature

PATIENCE: Final = 15.0  # seconds for all of it, as Standard Webhooks has it
_REASON: Final = 300  # characters
_GONE: Final = 410


class TryOutcome(StrEnum):
    """What came of a try."""

    DELIVERED = "delivered"
    AGAIN = "again"  # it will be tried
    GIVEN_UP = "given-up"
    GONE = "gone"  # the endpoint wants nothing any more


@frozen
class PostResult:
    """What an endpoint answered; `status` is None if it did not. `pause`: seconds that it wants to be left alone."""

    status: int | None
    reason: str
    seconds: float
    pause: float | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the endpoint has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint wants nothing any more."""
        return self.status == _GONE


async def post(
    client: HttpsClient, url: str, keys: Sequence[bytes], event_id: str, body: str, now: Callable[[], float]
) -> PostResult:
    """The answer to one event, signed by each of the keys. Raises nothing: what can't be sent has its reason."""
    content, at, began = body.encode(), now(), time.monotonic()
    sent = {"Content-Type": "application/json"} | signature.headers(keys, event_id, int(at), content)
    answer = await client.tell(url, content, sent, PATIENCE)
    seconds = time.monotonic() - began
    if isinstance(answer, Fetched):
        return PostResult(answer.status, f"HTTP {answer.status}", seconds, answer.retry_after(now()))
    return PostResult(None, printable(answer.reason, _REASON), seconds)
