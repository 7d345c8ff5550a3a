"""Ceilings of queues: at most so many messages by time, counted in the database over all nodes and restarts.

What finds no place waits in a line: each message gets a time of its own, one interval after the other, so that none is
looked at twice for nothing. While there is a line, who has just been submitted goes to its end; who was claimed has
waited, and has its turn. A queue without a ceiling costs nothing. Knows no transport.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from outgate.deliver.delivery import Delivery
from outgate.deliver.outcome import Outcome, Verdict
from outgate.model import QueueKey, Restriction
from outgate.store import rates
from outgate.store.rates import Rates


@dataclass(slots=True)
class _Line:
    """Who waits for a place. Times in seconds since the epoch."""

    free_at: float  # no place before
    end: float  # the last time that was given


class Ceilings:
    """For one process. `rates` counts for all."""

    def __init__(self, counted: Rates) -> None:
        self._counted = counted
        self._lines: dict[QueueKey, _Line] = {}

    def closed(self, delivery: Delivery, now: float) -> Outcome | None:
        """Why it need not even ask for a connection: there is a line, and it is not its turn."""
        limits = _limits(delivery.restrictions, now)
        queue = delivery.route.queue
        line = self._lines.get(queue)
        if line is None:
            return None
        if not limits or now >= line.end:
            del self._lines[queue]
            return None
        is_new = delivery.item.ways is not None  # it was handed over in memory
        return self._wait(line, limits) if now < line.free_at or is_new else None

    async def place(self, delivery: Delivery, now: float) -> Outcome | None:
        """Take a place for a message; why there is none. Raises StoreUnavailable."""
        limits = _limits(delivery.restrictions, now)
        if not limits:
            return None
        queue = delivery.route.queue
        wanted = [rate for one in limits for rate in one.rates]
        seconds = await asyncio.to_thread(self._counted.take, wanted, "sent", str(queue))
        if not seconds:
            return None
        line = self._lines.setdefault(queue, _Line(0.0, 0.0))
        line.free_at = now + seconds
        return self._wait(line, limits)

    @staticmethod
    def _wait(line: _Line, limits: Sequence[Restriction]) -> Outcome:
        again = max(line.free_at, line.end)
        slowest, why = max(((rate, one.reason) for one in limits for rate in one.rates), key=_interval)
        line.end = again + rates.interval(slowest)
        words = f"4.4.5 at most {rates.in_words(slowest)}: {why}"
        return Outcome(Verdict.RETRY, words, again=again, untried=True)


def _limits(restrictions: Sequence[Restriction], now: float) -> list[Restriction]:
    return [one for one in restrictions if one.rates and one.holds(now)]


def _interval(limit: tuple[str, str]) -> float:
    return rates.interval(limit[0])


def connections(
    restrictions: Sequence[Restriction], most: int, now: float, share: tuple[int, int], of_way: Sequence[int] = ()
) -> int:
    """How many connections this process may have to a queue, of `most` by the settings. Limits, those of the way as
    well, hold over all nodes: `share` is this process's number among those that deliver, and how many they are.
    """
    limits = [one.connections for one in restrictions if one.connections is not None and one.holds(now)]
    limits += of_way
    if not limits:
        return most
    number, processes = share
    return min(most, min(limits) // processes + (number < min(limits) % processes))
