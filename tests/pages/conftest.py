"""One server and one browser for all tests of a module; the partner's server and whoever gets all other mail."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from bench.scratch import free_port
from playwright.async_api import Browser

from corpus.peer import RawPeer
from outgate import clock
from outgate.directory import roles, units, users
from outgate.directory.users import Credentials
from outgate.model import Security
from outgate.store.engine import write
from pages.browser import chromium
from way.place import GATEWAY_PASSWORD, LOCALHOST, PASSWORD, Site, install, running
from web.links import opened

ALICE, BOB, ANNA = "alice@example.com", "bob@example.com", "anna@example.com"
PARTNER = "alice@dominiopartner.example"


@dataclass
class Town:
    """All that pages are tried on: the server's address, the partner's server, and the exchanger of all others."""

    site: Site
    base: str
    gateway: RawPeer
    exchanger: RawPeer

    async def speak(self, language: str, *people: str) -> None:
        """What these people see (alice, if nobody is named) is in this language from now on."""
        await asyncio.to_thread(self._speak, language, people or (ALICE,))

    def _speak(self, language: str, people: Sequence[str]) -> None:
        with opened(self.site) as place, write(place.engine) as connection:
            for one in people:
                users.edit(connection, one, language=language)

    async def code(self, count: int) -> str:
        """The code in the message that came as number `count`."""
        message = (await self.exchanger.wait_for(count))[-1]
        found = re.search(rb"\b(\d{3}) ?(\d{3}) ?(\d{3})\b", message.content)
        assert found
        return b"".join(found.groups()).decode()


@asynccontextmanager
async def town_at(folder: Path) -> AsyncIterator[Town]:
    """Anna may do everything; the switch is off."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    site = install(
        folder / "outgate",
        web={"public_url": base, "port": port, "undo_send": 2.0},
    )
    await asyncio.to_thread(_add_anna, site)
    tls = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=tls, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway, RawPeer() as exchanger:
        await site.set_domain_gateway(exchanger.port, security=Security.NONE)
        server = await running(site)
        yield Town(site, base, gateway, exchanger)
        await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory, untraced: None) -> AsyncIterator[Town]:
    """A new one."""
    async with town_at(tmp_path_factory.mktemp("town")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with chromium() as opened:
        yield opened


def _add_anna(site: Site) -> None:
    with opened(site) as place, write(place.engine) as connection:
        for path in ("/Sales", "/Sales/North", "/Support"):
            units.create(connection, path)
        users.move(connection, ALICE, "/Sales")
        users.create(connection, ANNA, Credentials.derive(PASSWORD, 4096), clock.now(), name="Anna Rossi")
        roles.assign(connection, ANNA, "super-admin", "/", clock.now())
