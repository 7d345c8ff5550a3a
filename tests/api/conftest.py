"""A running server with an API, for tests of what programs are answered."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.api_site import ALICE, PARTNER, ApiSite, started


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiSite]:
    """One for each test."""
    async with started(tmp_path / "outgate") as place:
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    """One for all tests of a file; Alice has a partner's address."""
    async with started(tmp_path_factory.mktemp("shared") / "outgate") as place:
        await place.site.add_external(ALICE, PARTNER, place.partner.port)
        yield place
