"""An installation whose server has the page for confirmation links, and a browser of sorts."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from bench.scratch import free_port

from way.place import PLAIN, Site, install, running


@pytest.fixture(scope="module")
def port() -> int:
    """Of the pages: one after the other, a file's servers listen there."""
    return free_port()


@pytest.fixture
def site(tmp_path: Path, port: int) -> Site:
    """As it is behind a proxy on the same machine."""
    return install(tmp_path / "outgate", web={"public_url": "https://mail.example.com/", "port": port})


@pytest_asyncio.fixture
async def browser(site: Site, port: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Talks to the running server; proxies of the environment are not asked."""
    server = await running(site)
    url = f"http://127.0.0.1:{port}"
    async with httpx2.AsyncClient(base_url=url, trust_env=False, verify=PLAIN, timeout=30) as client:
        yield client
    await server.stop()
