"""How much may be sent in an hour and in a day, by an account and by all of a unit: what has been sent, counted, and
whether one more message is too many.

The database counts, with each message; memory spares most of the looking. A count is remembered for some seconds, or
until a hundredth of its limit has been sent since; nobody is refused by memory alone, nor for what may count twice.
What one process takes in by SMTP passes no limit. Each further process may take in as much beyond it as it takes in
while it remembers, at most a hundredth, and what its sessions are storing at the same instant. So may pages and
programs, also of the same process: what they send is decided in their own transactions, by the database alone. Knows no
message, only its number of recipients.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import attrgetter
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


_limits = attrgetter(*_FIELDS)
_unit_limits = attrgetter(*(name for name, (_, _, of_unit) in _FIELDS.items() if of_unit))


def quotas_of(account: Account) -> list[SendingQuota]:
    """Those that policy gives an account: its own, and those that it shares with all who have them from the same unit.

    A unit that is given a limit of its own shares none with those above it.
    """
    policy, found = account.policy, list[SendingQuota]()
    if not any(_limits(policy)):  # as most have none
        return found
    for name, (hours, of_recipients, of_unit) in _FIELDS.items():
        if most := getattr(policy, name):
            holder = policy.sources.get(name, "/") if of_unit else account.id
            found.append(SendingQuota(holder, most, hours, of_recipients))
    return found


def counted_units(policy: Policy) -> tuple[str, ...]:
    """The units for whose limits an account's messages count, by path."""
    if not any(_unit_limits(policy)):
        return ()
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
    if not quotas:
        return None
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


@dataclass(slots=True, eq=False)
class _Taken:
    """A message that this process takes in: its number of recipients, and when its storing is over."""

    recipients: int
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Count:
    """What one process remembers of a holder's use: as read, and what it took in since. The first `doubtful` of those
    were being stored while it was read, so that they may count twice. `begun` readings, of which `read` is the last
    that ended.
    """

    sent: Sequence[Sent] = ()
    read_at: float = float("-inf")
    since: list[_Taken] = field(default_factory=list)
    doubtful: int = 0
    begun: int = 0
    read: int = 0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being stored."""
        return all(one.ended.is_set() for one in self.since)

    def use(self, hour: int) -> Use:
        """All that may count."""
        return self._use(hour, 0)

    def least_use(self, hour: int) -> Use:
        """What counts in any case."""
        return self._use(hour, self.doubtful)

    def _use(self, hour: int, first: int) -> Use:
        return Use(hour, self.sent, [one.recipients for one in self.since[first:]])


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
        came = {holder: count.begun for holder, count in counts.items()}

        def unsure() -> Iterator[Holder]:
            for holder, count in counts.items():
                of_holder = [one for one in quotas if one.holder == holder]
                if self._is_unsure(count, of_holder, recipients, came[holder]):
                    yield holder

        while (holder := next(unsure(), None)) is not None:
            await self._look(holder, counts[holder], came[holder])
        return {holder: self._use(count) for holder, count in counts.items()}

    @contextmanager
    def counting(self, quotas: Sequence[SendingQuota], recipients: int) -> Iterator[None]:
        """Around the storing of a message. What could not be stored counts as well, until the next reading."""
        taken = _Taken(recipients)
        for holder in _holders(quotas):
            self._count(holder).since.append(taken)
        try:
            yield
        finally:
            taken.ended.set()

    def _is_unsure(self, count: _Count, quotas: Sequence[SendingQuota], recipients: int, came: int) -> bool:
        """Whether a reading could change the answer to who came when so many had begun."""
        if count.read > came:
            least = count.least_use(hour_of(self._now()))
            return _is_over(quotas, self._use(count), recipients) and not _is_over(quotas, least, recipients)
        is_old = self._now() - count.read_at > REMEMBERED
        return is_old or _is_uncertain(quotas, self._use(count), recipients)

    def _use(self, count: _Count) -> Use:
        return count.use(hour_of(self._now()))

    def _count(self, holder: Holder) -> _Count:
        count = self._counts.setdefault(holder, _Count())
        self._counts.move_to_end(holder)
        oldest = next(iter(self._counts))
        if len(self._counts) > _MOST_HOLDERS and self._counts[oldest].is_idle:
            del self._counts[oldest]
        return count

    async def _look(self, holder: Holder, count: _Count, came: int) -> None:
        """Read; once more only when what may have counted twice is stored. One reading serves all who wait for it."""
        if count.read > came:
            for one in count.since[: count.doubtful]:
                await one.ended.wait()
            came = count.begun
        async with count.reading:
            if count.read <= came:
                await self._read(holder, count)

    async def _read(self, holder: Holder, count: _Count) -> None:
        """What has ended before this begins is in the database by then; until it is read, it counts as before."""
        count.begun += 1
        known, now = {one for one in count.since if one.ended.is_set()}, self._now()
        count.sent = await asyncio.to_thread(self._sent, holder, hour_of(now))
        count.since = [one for one in count.since if one not in known]
        count.read_at, count.read, count.doubtful = now, count.begun, len(count.since)

    def _sent(self, holder: Holder, hour: int) -> list[Sent]:
        with read(self._engine) as connection:
            return usage.sent(connection, holder, hour)


def _is_uncertain(quotas: Sequence[SendingQuota], use: Use, recipients: int) -> bool:
    """Whether what others may have sent since the last reading could matter."""
    since = [*use.since, recipients]
    return any(
        (sum(since) if one.of_recipients else len(since)) > one.most * SHARE or _is_over([one], use, recipients)
        for one in quotas
    )


def _is_over(quotas: Sequence[SendingQuota], use: Use, recipients: int) -> bool:
    return any(_free_at(one, use, recipients) is not None for one in quotas)
