"""A figure that is not as it should be, or that there is none of, fails the run of hard cases."""

import json
import math
from pathlib import Path

import pytest
from hard import __main__ as hard
from hard.figure import Figure, percentile
from hard.installation import Failed, Ground


@pytest.mark.parametrize(
    ("value", "limit", "least", "holds"),
    [
        (1.0, 1.0, False, True),
        (1.1, 1.0, False, False),
        (math.inf, 9.0, False, False),
        (2, 2, True, True),
        (1, 2, True, False),
    ],
)
def test_a_figure_holds_within_its_bound(value: float, limit: float, least: bool, holds: bool) -> None:
    assert Figure("x", value, "s", limit, least).holds is holds


def test_what_never_arrived_counts_in_a_percentile() -> None:
    assert percentile([0.1] * 98 + [math.inf] * 2, 0.99) == math.inf
    assert percentile([0.1] * 99 + [math.inf], 0.5) == 0.1
    assert percentile([], 0.99) == math.inf


async def test_a_case_that_can_not_be_measured_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(_ground: Ground) -> list[Figure]:
        raise Failed("the server ended")

    ground = Ground.__new__(Ground)
    (row,) = await hard.measure("breaks", breaks, ground)
    assert not row.holds
    assert row.fault == "Failed: the server ended"


def test_json_has_null_for_what_has_no_end() -> None:
    (row,) = json.loads(hard.as_json([hard.Row("case", Figure("x", math.inf, "s", 1.0))]))
    assert (row["value"], row["holds"]) == (None, False)


def test_every_case_is_described() -> None:
    described = (Path(hard.__file__).parent / "README.md").read_text()
    assert {name for name in hard.cases() if f"| {name} |" not in described} == set()
    assert len(hard.cases()) > 20
