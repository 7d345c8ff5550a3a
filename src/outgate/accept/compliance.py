"""What policy refuses already at submission: attachments for a user's gateway, and more than an account may send a day.

The attachments are looked at again at the hand-over, with the policy of that moment (deliver.compliance).
"""

from datetime import UTC, datetime
from typing import Final

from outgate.authorise import Account, Policy
from outgate.compliance import looks_at_attachments, refuses_attachments
from outgate.mail.attachments import Scanner, TooComplex
from outgate.queue import Put, Queue
from outgate.queue.operations import Sent
from outgate.smtp import Reply

DAY_HOURS: Final = 24


async def refusal(queue: Queue, account: Account, put: Put) -> Reply | None:
    """Why this message is not taken; None if it is. Raises StoreUnavailable."""
    policy = account.policy
    if policy.messages_per_day or policy.recipients_per_day:
        hour = int(put.message.received_at // 3600)
        sent = await queue.sent(account.id, hour - DAY_HOURS + 1)
        if reply := _over_limit(policy, sent, len(put.recipients)):
            return reply
    if looks_at_attachments(policy) and any(one.queue.startswith("gateway:") for one in put.recipients):
        return await _attachments(queue, policy, put)
    return None


def _over_limit(policy: Policy, sent: list[Sent], recipients: int) -> Reply | None:
    """The hour that is running counts in full, so a message counts for 23 to 24 hours."""
    messages, addressed = sum(one.messages for one in sent), sum(one.recipients for one in sent)
    if policy.messages_per_day and messages + 1 > policy.messages_per_day:
        again = _free_at(sent, [one.messages for one in sent], messages + 1 - policy.messages_per_day)
        return Reply(450, "4.7.1", (f"The limit of {policy.messages_per_day} messages a day is reached; {again}",))
    if policy.recipients_per_day and addressed + recipients > policy.recipients_per_day:
        again = _free_at(sent, [one.recipients for one in sent], addressed + recipients - policy.recipients_per_day)
        return Reply(452, "4.5.3", (f"The limit of {policy.recipients_per_day} recipients a day is reached; {again}",))
    return None


def _free_at(sent: list[Sent], counts: list[int], wanted: int) -> str:
    """When enough of what was sent is a day old."""
    freed = 0
    for one, count in zip(sent, counts, strict=True):
        freed += count
        if freed >= wanted:
            at = datetime.fromtimestamp((one.hour + DAY_HOURS) * 3600, UTC)
            return f"try again after {at:%Y-%m-%d %H:%M} UTC"
    return "this message has more recipients than that"


async def _attachments(queue: Queue, policy: Policy, put: Put) -> Reply | None:
    scanner = Scanner()
    try:
        for number in range(put.message.chunks - 1):
            scanner.feed(await queue.stored(put.message.id, number))
        scanner.feed(put.last_chunk)
        reason = refuses_attachments(policy, scanner.attachments())
    except TooComplex as error:
        reason = str(error)
    return Reply(550, "5.7.1", (reason,)) if reason else None
