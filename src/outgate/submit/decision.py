"""What becomes of a submission: the checks in their order, and the entry for the queue or the refusal. Pure.

`routed` says what must be looked up before `decide` can: attachments only where policy speaks of them and a user's
gateway is among the ways. Here authorise and route meet the message for the first time; deliver asks both again at
every attempt, and compliance at every hand-over.
"""

from collections.abc import Sequence
from dataclasses import replace

from outgate.authorise import Authorised, authorise
from outgate.compliance.attachment_policy import Attachments, looks_at_attachments, refuses_attachments
from outgate.frozen import frozen
from outgate.mail.addresses import canonical
from outgate.mail.header_check import CheckedHeader
from outgate.model import Organisation, Phrase, Policy, Refused
from outgate.queue import Put
from outgate.route import Route, RouteKind, route
from outgate.submit.queue_entry import submitted
from outgate.submit.quotas import SendingQuota, Uses, over_quota, quotas_of
from outgate.submit.refusal import Refusal, RefusalReason
from outgate.submit.submission import MessageLimits, Submission


@frozen
class RoutedSubmission:
    """A submission that its account may send as this From, with a route for each recipient, in their order."""

    submission: Submission
    authorised: Authorised
    routes: Sequence[Route]

    @property
    def asks_for_attachments(self) -> bool:
        """Whether `decide` must know them: only what leaves by a user's gateway passes no other control."""
        if not looks_at_attachments(self.submission.account.policy):
            return False
        return any(one.kind is RouteKind.USER_GATEWAY for one in self.routes)

    @property
    def quotas(self) -> Sequence[SendingQuota]:
        """What `decide` must know the use of."""
        return quotas_of(self.submission.account)


def routed(submission: Submission, organisation: Organisation, limits: MessageLimits) -> RoutedSubmission | Refusal:
    """The submission with its routes, or why it is refused whatever else is known of it."""
    header, account = submission.header, submission.account
    if refused := loop(header, limits):
        return refused
    submission, recipients = _each_once(submission)
    if len(recipients) > limits.recipients:
        words = Phrase("Too many recipients; at most {most}", {"most": limits.recipients})
        return Refusal(RefusalReason.TOO_MANY, 452, "4.5.3", words)
    if refused := _too_many(account.policy, len(recipients)) or too_large(account.policy, submission.content.size):
        return refused
    reverse_path = submission.envelope.reverse_path and canonical(submission.envelope.reverse_path)
    verdict = authorise(account, reverse_path, header.header_from, header.sender)
    if isinstance(verdict, Refused):
        return Refusal(RefusalReason.NOT_AUTHORISED, 550, "5.7.1", verdict)
    routes = []
    for address in recipients:
        choice = route(organisation, account, verdict.chosen, address, reverse_path=reverse_path)
        if isinstance(choice, Refused):
            return Refusal(RefusalReason.POLICY, 550, "5.7.1", choice)
        routes.append(choice)
    return RoutedSubmission(submission, verdict, routes)


def too_large(policy: Policy, size: int) -> Refusal | None:
    """Why a message of so many bytes may not be sent, if it may not."""
    if not policy.message_bytes or size <= policy.message_bytes:
        return None
    facts = {"most": policy.message_bytes, "source": policy.origin("message_bytes")}
    words = Phrase("The message is larger than {most} bytes, which are the most that may be sent ({source})", facts)
    return Refusal(RefusalReason.TOO_LARGE, 552, "5.3.4", words)


def _too_many(policy: Policy, recipients: int) -> Refusal | None:
    """It never may: whoever sends it chooses fewer, nobody else does."""
    if not policy.recipients_per_message or recipients <= policy.recipients_per_message:
        return None
    facts = {"most": policy.recipients_per_message, "source": policy.origin("recipients_per_message")}
    words = Phrase("A message may have {most} recipients at most ({source}); send it to fewer at a time", facts)
    return Refusal(RefusalReason.TOO_MANY, 550, "5.5.3", words)


def loop(header: CheckedHeader, limits: MessageLimits) -> Refusal | None:
    """Whether it has been on its way for too long (RFC 5321 section 6.3)."""
    if header.received_count <= limits.received:
        return None
    return Refusal(RefusalReason.LOOP, 554, "5.4.6", "Too many Received lines: the message is in a loop")


def decide(
    candidate: RoutedSubmission, attachments: Attachments, quotas: Sequence[SendingQuota], uses: Uses
) -> Put | Refusal:
    """The change that puts the message into the queue, or why it is refused.

    `attachments` are only looked at if `asks_for_attachments`; `quotas` are the candidate's, `uses` what their holders
    have sent.
    """
    policy = candidate.submission.account.policy
    if candidate.asks_for_attachments and (reason := refuses_attachments(policy, attachments)):
        return Refusal(RefusalReason.ATTACHMENT, 550, "5.7.1", reason)
    if over := over_quota(quotas, uses, len(candidate.routes)):
        return over
    return submitted(candidate.submission, candidate.authorised, candidate.routes)


def _each_once(submission: Submission) -> tuple[Submission, list[str]]:
    """One recipient for each address in compared form, as it was named first; and these forms, in the same order.

    A client that takes To and Cc together names some twice; what was said with the first name counts.
    """
    recipients = submission.envelope.recipients
    by_address = {canonical(one.address): one for one in reversed(recipients)}
    if len(by_address) < len(recipients):
        unique = [one for one in recipients if by_address[canonical(one.address)] is one]
        envelope = replace(submission.envelope, recipients=unique)
        submission = replace(submission, envelope=envelope)
    return submission, [canonical(one.address) for one in submission.envelope.recipients]
