"""Where the bars of a chart stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.web.chart import HEIGHT, LEFT, WIDTH, Series, chart


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=40))
def test_every_bar_is_within_the_drawing_and_says_its_count(counts: list[tuple[int, int]]) -> None:
    series = [Series(str(number), "", tuple(one[number] for one in counts)) for number in (0, 1)]
    made = chart(series, [f"p{number}" for number in range(len(counts))])
    assert made.total == sum(map(sum, counts))
    assert len(made.bars) == sum(one > 0 for pair in counts for one in pair)
    for bar in made.bars:
        assert LEFT <= bar.x < bar.x + bar.width <= WIDTH + 0.01
        assert -0.1 <= bar.y <= bar.y + bar.height <= HEIGHT + 0.1
        assert bar.title.rpartition(": ")[2] in {str(one) for pair in counts for one in pair}


@pytest.mark.parametrize(
    ("count", "numbers"),
    [
        (0, ["0", "1", "2", "3"]),
        (4, ["0", "2", "4", "6"]),
        (2500, ["0", "1k", "2k", "3k"]),
        (9, ["0", "5", "10", "15"]),
    ],
)
def test_the_axis_has_numbers_that_are_easily_read(count: int, numbers: list[str]) -> None:
    assert [line.text for line in chart([Series("s", "", (count,))], ["p"]).lines] == numbers


def test_bars_of_one_place_stand_upon_each_other() -> None:
    lower, upper = chart([Series("a", "", (1,)), Series("b", "", (2,))], ["p"]).bars
    assert (lower.y + lower.height, upper.y + upper.height) == (HEIGHT, lower.y)
    assert upper.height == pytest.approx(2 * lower.height)
