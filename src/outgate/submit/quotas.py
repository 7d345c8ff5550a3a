"""How much may be sent in an hour and in a day, by an account and by all of a unit: what has been sent, counted, and
whether one more message is too many.

The database counts, with each message; memory spares most of the looking. A count is remembered for some seconds, or
until a hundredth of its limit has been sent since; nobody is refused by memory alone. Within one process nothing passes
a limit. Each further process may take in as much beyond it as it takes in while it remembers, at most a hundredth, and
what its sessions are storing at the same instant. Knows no message, only its number of recipients.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, Engine

from outgate.frozen import frozen
from outgate.model import Account, Phrase, Policy
from outgate.store.engine import read
from outgate.submit import usage
from outgate.submit.refusal import Refusal, RefusalReason
from outgate.submit.usage import DAY_HOURS, Holder, Sent

REMEMBERED: Final = 2.0  # seconds
SHARE: Final = 0.01  # of the limit
_MOST_HOLDERS: Final = 10_000

_BY_HOUR: Final = 1


@frozen
class SendingQuota:
    """The account, or all of a unit, may send so many messages in so many hours, or messages to so many recipients."""

    holder: Holder
    most: int
    hours: int
    of_recipients: bool

    def reached(self, again: Phrase) -> Phrase:
        """That it is, and when there is room again."""
        words = _WORDS[(isinstance(self.holder, str), self.of_recipients, self.hours)]
        return replace(words, facts={"most": self.most, "unit": self.holder, "again": again})


_WORDS: Final = {
    (False, False, _BY_HOUR): Phrase("The limit of {most} messages an hour is reached; {again}"),
    (False, False, DAY_HOURS): Phrase("The limit of {most} messages a day is reached; {again}"),
    (False, True, _BY_HOUR): Phrase("The limit of {most} recipients an hour is reached; {again}"),
    (False, True, DAY_HOURS): Phrase("The limit of {most} recipients a day is reached; {again}"),
    (True, False, _BY_HOUR): Phrase("The limit of {most} messages an hour for all of {unit} is reached; {again}"),
    (True, False, DAY_HOURS): Phrase("The limit of {most} messages a day for all of {unit} is reached; {again}"),
    (True, True, _BY_HOUR): Phrase("The limit of {most} recipients an hour for all of {unit} is reached; {again}"),
    (True, True, DAY_HOURS): Phrase("The limit of {most} recipients a day for all of {unit} is reached; {again}"),
}

# Fields of Policy: hours, whether they count recipients, whether all of a unit.
_FIELDS: Final = {
    "messages_per_hour": (_BY_HOUR, False, False),
    "messages_per_day": (DAY_HOURS, False, False),
    "recipients_per_hour": (_BY_HOUR, True, False),
    "recipients_per_day": (DAY_HOURS, True, False),
    "unit_messages_per_hour": (_BY_HOUR, False, True),
    "unit_messages_per_day": (DAY_HOURS, False, True),
    "unit_recipients_per_hour": (_BY_HOUR, True, True),
    "unit_recipients_per_day": (DAY_HOURS, True, True),
}


def quotas_of(account: Account) -> list[SendingQuota]:
    """Those that policy gives an account: its own, and those that it shares with all who have them from the same unit.

    A unit that is given a limit of its own shares none with those above it.
    """
    policy, found = account.policy, list[SendingQuota]()
    for name, (hours, of_recipients, of_unit) in _FIELDS.items():
        if most := getattr(policy, name):
            holder = policy.sources.get(name, "/") if of_unit else account.id
            found.append(SendingQuota(holder, most, hours, of_recipients))
    return found


def counted_units(policy: Policy) -> tuple[str, ...]:
    """The units for whose limits an account's messages count, by path."""
    names = [name for name, (_, _, of_unit) in _FIELDS.items() if of_unit and getattr(policy, name)]
    return tuple(dict.fromkeys(policy.sources.get(name, "/") for name in names))


@frozen
class Use:
    """What a holder has sent in `hour` and the 23 before: by the hour as the database has it, the oldest first, and
    what came to it since (the number of recipients of each message). Hours since the epoch.
    """

    hour: int
    sent: Sequence[Sent] = ()
    since: Sequence[int] = ()


Uses = Mapping[Holder, Use]


