"""What a case gives: figures, each with what it must be. Knows no product and no case."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One value with its bound: at most `limit`, or at least that much if `least`. The unit is for people."""

    what: str
    value: float
    unit: str
    limit: float
    least: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is as it should be."""
        return self.value >= self.limit if self.least else self.value <= self.limit


def percentile(values: list[float], part: float) -> float:
    """The value that `part` of them do not exceed; infinite if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("inf")
