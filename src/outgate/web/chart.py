"""Stacked bars as numbers: where each bar stands in a drawing, for the template that draws them. Pure.

Lengths are in units of the drawing, whose origin is at the top left. No chart speaks by its colours alone: each bar has
a title, and every chart its table.
"""

from collections.abc import Sequence
from typing import Final

from outgate.frozen import frozen

WIDTH: Final = 640.0
HEIGHT: Final = 180.0
LEFT: Final = 44.0  # for the numbers at the axis
BELOW: Final = 22.0  # for what stands below the bars
_STEPS: Final = (1, 2, 5)
_LINES: Final = 3


@frozen
class Series:
    """One kind of what is counted: its name in words, its class in the style sheet, and a count for each place."""

    name: str
    look: str
    counts: tuple[int, ...]


@frozen
class Bar:
    """A rectangle; `title` says what it stands for."""

    x: float
    y: float
    width: float
    height: float
    look: str
    title: str


@frozen
class Mark:
    """A text at the axis, at this place of it."""

    at: float
    text: str


@frozen
class Chart:
    """`places` are what stands below the bars; `total` is the sum of all."""

    series: tuple[Series, ...]
    places: tuple[str, ...]
    bars: tuple[Bar, ...]
    lines: tuple[Mark, ...]
    below: tuple[Mark, ...]
    total: int


def chart(series: Sequence[Series], places: Sequence[str], every: int = 1) -> Chart:
    """Bars of all series upon each other, one for each place; below every so many of them stands its name."""
    sums = [sum(one.counts[number] for one in series) for number in range(len(places))]
    top = _round_up(max(sums, default=0))
    step = (WIDTH - LEFT) / max(1, len(places))
    bars = []
    for number, place in enumerate(places):
        y = HEIGHT
        for one in series:
            count = one.counts[number]
            height = round(count * HEIGHT / top, 2)
            if count:
                y = round(y - height, 2)
                x = round(LEFT + number * step + step * 0.12, 2)
                bars.append(Bar(x, y, round(step * 0.76, 2), height, one.look, f"{place}, {one.name}: {count}"))
    return Chart(
        tuple(series),
        tuple(places),
        tuple(bars),
        tuple(
            Mark(round(HEIGHT - HEIGHT * part / _LINES, 2), _in_short(top * part / _LINES))
            for part in range(_LINES + 1)
        ),
        tuple(
            Mark(round(LEFT + (number + 0.5) * step, 2), place)
            for number, place in enumerate(places)
            if number % every == 0
        ),
        sum(sums),
    )


def _round_up(count: int) -> int:
    """The next number that is easily read, divisible by the lines: at least one for each."""
    unit = 1
    while True:
        for step in _STEPS:
            if step * unit * _LINES >= count:
                return step * unit * _LINES
        unit *= 10


def _in_short(count: float) -> str:
    """As in 1.5k."""
    for limit, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= limit:
            return f"{count / limit:.3g}{letter}"
    return f"{count:.0f}"
