"""The walk of a message is a page that can be followed: short, and each file that it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-it-works.md").read_text()


def test_each_file_that_the_walk_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert len(named) > 25
    assert [name for name in named if not (ROOT / "src" / "outgate" / name).exists()] == []


def test_the_walk_has_at_most_90_lines() -> None:
    assert PAGE.index("## What leaves") > 0
    assert len(PAGE.partition("## What leaves")[0].splitlines()) <= 90
