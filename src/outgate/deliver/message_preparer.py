"""What policy asks of mail that leaves by a user's gateway, done right before the hand-over: attachments refused, a
footer added, a copy put into the journal. Nothing leaves that should be in the journal and is not.
"""

import asyncio
from collections import OrderedDict
from dataclasses import replace
from typing import Final
from weakref import WeakValueDictionary

import structlog

from outgate import clock
from outgate.compliance.attachment_policy import looks_at_attachments, refuses_attachments, scan
from outgate.deliver.delivery import Delivery
from outgate.deliver.journal import journal_copy
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.transmission import KeyFor, Transmission, prepare
from outgate.directory.reader import DirectoryReader
from outgate.mail.attachments import Scanner, TooComplex
from outgate.mail.footer import NoFooter, with_footer
from outgate.mail.header_check import split_message
from outgate.model import Policy
from outgate.queue import Queue
from outgate.queue.queue_id import QueueIds
from outgate.route import RouteKind
from outgate.store.engine import StoreUnavailable

_REMEMBERED: Final = 10_000  # messages of which we know that they are in the journal

_BEGINNING: Final = 1024 * 1024  # bytes of a message in which its text is looked for to add a footer

_log = structlog.get_logger("deliver")


class MessagePreparer:
    """Makes transmissions, with what policy asks for."""

    def __init__(self, queue: Queue, directory: DirectoryReader, queue_ids: QueueIds, key_for: KeyFor) -> None:
        self._queue, self._directory, self._queue_ids, self._key_for = queue, directory, queue_ids, key_for
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
            if reason := await _refused(policy, transmission):
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
        return await prepare(self._queue, delivery, hostname, self._key_for)

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
            organisation, now = await self._directory.organisation(), clock.now()
            await journal_copy(self._queue, delivery, transmission, to, organisation, self._queue_ids.new(now), now)
            self._journalled[message_id] = None
            if len(self._journalled) > _REMEMBERED:
                self._journalled.popitem(last=False)


async def _refused(policy: Policy, transmission: Transmission) -> str | None:
    scanner = Scanner()
    try:
        async for piece in transmission.pieces():
            await scan(scanner, piece)
        return refuses_attachments(policy, scanner.attachments())
    except TooComplex as error:
        return str(error)


async def _with_footer(transmission: Transmission, text: str) -> Transmission:
    """The beginning of the message is in memory for this; the text that gets the footer is in it."""
    if not text:
        return transmission
    beginning, pieces = bytearray(), transmission.pieces()
    async for piece in pieces:
        beginning += piece
        if len(beginning) >= _BEGINNING:
            break
    whole = len(beginning) == transmission.size
    raw = bytes(beginning)
    try:
        new = await asyncio.to_thread(with_footer, raw, text, whole=whole)
        told = "added"
    except NoFooter as error:
        new, told = raw, f"not added: {error}"
    header_size = split_message(new) or len(new)
    body = new[header_size:]
    return replace(
        transmission,
        header=new[:header_size],
        body=body,
        more=None if whole else pieces,
        size=transmission.size + len(new) - len(raw),
        eight_bit=transmission.eight_bit or not body.isascii(),
        footer=told,
    )
