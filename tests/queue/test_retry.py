"""When to try again."""

import pytest

from outgate.queue.retry import next_attempt

SCHEDULE = (60.0, 300.0, 900.0)


@pytest.mark.parametrize(
    ("attempts", "now", "expected"),
    [
        (1, 0.0, 60.0),
        (2, 100.0, 400.0),
        (3, 100.0, 1000.0),
        (9, 100.0, 1000.0),  # the last wait repeats
        (9, 9_500.0, 10_000.0),  # the last attempt is made at the very end
        (9, 10_000.0, None),
    ],
)
def test_the_wait_follows_the_schedule_until_it_is_time_to_give_up(
    attempts: int, now: float, expected: float | None
) -> None:
    assert next_attempt(attempts, now, 0.0, SCHEDULE, 10_000.0) == expected
