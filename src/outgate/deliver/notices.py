"""Messages to an administrator's address: one about each thing, at most once a day, over all nodes.

Knows neither what they tell of nor a transport: they are queued like any other message.
"""

import asyncio
from typing import Final

import structlog

from outgate.directory.reader import DirectoryReader
from outgate.mail.addresses import Mailbox
from outgate.mail.compose import compose
from outgate.queue import Queue
from outgate.queue.queue_id import QueueIds, to_text
from outgate.store.engine import StoreUnavailable
from outgate.store.rates import Rates
from outgate.submit import originate

ONCE: Final = "1/1day"

_log = structlog.get_logger("deliver")


class Notices:
    """Writes to the address `to`."""

    def __init__(
        self, queue: Queue, directory: DirectoryReader, rates: Rates, queue_ids: QueueIds, to: str, hostname: str
    ) -> None:
        self._queue, self._directory, self._rates = queue, directory, rates
        self._queue_ids, self._to, self._hostname = queue_ids, to, hostname

    async def write(self, about: str, subject: str, text: str, at: float) -> None:
        """Queue a message, unless there was one about the same today. `at` in seconds since the epoch."""
        try:
            if await asyncio.to_thread(self._rates.hit, ONCE, "notice", about):
                await self._put(subject, text, at)
        except StoreUnavailable as error:
            _log.error("notice not sent", about=about, error=str(error))

    async def _put(self, subject: str, text: str, at: float) -> None:
        organisation, identity = await self._directory.organisation(), self._queue_ids.new(at)
        sender = organisation.postmaster
        raw = compose(
            sender=Mailbox(f"Outgate at {organisation.primary_domain}", sender),
            to=[Mailbox("", self._to)],
            subject=subject,
            text=text,
            date=at,
            message_id=f"{to_text(identity)}@{self._hostname}",
            automatic=True,
        )
        await self._queue.put(originate(identity, raw, sender, [self._to], organisation, at))
