"""How much an account may send in a day: what it has sent, counted, and whether one more message is too many.

The database counts, with each message; memory spares most of the looking. An account's count is remembered for some
seconds, or until a hundredth of its limit has been sent since; nobody is refused by memory alone. Within one process
nothing passes the limit. Each further process may take in as much beyond it as it takes in while it remembers, at most
a hundredth, and what its sessions are storing at the same instant. Knows no message, only its number of recipients.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine

from outgate.frozen import frozen
from outgate.model import Account, Phrase, Policy
from outgate.store.engine import read
from outgate.submit import usage
from outgate.submit.refusal import Refusal, RefusalReason
from outgate.submit.usage import DAY_HOURS, Sent

REMEMBERED: Final = 2.0  # seconds
SHARE: Final = 0.01  # of the limit
_MOST_ACCOUNTS: Final = 10_000


@frozen
class DailyUse:
    """What an account has sent in this hour and the 23 before: by the hour as the database has it, the oldest first,
    and what came to it since (the number of recipients of each message)."""

    sent: Sequence[Sent] = ()
    since: Sequence[int] = ()

    @property
    def messages(self) -> int:
        """All messages."""
        return sum(one.messages for one in self.sent) + len(self.since)

    @property
    def recipients(self) -> int:
        """All recipients."""
        return sum(one.recipients for one in self.sent) + sum(self.since)


def hour_of(at: float) -> int:
    """The hour that what is sent at this time counts for, in hours since the epoch."""
    return int(at // 3600)


def is_limited(policy: Policy) -> bool:
    """Whether use must be known at all."""
    return bool(policy.messages_per_day or policy.recipients_per_day)


def over_limit(policy: Policy, use: DailyUse, recipients: int) -> Refusal | None:
    """Why one more message to so many recipients is too many; None if it is not.

    The hour that is running counts in full, so a message counts for 23 to 24 hours.
    """
    excess = use.messages + 1 - policy.messages_per_day
    if policy.messages_per_day and excess > 0:
        again = _free_at(use.sent, [one.messages for one in use.sent], excess)
        facts = {"most": policy.messages_per_day, "again": again}
        words = Phrase("The limit of {most} messages a day is reached; {again}", facts)
        return Refusal(RefusalReason.TOO_MANY, 450, "4.7.1", words)
    excess = use.recipients + recipients - policy.recipients_per_day
    if policy.recipients_per_day and excess > 0:
        again = _free_at(use.sent, [one.recipients for one in use.sent], excess)
        facts = {"most": policy.recipients_per_day, "again": again}
        words = Phrase("The limit of {most} recipients a day is reached; {again}", facts)
        return Refusal(RefusalReason.TOO_MANY, 452, "4.5.3", words)
    return None


def _free_at(sent: Sequence[Sent], counts: Sequence[int], excess: int) -> Phrase:
    """When enough of what was sent is a day old."""
    for one, count in zip(sent, counts, strict=True):
        excess -= count
        if excess <= 0:
            at = datetime.fromtimestamp((one.hour + DAY_HOURS) * 3600, UTC)
            return Phrase("try again after {at} UTC", {"at": at.strftime("%Y-%m-%d %H:%M")})
    return Phrase("send it to fewer at a time")


@dataclass(slots=True)
class _Count:
    """What one process remembers of an account's use: as read, and since the reading began."""

    sent: Sequence[Sent] = ()
    read_at: float = float("-inf")
    under_way: list[int] = field(default_factory=list)  # numbers of recipients, one for each message
    finished: list[int] = field(default_factory=list)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def use(self) -> DailyUse:
        return DailyUse(self.sent, [*self.under_way, *self.finished])


class DailyLimits:
    """Knows for one event loop what accounts have sent. Ask for `use`, decide, and store within `counting`: with
    nothing awaited between the first and the last, no two messages take the same place.
    """

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine, self._now = engine, now
        self._counts: OrderedDict[int, _Count] = OrderedDict()

    async def use(self, account: Account, recipients: int) -> DailyUse:
        """What the account has sent, as exactly as one more message to so many needs it. Raises StoreUnavailable."""
        policy = account.policy
        if not is_limited(policy):
            return DailyUse()
        count = self._count(account.id)
        if self._now() - count.read_at > REMEMBERED or _is_uncertain(policy, count.use(), recipients):
            await self._read(account.id, count)
        return count.use()

    @contextmanager
    def counting(self, account: Account, recipients: int) -> Iterator[None]:
        """Around the storing of a message. What could not be stored counts as well, until the next reading."""
        if not is_limited(account.policy):
            yield
            return
        count = self._count(account.id)
        count.under_way.append(recipients)
        try:
            yield
        finally:
            count.under_way.remove(recipients)
            count.finished.append(recipients)

    def _count(self, account_id: int) -> _Count:
        count = self._counts.setdefault(account_id, _Count())
        self._counts.move_to_end(account_id)
        oldest = next(iter(self._counts))
        if len(self._counts) > _MOST_ACCOUNTS and not self._counts[oldest].under_way:
            del self._counts[oldest]
        return count

    async def _read(self, account_id: int, count: _Count) -> None:
        """What is finished before this begins is in the database by then; what ends meanwhile may count twice."""
        async with count.reading:
            count.finished, now = [], self._now()
            count.sent = await asyncio.to_thread(self._sent, account_id, hour_of(now))
            count.read_at = now

    def _sent(self, account_id: int, hour: int) -> list[Sent]:
        with read(self._engine) as connection:
            return usage.sent(connection, account_id, hour)


def _is_uncertain(policy: Policy, use: DailyUse, recipients: int) -> bool:
    """Whether what others may have sent since the last reading could matter."""
    since = [*use.since, recipients]
    return (
        bool(policy.messages_per_day and len(since) > policy.messages_per_day * SHARE)
        or bool(policy.recipients_per_day and sum(since) > policy.recipients_per_day * SHARE)
        or over_limit(policy, use, recipients) is not None
    )
