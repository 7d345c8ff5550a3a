"""A running server with an API, for tests of what programs are answered."""

from collections.abc import AsyncIterator
from pathlib import Path

import httplib2
import pytest
import pytest_asyncio
from bench.scratch import free_port

from api.api_site import BASIC, COMPOSE, MODIFY, READONLY, SEND, SHARING, ApiSite, partner_server
from way.place import install, running


@pytest_asyncio.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiSite]:
    """The switch is on; a service account has grants. Google's clients upload by TLS alone."""
    port = free_port()
    web = {"public_url": f"https://localhost:{port}", "port": port, "tls": True}
    site = install(tmp_path / "outgate", web=web)
    monkeypatch.setattr(httplib2, "CA_CERTS", str(site.authority.ca_file))  # read from the environment at its import
    for name in ("no_proxy", "NO_PROXY"):  # clients read proxies from the environment
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    async with partner_server(site) as partner:
        await site.switch(on=True)
        place = ApiSite(site, port, partner)
        await place.service_account("tool", [SHARING, BASIC, SEND, READONLY, MODIFY, COMPOSE])
        place.server = await running(site)
        try:
            yield place
        finally:
            await place.close()
            await place.server.stop()
