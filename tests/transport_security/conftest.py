"""The recipients' domains for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from transport_security.peers import Peers, small_world


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Peers]:
    with small_world(tmp_path) as made:
        yield made
