"""Days of UTC by their number."""

from datetime import UTC, date, datetime

import pytest

from outgate.tls_reports.utc_days import DAY, date_of, day_in, last_whole


@pytest.mark.parametrize("text", ["0001-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31"])
def test_a_date_is_the_same_by_its_number(text: str) -> None:
    assert str(date_of(day_in(text))) == text


@pytest.mark.parametrize("text", ["", "soon", "2023-02-29", "31.1.2026"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|day is out of range"):
        day_in(text)


def test_the_last_whole_day_is_over_from_midnight_on() -> None:
    midnight = datetime(2026, 2, 1, tzinfo=UTC).timestamp()
    assert date_of(last_whole(midnight)) == date(2026, 1, 31)
    assert last_whole(midnight - 1) == last_whole(midnight) - 1
    assert last_whole(midnight) * DAY == midnight - DAY
