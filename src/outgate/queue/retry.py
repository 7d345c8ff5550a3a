"""When to try again. Pure."""

from typing import Final

from outgate.model import Schedule

SPREAD: Final = 0.25  # of a wait, that it may be longer
_MOST_STEPS: Final = 60  # beyond them every schedule has reached its longest wait, and floats their end
_WORD: Final = 2**64
_GOLDEN: Final = 0x9E3779B97F4A7C15  # of 2**64: multiples of it lie evenly (Knuth, TAOCP 6.4)


def next_attempt(schedule: Schedule, attempts: int, now: float, ready_at: float, spread: float = 0.0) -> float | None:
    """The time of the next attempt after `attempts` failed ones, or None when it's time to give up.

    Times in seconds since the epoch. A wait is up to a quarter longer than the schedule has it, by `spread` (0 to 1),
    and never shorter. The last attempt is made at the very end, so that a destination that came back late still gets
    its mail.
    """
    deadline = ready_at + schedule.give_up_after
    if now >= deadline:
        return None
    step = schedule.retry_factor ** min(attempts - 1, _MOST_STEPS)
    wait = min(schedule.retry_first * step, schedule.retry_longest)
    return min(now + wait * (1 + SPREAD * spread), deadline)


def spread_of(message_id: int) -> float:
    """A message's own spread, 0 to 1: what failed together does not come back together, and all recipients of one
    message do.
    """
    return message_id * _GOLDEN % _WORD / _WORD


def at_most(wait: float) -> float:
    """Seconds that an attempt may be away for a wait of so many."""
    return wait * (1 + SPREAD)
