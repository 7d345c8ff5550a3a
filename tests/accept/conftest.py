"""Fixtures for tests of the doors."""

from pathlib import Path

import pytest

from way.place import Site, install


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An installation that is not running yet."""
    return install(tmp_path / "outgate")