def hour_of(at: float) -> int:
    """The hour that what is sent at this time counts for, in hours since the epoch."""
    return int(at // 3600)


def over_quota(quotas: Sequence[SendingQuota], uses: Uses, recipients: int) -> Refusal | None:
    """Why one more message to so many recipients is too many; None if it is not. Of several reasons, that which lasts
    longest.

    The hour that is running counts in full: in a day's limit a message counts for 23 to 24 hours, in an hour's until
    the next full hour (UTC).
    """
    over = [(_free_at(one, uses[one.holder], recipients), one) for one in quotas]
    lasting = [(free_at, one) for free_at, one in over if free_at is not None]
    if not lasting:
        return None
    free_at, quota = max(lasting, key=lambda each: each[0])
    if free_at == _NEVER:
        return Refusal(RefusalReason.TOO_MANY, 550, "5.5.3", quota.reached(Phrase("send it to fewer at a time")))
    at = datetime.fromtimestamp(free_at, UTC).strftime("%Y-%m-%d %H:%M")
    code, status = (452, "4.5.3") if quota.of_recipients else (450, "4.7.1")
    again = Phrase("try again after {at} UTC", {"at": at})
    return Refusal(RefusalReason.TOO_MANY, code, status, quota.reached(again))


_NEVER: Final = float("inf")


def _free_at(quota: SendingQuota, use: Use, recipients: int) -> float | None:
    """When enough of what was sent counts no more; None if there is room, and never if one message is too much."""
    more = recipients if quota.of_recipients else 1
    counts = [
        (one.hour, one.recipients if quota.of_recipients else one.messages)
        for one in use.sent
        if one.hour > use.hour - quota.hours
    ]
    counts.append((use.hour, sum(use.since) if quota.of_recipients else len(use.since)))
    excess = sum(count for _, count in counts) + more - quota.most
    if excess <= 0:
        return None
    for hour, count in counts:
        excess -= count
        if excess <= 0:
            return (hour + quota.hours) * 3600.0
    return _NEVER


def uses_of(connection: Connection, quotas: Sequence[SendingQuota], at: float) -> dict[Holder, Use]:
    """What each holder has sent until then, as the database has it."""
    hour = hour_of(at)
    return {one: Use(hour, usage.sent(connection, one, hour)) for one in _holders(quotas)}


def _holders(quotas: Sequence[SendingQuota]) -> list[Holder]:
    return list(dict.fromkeys(one.holder for one in quotas))


@dataclass(slots=True)
class _Count:
    """What one process remembers of a holder's use: as read, and since the reading began."""

    sent: Sequence[Sent] = ()
    read_at: float = float("-inf")
    under_way: list[int] = field(default_factory=list)  # numbers of recipients, one for each message
    finished: list[int] = field(default_factory=list)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def use(self, hour: int) -> Use:
        return Use(hour, self.sent, [*self.under_way, *self.finished])


class SendingQuotas:
    """Knows for one event loop what accounts and units have sent. Ask for `uses`, decide, and store within `counting`:
    with nothing awaited between the first and the last, no two messages take the same place.
    """

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine, self._now = engine, now
        self._counts: OrderedDict[Holder, _Count] = OrderedDict()

    async def uses(self, quotas: Sequence[SendingQuota], recipients: int) -> dict[Holder, Use]:
        """What their holders have sent, as exactly as one more message to so many needs it. Raises StoreUnavailable."""
        counts = {holder: self._count(holder) for holder in _holders(quotas)}
        for holder, count in counts.items():
            of_holder = [one for one in quotas if one.holder == holder]
            if self._now() - count.read_at > REMEMBERED or _is_uncertain(of_holder, self._use(count), recipients):
                await self._read(holder, count)
        return {holder: self._use(count) for holder, count in counts.items()}

    @contextmanager
    def counting(self, quotas: Sequence[SendingQuota], recipients: int) -> Iterator[None]:
        """Around the storing of a message. What could not be stored counts as well, until the next reading."""
        counts = [self._count(holder) for holder in _holders(quotas)]
        for count in counts:
            count.under_way.append(recipients)
        try:
            yield
        finally:
            for count in counts:
                count.under_way.remove(recipients)
                count.finished.append(recipients)

    def _use(self, count: _Count) -> Use:
        return count.use(hour_of(self._now()))

    def _count(self, holder: Holder) -> _Count:
        count = self._counts.setdefault(holder, _Count())
        self._counts.move_to_end(holder)
        oldest = next(iter(self._counts))
        if len(self._counts) > _MOST_HOLDERS and not self._counts[oldest].under_way:
            del self._counts[oldest]
        return count

    async def _read(self, holder: Holder, count: _Count) -> None:
        """What is finished before this begins is in the database by then; what ends meanwhile may count twice."""
        async with count.reading:
            count.finished, now = [], self._now()
            count.sent = await asyncio.to_thread(self._sent, holder, hour_of(now))
            count.read_at = now

    def _sent(self, holder: Holder, hour: int) -> list[Sent]:
        with read(self._engine) as connection:
            return usage.sent(connection, holder, hour)


def _is_uncertain(quotas: Sequence[SendingQuota], use: Use, recipients: int) -> bool:
    """Whether what others may have sent since the last reading could matter."""
    since = [*use.since, recipients]
    return any(
        (sum(since) if one.of_recipients else len(since)) > one.most * SHARE
        or _free_at(one, use, recipients) is not None
        for one in quotas
    )
