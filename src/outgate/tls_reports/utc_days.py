"""The days that sessions are counted by: of UTC, by their number since the epoch. Knows no session and no report."""

from datetime import date, timedelta
from typing import Final

DAY: Final = 86400.0  # seconds
_EPOCH: Final = date(1970, 1, 1)


def last_whole(now: float) -> int:
    """The day before this moment's."""
    return int(now // DAY) - 1


def date_of(day: int) -> date:
    """As calendars have it."""
    return _EPOCH + timedelta(days=day)


def day_in(text: str) -> int:
    """Of a date as in 2026-01-31. Raises ValueError."""
    return (date.fromisoformat(text) - _EPOCH).days
