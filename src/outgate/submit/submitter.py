"""Where a decision about a submission meets the store: for callers on the event loop, and for those in a transaction.

Both read what the decision asks for, have it made, and store what came of it; neither decides anything.
"""

from collections.abc import AsyncIterator

from sqlalchemy import Connection

from outgate.compliance.attachment_policy import Attachments, find_attachments, scan_attachments
from outgate.mail.header_check import CheckedHeader
from outgate.model import Account, Organisation
from outgate.queue import Put, Queue
from outgate.queue.changes import RecordEvents
from outgate.store.batch import apply
from outgate.submit.decision import RoutedSubmission, decide, loop, routed
from outgate.submit.queue_entry import refused, refused_envelope, refused_relay, relayed
from outgate.submit.quotas import SendingQuotas, uses_of
from outgate.submit.refusal import Refusal
from outgate.submit.submission import Content, Envelope, MessageLimits, Submission


class Submitter:
    """Takes messages in on an event loop."""

    def __init__(self, queue: Queue, quotas: SendingQuotas, limits: MessageLimits) -> None:
        self._queue, self._quotas, self._limits = queue, quotas, limits

    async def submit(self, submission: Submission, organisation: Organisation) -> Put | Refusal:
        """Queue the message, or say why not; either is on disk when this returns. Raises StoreUnavailable.

        What a caller has stored of a message that is refused, the caller discards.
        """
        outcome = await self._submit(submission, organisation)
        if isinstance(outcome, Refusal):
            await self._queue.record([refused(submission, outcome)])
        return outcome

    async def relay(
        self,
        identity: int,
        at: float,
        envelope: Envelope,
        header: CheckedHeader,
        content: Content,
        organisation: Organisation,
    ) -> Put | Refusal:
        """The same of a trusted server's message that is no account's: it takes the organisation's own ways."""
        if refusal := loop(header, self._limits):
            await self.refuse_relay(identity, at, envelope, header, content, refusal)
            return refusal
        put = relayed(identity, at, envelope, header, content, organisation)
        await self._queue.put(put)
        return put

    async def refuse_relay(
        self, identity: int, at: float, envelope: Envelope, header: CheckedHeader, content: Content, refusal: Refusal
    ) -> None:
        """Put it on record that a trusted server's message was refused. Raises StoreUnavailable."""
        await self._queue.record([refused_relay(identity, at, envelope, header, content, refusal)])

    async def refuse_envelope(self, identity: int, at: float, account: Account, envelope: Envelope, reply: str) -> None:
        """Put it on record that the account's MAIL or RCPT was refused. Raises StoreUnavailable."""
        await self._queue.record([refused_envelope(identity, at, account, envelope, reply)])

    async def _submit(self, submission: Submission, organisation: Organisation) -> Put | Refusal:
        candidate = routed(submission, organisation, self._limits)
        if isinstance(candidate, Refusal):
            return candidate
        attachments = await self._attachments(candidate)
        quotas, recipients = candidate.quotas, len(candidate.routes)
        uses = await self._quotas.uses(quotas, recipients) if quotas else {}
        outcome = decide(candidate, attachments, quotas, uses)  # nothing is awaited from the uses to the counting
        if isinstance(outcome, Refusal):
            return outcome
        if quotas:
            with self._quotas.counting(quotas, recipients):
                await self._queue.put(outcome)
        else:
            await self._queue.put(outcome)
        return outcome

    async def _attachments(self, candidate: RoutedSubmission) -> Attachments:
        if not candidate.asks_for_attachments:
            return ()
        return await scan_attachments(self._pieces(candidate.submission))

    async def _pieces(self, submission: Submission) -> AsyncIterator[bytes]:
        for number in range(submission.content.stored_chunks):
            yield await self._queue.stored(submission.identity, number)
        for piece in submission.content.pieces():
            yield piece


def submit(
    connection: Connection, submission: Submission, organisation: Organisation, limits: MessageLimits
) -> Put | Refusal:
    """The same in the caller's transaction, of a message that is here as a whole. Raises StoreUnavailable.

    The caller commits what came of it, a refusal as well: it is on record.
    """
    outcome = _submit(connection, submission, organisation, limits)
    stored = RecordEvents([refused(submission, outcome)]) if isinstance(outcome, Refusal) else outcome
    apply(connection, [stored])
    return outcome


def _submit(
    connection: Connection, submission: Submission, organisation: Organisation, limits: MessageLimits
) -> Put | Refusal:
    candidate = routed(submission, organisation, limits)
    if isinstance(candidate, Refusal):
        return candidate
    attachments = find_attachments(submission.content.pieces()) if candidate.asks_for_attachments else ()
    quotas = candidate.quotas
    return decide(candidate, attachments, quotas, uses_of(connection, quotas, submission.at))
