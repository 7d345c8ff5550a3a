"""When to try again. Pure."""

from collections.abc import Sequence


def next_attempt(
    attempts: int, now: float, ready_at: float, schedule: Sequence[float], give_up_after: float
) -> float | None:
    """The time of the next attempt after `attempts` failed ones, or None when it's time to give up.

    Times in seconds since the epoch, waits in seconds. The last wait repeats; the last attempt is made at the very end,
    so that a destination that came back late still gets its mail.
    """
    deadline = ready_at + give_up_after
    if now >= deadline:
        return None
    wait = schedule[min(attempts, len(schedule)) - 1]
    return min(now + wait, deadline)
