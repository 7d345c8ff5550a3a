"""Fixtures for tests of the whole way."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from corpus.peer import RawPeer
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, install

PARTNER = "alice@dominiopartner.example"


@pytest.fixture(scope="module", autouse=True)
def _stories(untraced: None) -> None:
    """What happens on the way is traced where each step of it is tested by itself. A file where that is the case here
    has a fixture of this name that asks for nothing.
    """


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An installation with no partner yet."""
    return install(tmp_path / "outgate")


@pytest_asyncio.fixture
async def gateway(site: Site) -> AsyncIterator[RawPeer]:
    """The partner's server: STARTTLS with a certificate that Outgate trusts, and AUTH."""
    credentials = {PARTNER: GATEWAY_PASSWORD}
    async with RawPeer(tls=site.authority.server_context(LOCALHOST), credentials=credentials) as peer:
        yield peer
