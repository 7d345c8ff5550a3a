"""When to try again."""

import itertools

import pytest

from outgate.model import Schedule
from outgate.queue.queue_id import QueueIds
from outgate.queue.retry import SPREAD, next_attempt, spread_of

SCHEDULE = Schedule(60.0, 4.0, 900.0, 0.0, 10_000.0)


@pytest.mark.parametrize(
    ("attempts", "now", "expected"),
    [
        (1, 0.0, 60.0),
        (2, 100.0, 340.0),
        (3, 100.0, 1000.0),  # no wait is longer than the longest
        (5000, 100.0, 1000.0),
        (9, 9_500.0, 10_000.0),  # the last attempt is made at the very end
        (9, 10_000.0, None),
    ],
)
def test_each_wait_is_longer_than_the_former_until_it_is_time_to_give_up(
    attempts: int, now: float, expected: float | None
) -> None:
    assert next_attempt(SCHEDULE, attempts, now, 0.0) == expected


def test_what_failed_together_comes_back_one_after_the_other_and_never_early() -> None:
    """A thousand messages that came within a second."""
    ids, came = QueueIds(), 1_800_000_000.0
    spreads = [spread_of(ids.new(came + n / 1000)) for n in range(1000)]
    waits = sorted(next_attempt(SCHEDULE, 1, 0.0, 0.0, one) or 0.0 for one in spreads)
    assert 60.0 <= waits[0] <= waits[-1] <= 60.0 * (1 + SPREAD)
    assert max(late - early for early, late in itertools.pairwise(waits)) < 60.0 * SPREAD / 50
    assert next_attempt(SCHEDULE, 9, 9_999.0, 0.0, 1.0) == 10_000.0
