"""An installation whose users may sign in at a real provider, and a gateway that asks it whose a token is."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from corpus.peer import RawPeer
from oauth.real_provider import RealProvider, real_provider
from outgate.demo.certificates import Authority
from way.place import LOCALHOST, Site, install


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProvider]:
    """npm's, with the client `outgate`."""
    authority = Authority(tmp_path_factory.mktemp("provider"))
    with real_provider(*authority.issue(LOCALHOST), authority.ca_file) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, provider: RealProvider) -> Site:
    """With the provider as `example`, and as `registering` where no client was set up."""
    site = install(tmp_path / "outgate")
    with (site.data / "ca.pem").open("a") as file:
        file.write(provider.authority.read_text())
    settings = provider.settings() + provider.settings("registering", client_id="")
    (site.data / "providers.toml").write_text(settings)
    return site


@pytest_asyncio.fixture
async def gateway(site: Site, provider: RealProvider) -> AsyncIterator[RawPeer]:
    """The partner's server: STARTTLS, and log-in by tokens of the provider alone."""
    async with RawPeer(tls=site.authority.server_context(LOCALHOST), bearer=provider.whose) as peer:
        yield peer
