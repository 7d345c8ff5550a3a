"""Makes the delivery reports of attempts: one for each attempt of which the sender wants to hear something.

It goes to the sender's primary address, by the organisation's own ways, in the sender's language. Knows no transport
and no transaction: whoever commits the outcomes queues the report with them.
"""

import structlog

from outgate.config import DeliverySettings
from outgate.deliver.disposition import BY_GATEWAY, Disposition, report_to
from outgate.directory.reader import DirectoryReader
from outgate.mail.report import Letterhead, ReportedMessage, ReportedRecipient, delivery_report
from outgate.mail.report_text import Action
from outgate.model import TlsDemand
from outgate.queue import Put, Queue
from outgate.queue.queue_id import QueueIds, to_text
from outgate.store.engine import StoreUnavailable
from outgate.submit import originate

_log = structlog.get_logger("deliver")


class Reporter:
    """Writes reports as the server `hostname`."""

    def __init__(
        self, queue: Queue, directory: DirectoryReader, settings: DeliverySettings, hostname: str, queue_ids: QueueIds
    ) -> None:
        self._queue, self._directory, self._settings = queue, directory, settings
        self._hostname, self._queue_ids = hostname, queue_ids

    async def report(self, disposition: Disposition) -> Put | None:
        """The report that is due, ready for the queue; None if nobody is to be told, or if it can't be made: an outcome
        does not depend on its report. Raises StoreUnavailable.
        """
        to, told = report_to(disposition.delivery), disposition.reported()
        if to is None or not told:
            return None
        try:
            return await self._made(disposition, to, told)
        except StoreUnavailable:
            raise
        except Exception:
            _log.exception("delivery report not made", message=disposition.delivery.item.message.id)
            return None

    async def _made(self, disposition: Disposition, to: str, told: list[ReportedRecipient]) -> Put:
        organisation, account = await self._directory.organisation(), disposition.delivery.account
        identity, now = self._queue_ids.new(disposition.at), disposition.at
        letterhead = Letterhead(
            self._hostname,
            organisation.postmaster,
            to,
            account.language if account else "en",
            now,
            f"{to_text(identity)}@{self._hostname}",
        )
        raw = delivery_report(letterhead, await self._message(disposition, told), told)
        return originate(identity, raw, "", [to], organisation, now)

    async def _message(self, disposition: Disposition, told: list[ReportedRecipient]) -> ReportedMessage:
        delivery = disposition.delivery
        message, route = delivery.item.message, delivery.route
        failed = any(one.action is Action.FAILED for one in told)  # RET speaks of failure only (RFC 3461 section 4.3)
        whole = failed and message.ret == "FULL" and message.size <= self._settings.return_whole
        whole = whole and message.tls_demand is not TlsDemand.REQUIRED  # RFC 8689 section 5
        item = delivery.item
        if whole:
            content = b"".join([piece async for piece in self._queue.content(item)])
        else:
            content = await self._queue.first_piece(item)
        return ReportedMessage(
            header=content[: message.header_size],
            sender=message.chosen_from or message.reverse_path,
            queue_id=to_text(message.id),
            arrived_at=message.received_at,
            tried_until=message.waits_since + disposition.schedule.give_up_after,
            gateway=route.gateway.host if route.gateway and route.kind in BY_GATEWAY else "",
            envid=message.envid,
            content=content if whole else None,
        )
