"""The small internet for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from discovery.internet import Internet, running


@pytest.fixture
def internet(tmp_path: Path) -> Iterator[Internet]:
    with running(tmp_path) as made:
        yield made
