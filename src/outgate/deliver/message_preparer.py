"""The maker of the outgoing message. By a user's gateway it leaves as policy (compliance/) wants it right before the
hand-over: attachments refused, a footer added, a copy put into the journal. Nothing leaves that should be in the
journal and is not.
"""

import asyncio
from collections import OrderedDict
from dataclasses import replace
from typing import Final
from weakref import WeakValueDictionary

import structlog

from outgate import clock
from outgate.compliance.attachment_policy import looks_at_attachments, refuses_attachments, scan_attachments
from outgate.compliance.footer_policy import add_footer
from outgate.compliance.journal_copy import JournalNote, journal_copy
from outgate.deliver.delivery import Delivery
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.transmission import KeysOf, Transmission, prepare
from outgate.directory.reader import DirectoryReader
from outgate.mail.header_check import split_message
from outgate.queue import Queue
from outgate.queue.queue_id import QueueIds, to_text
from outgate.route import RouteKind
from outgate.store.engine import StoreUnavailable
from outgate.submit import originate_pieces

_REMEMBERED: Final = 10_000  # messages of which we know that they are in the journal

_log = structlog.get_logger("deliver")


class MessagePreparer:
    """Makes transmissions, with what policy asks for."""

    def __init__(self, queue: Queue, directory: DirectoryReader, queue_ids: QueueIds, keys_of: KeysOf) -> None:
        self._queue, self._directory, self._queue_ids, self._keys_of = queue, directory, queue_ids, keys_of
        # Two transactions of one message may begin before either has it in the journal: one waits for the other.
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._journalled: OrderedDict[int, None] = OrderedDict()

    async def prepare(self, delivery: Delivery, hostname: str) -> Transmission | Outcome:
        """The message as it leaves, or why it must not leave. Raises store.vault.SealBroken."""
        transmission = await self._transmission(delivery, hostname)
        policy = delivery.account.policy if delivery.account and delivery.route.kind is RouteKind.USER_GATEWAY else None
        if policy is None or not (policy.journal_to or policy.footer or looks_at_attachments(policy)):
            return transmission
        if looks_at_attachments(policy):
            if reason := refuses_attachments(policy, await scan_attachments(transmission.pieces())):
                return Outcome(Verdict.FAILED, f"5.7.1 {reason}")
            transmission = await self._from_the_start(transmission, delivery, hostname)
        transmission = await _with_footer(transmission, policy.footer)
        if not policy.journal_to or delivery.item.message.journalled:
            return transmission
        try:
            await self._journal(delivery, transmission, policy.journal_to)
        except StoreUnavailable as error:
            _log.error("journal copy not stored", error=str(error))
            return Outcome(Verdict.RETRY, "4.3.1 the copy for the journal could not be stored")
        return await self._from_the_start(transmission, delivery, hostname, policy.footer)

    async def _transmission(self, delivery: Delivery, hostname: str) -> Transmission:
        return await prepare(self._queue, delivery, hostname, self._keys_of)

    async def _from_the_start(
        self, transmission: Transmission, delivery: Delivery, hostname: str, footer: str = ""
    ) -> Transmission:
        """The same, with all its pieces still to come; what is in memory as a whole can be read again and again."""
        if transmission.more is None:
            return transmission
        return await _with_footer(await self._transmission(delivery, hostname), footer)

    async def _journal(self, delivery: Delivery, transmission: Transmission, to: str) -> None:
        message_id = delivery.item.message.id
        lock = self._locks.setdefault(message_id, asyncio.Lock())
        async with lock:
            if message_id in self._journalled:
                return
            await self._copy(delivery, transmission, to)
            self._journalled[message_id] = None
            if len(self._journalled) > _REMEMBERED:
                self._journalled.popitem(last=False)

    async def _copy(self, delivery: Delivery, transmission: Transmission, to: str) -> None:
        """Queue the copy for the archive `to`; when this returns it is on disk. Raises StoreUnavailable."""
        organisation, now = await self._directory.organisation(), clock.now()
        identity = self._queue_ids.new(now)
        copy = journal_copy(
            _journal_note(delivery),
            transmission.header,
            eight_bit=transmission.eight_bit,
            sender=organisation.postmaster,
            to=to,
            queue_id=to_text(identity),
            at=now,
        )
        await originate_pieces(
            self._queue,
            identity,
            copy.header,
            copy.body(transmission.pieces()),
            copy.sender,
            [to],
            organisation,
            now,
            journal_of=delivery.item.message.id,
        )


async def _with_footer(transmission: Transmission, text: str) -> Transmission:
    if not text:
        return transmission
    result = await add_footer(transmission.pieces(), transmission.size, text)
    header_size = split_message(result.beginning) or len(result.beginning)
    body = result.beginning[header_size:]
    return replace(
        transmission,
        header=result.beginning[:header_size],
        body=body,
        more=result.more,
        size=transmission.size + result.growth,
        eight_bit=transmission.eight_bit or not body.isascii(),
        footer=result.remark,
    )


def _journal_note(delivery: Delivery) -> JournalNote:
    return JournalNote(
        queue_id=to_text(delivery.item.message.id),
        account=delivery.account.primary if delivery.account else "",
        reverse_path=delivery.route.reverse_path,
        recipients=[one.address for one in delivery.item.recipients],
        gateway=delivery.route.gateway,
        accepted_at=delivery.item.message.received_at,
    )
