"""A running server with an API, for tests of what programs are answered."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from bench.scratch import free_port

from api.api_site import BASIC, COMPOSE, MODIFY, READONLY, SEND, SHARING, ApiSite, partner_server
from way.place import install, running


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients read proxies from the environment."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiSite]:
    """The switch is on; the organisation's mail leaves by the partner's server too; a service account has grants."""
    port = free_port()
    site = install(tmp_path / "outgate", web={"public_url": f"http://127.0.0.1:{port}", "port": port})
    async with partner_server(site) as partner:
        await site.switch(on=True)
        place = ApiSite(site, port, partner)
        await place.service_account("tool", [SHARING, BASIC, SEND, READONLY, MODIFY, COMPOSE])
        server = await running(site)
        try:
            yield place
        finally:
            await place.close()
            await server.stop()
