"""How much an account may send in a day. The database counts, with each message; memory spares most of the looking.

An account's count is remembered for some seconds, or until a hundredth of its limit has been sent since; nobody is
refused by memory alone. Within one process nothing passes the limit. Each further process may take in as much beyond
it as it takes in while it remembers, at most a hundredth, and what its sessions are storing at the same instant.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from outgate.model import Account, Policy
from outgate.queue import Put, Queue
from outgate.queue.admin import DAY_HOURS, Sent
from outgate.smtp import Reply

REMEMBERED: Final = 2.0  # seconds
SHARE: Final = 0.01  # of the limit
_MOST_ACCOUNTS: Final = 10_000


@dataclass(slots=True)
class _Use:
    """What an account has sent: as read from the database, and since the reading began by this process."""

    sent: list[Sent] = field(default_factory=list)
    read_at: float = float("-inf")
    under_way: list[int] = field(default_factory=list)  # numbers of recipients, one for each message
    finished: list[int] = field(default_factory=list)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def messages(self) -> int:
        return sum(one.messages for one in self.sent) + len(self.under_way) + len(self.finished)

    @property
    def recipients(self) -> int:
        return sum(one.recipients for one in self.sent) + sum(self.under_way) + sum(self.finished)


class DailyLimits:
    """Puts messages into the queue of those who may send them."""

    def __init__(self, queue: Queue, now: Callable[[], float]) -> None:
        self._queue, self._now = queue, now
        self._uses: OrderedDict[int, _Use] = OrderedDict()

    async def put(self, account: Account, put: Put) -> Reply | None:
        """Queue the message; the reply says why not. Raises StoreUnavailable."""
        policy = account.policy
        if not (policy.messages_per_day or policy.recipients_per_day):
            await self._queue.put(put)
            return None
        recipients = len(put.recipients)
        use = self._use(account.id)
        if self._now() - use.read_at > REMEMBERED or _is_uncertain(policy, use, recipients):
            await self._read(account.id, use)
        if over := _over(policy, use, recipients):
            return over
        use.under_way.append(recipients)
        try:
            await self._queue.put(put)
        finally:  # what could not be stored counts as well, until the next reading
            use.under_way.remove(recipients)
            use.finished.append(recipients)
        return None

    def _use(self, account_id: int) -> _Use:
        use = self._uses.setdefault(account_id, _Use())
        self._uses.move_to_end(account_id)
        oldest = next(iter(self._uses))
        if len(self._uses) > _MOST_ACCOUNTS and not self._uses[oldest].under_way:
            del self._uses[oldest]
        return use

    async def _read(self, account_id: int, use: _Use) -> None:
        """What is finished before this begins is in the database by then; what ends meanwhile may count twice."""
        async with use.reading:
            use.finished, now = [], self._now()
            use.sent = await self._queue.sent(account_id, int(now // 3600))
            use.read_at = now


def _is_uncertain(policy: Policy, use: _Use, recipients: int) -> bool:
    """Whether what others may have sent since the last reading could matter."""
    since = [*use.under_way, *use.finished, recipients]
    return (
        bool(policy.messages_per_day and len(since) > policy.messages_per_day * SHARE)
        or bool(policy.recipients_per_day and sum(since) > policy.recipients_per_day * SHARE)
        or _over(policy, use, recipients) is not None
    )


def _over(policy: Policy, use: _Use, recipients: int) -> Reply | None:
    """The hour that is running counts in full, so a message counts for 23 to 24 hours."""
    excess = use.messages + 1 - policy.messages_per_day
    if policy.messages_per_day and excess > 0:
        again = _free_at(use.sent, [one.messages for one in use.sent], excess)
        return Reply(450, "4.7.1", (f"The limit of {policy.messages_per_day} messages a day is reached; {again}",))
    excess = use.recipients + recipients - policy.recipients_per_day
    if policy.recipients_per_day and excess > 0:
        again = _free_at(use.sent, [one.recipients for one in use.sent], excess)
        return Reply(452, "4.5.3", (f"The limit of {policy.recipients_per_day} recipients a day is reached; {again}",))
    return None


def _free_at(sent: list[Sent], counts: list[int], wanted: int) -> str:
    """When enough of what was sent is a day old."""
    for one, count in zip(sent, counts, strict=True):
        wanted -= count
        if wanted <= 0:
            at = datetime.fromtimestamp((one.hour + DAY_HOURS) * 3600, UTC)
            return f"try again after {at:%Y-%m-%d %H:%M} UTC"
    return "send it to fewer at a time"
