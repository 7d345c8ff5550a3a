"""What policy refuses already at submission of mail for a user's gateway: its attachments.

They are looked at again at the hand-over, with the policy of that moment (deliver.message_preparer).
"""

from outgate.compliance.attachment_policy import looks_at_attachments, refuses_attachments, scan
from outgate.mail.attachments import Scanner, TooComplex
from outgate.model import Policy, QueueKind
from outgate.queue import Put, Queue
from outgate.smtp import Reply


def must_be_looked_into(policy: Policy, put: Put) -> bool:
    """Whether policy says something of attachments, and a user's gateway is among the ways."""
    return looks_at_attachments(policy) and any(one.queue.kind is QueueKind.GATEWAY for one in put.recipients)


async def refusal(queue: Queue, policy: Policy, put: Put) -> Reply | None:
    """Why this message is not taken; None if it is. Raises StoreUnavailable."""
    if not must_be_looked_into(policy, put):
        return None
    scanner = Scanner()
    try:
        for number in range(put.message.chunks - 1):
            await scan(scanner, await queue.stored(put.message.id, number))
        await scan(scanner, put.last_chunk)
        reason = refuses_attachments(policy, scanner.attachments())
    except TooComplex as error:
        reason = str(error)
    return Reply(550, "5.7.1", (reason,)) if reason else None
