"""Breakers, one for each destination: once it could not be reached several times in a row, mail for it waits together,
and one message after the other tries whether it is back. Pure: times come in.
"""

from dataclasses import dataclass, replace
from typing import Final

from outgate.deliver.delivery import Destination
from outgate.deliver.outcome import Outcome, Verdict
from outgate.model import QueueKey, Schedule

FAILURES: Final = 3  # in a row, until it opens
LONGEST: Final = 10  # times the first pause


@dataclass(slots=True)
class Breaker:
    """By the schedule of what waits: the first pause is its first wait, each is twice as long as the former, up to ten
    times the first and never longer than its longest wait.
    """

    schedule: Schedule
    failures: int = 0
    tried_at: float = 0.0
    last: Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether mail waits together."""
        return self.failures >= FAILURES

    @property
    def longest(self) -> float:
        """Seconds of the longest pause."""
        return min(self.schedule.retry_first * LONGEST, self.schedule.retry_longest)

    def held(self, now: float) -> Outcome | None:
        """Why a message is not to be tried now; None if it is to try, which is noted."""
        if not self.is_open or self.last is None:
            return None
        pause = min(self.schedule.retry_first, self.schedule.retry_longest)
        if now - self.tried_at >= pause / 4:
            self.tried_at = now
            return None
        wait = min(pause * 2.0 ** (self.failures - FAILURES), self.longest)
        return replace(self.last, again=now + wait, untried=True, reply=None)

    def failed(self, outcome: Outcome, now: float) -> None:
        """It could not be reached. All who waited for one connection have the same outcome, which counts once."""
        if outcome is not self.last:
            self.failures += 1
            self.last, self.tried_at = outcome, now


class Breakers:
    """Those of all destinations that could not be reached of late; empty while all is well.

    A gateway that was corrected is another destination than it was.
    """

    def __init__(self) -> None:
        self._by_queue: dict[QueueKey, dict[Destination, Breaker]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_queue.values()))

    def __bool__(self) -> bool:
        return bool(self._by_queue)

    def held(self, destination: Destination, now: float) -> Outcome | None:
        """As Breaker.held."""
        breaker = self._by_queue.get(destination.queue, {}).get(destination)
        return breaker.held(now) if breaker else None

    def failed(self, destination: Destination, outcome: Outcome, now: float, schedule: Schedule) -> None:
        """There is no connection; `schedule` is the one in force. Who refuses our log-in was reached, and what is final
        is nobody else's.
        """
        if outcome.verdict is Verdict.RETRY and not outcome.is_of_log_in:
            of_queue = self._by_queue.setdefault(destination.queue, {})
            breaker = of_queue.setdefault(destination, Breaker(schedule))
            breaker.schedule = schedule
            breaker.failed(outcome, now)

    def reached(self, destination: Destination) -> bool:
        """There is a connection: its breaker goes, and those of what its gateway was before. Whether mail waited."""
        of_queue = self._by_queue.get(destination.queue, {})
        over = [one for one in of_queue if one == destination or one.gateway != destination.gateway]
        waited = [of_queue.pop(one).is_open for one in over]
        if over and not of_queue:
            del self._by_queue[destination.queue]
        return any(waited)

    def drop_unused(self, now: float) -> None:
        """Those that nobody has come to for so long that nothing can wait for them."""
        kept = {
            queue: {destination: one for destination, one in of_queue.items() if one.tried_at > now - 2 * one.longest}
            for queue, of_queue in self._by_queue.items()
        }
        self._by_queue = {queue: of_queue for queue, of_queue in kept.items() if of_queue}
