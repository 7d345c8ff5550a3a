"""Tells an administrator of gateways that fail: one message for each, at most once a day, over all nodes.

A subscriber to the record: a recipient that waits late by a gateway is the sign. Delivery does not wait for it, and
nothing depends on it. Knows no transport.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from outgate.directory.reader import DirectoryReader
from outgate.mail.addresses import Mailbox
from outgate.mail.compose import compose
from outgate.model import QueueKind
from outgate.printable import printable
from outgate.queue import Queue
from outgate.queue.queue_id import QueueIds, to_text
from outgate.record.events import EventKind, MessageEvent
from outgate.store.engine import StoreUnavailable
from outgate.store.rates import Rates
from outgate.submit import originate

ONCE: Final = "1/1day"
REASON: Final = 1000  # characters

_GATEWAYS: Final = (QueueKind.GATEWAY.value, QueueKind.DOMAIN_GATEWAY.value)
_TEXT: Final = """\
Mail that should leave by {name} waits, since:

    {reason}

One of the messages is {message}, from {sender}. See all that waits there, and try again at once when it is mended:

    outgate queue list --queue {queue}
    outgate queue retry --queue {queue}

The senders are told as well. You are told again tomorrow if it still fails.
"""

_log = structlog.get_logger("deliver")


class GatewayNotices:
    """Writes to the address `to`; call it with what was committed."""

    def __init__(
        self, queue: Queue, directory: DirectoryReader, rates: Rates, queue_ids: QueueIds, to: str, hostname: str
    ) -> None:
        self._queue, self._directory, self._rates = queue, directory, rates
        self._queue_ids, self._to, self._hostname = queue_ids, to, hostname
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, events: Sequence[MessageEvent]) -> None:
        """Begin to tell of each gateway that these events show to fail."""
        for event in {event.detail["queue"]: event for event in events if _tells_of_gateway(event)}.values():
            task = asyncio.get_running_loop().create_task(self._tell(event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, event: MessageEvent) -> None:
        try:
            if await asyncio.to_thread(self._rates.hit, ONCE, "gateway-notice", event.detail["queue"]):
                await self._send(event)
        except StoreUnavailable as error:
            _log.error("notice of a failing gateway not sent", queue=event.detail["queue"], error=str(error))

    async def _send(self, event: MessageEvent) -> None:
        organisation, identity = await self._directory.organisation(), self._queue_ids.new(event.at)
        queue, name = event.detail["queue"], printable(event.detail["queue_name"], REASON)
        sender = organisation.postmaster
        raw = compose(
            sender=Mailbox(f"Outgate at {organisation.primary_domain}", sender),
            to=[Mailbox("", self._to)],
            subject=f"Mail by {name} waits",
            text=_TEXT.format(
                queue=queue,
                name=name,
                reason=printable(event.detail["reason"], REASON),
                message=to_text(event.message_id),
                sender=printable(event.detail["sender"], REASON),
            ),
            date=event.at,
            message_id=f"{to_text(identity)}@{self._hostname}",
            automatic=True,
        )
        await self._queue.put(originate(identity, raw, sender, [self._to], organisation, event.at))


def _tells_of_gateway(event: MessageEvent) -> bool:
    late = event.kind is EventKind.DEFERRED and event.detail.get("late")
    return bool(late) and event.detail["queue"].partition(":")[0] in _GATEWAYS
