"""A user signs in with a provider on the pages: to add an address, and to repair a server whose consent has ended."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs

import httpx2
import pytest
import pytest_asyncio
from bench.scratch import free_port
from sqlalchemy import select

from corpus.peer import RawPeer
from oauth.real_provider import RealProvider
from outgate.sendas import oauth_clients, oauth_grants, send_as_addresses
from outgate.store import tables
from outgate.store.engine import read
from way.place import LOCALHOST, Site, eventually, install, running
from way.submit import submit
from web.people import BOB, logged_in

PARTNER = "alice@dominiopartner.example"
ADD = {"address": PARTNER, "name": "Alice", "alias": "on", "new": "on"}


@pytest.fixture
def port() -> int:
    """Of the pages."""
    return free_port()


@pytest_asyncio.fixture
async def gateway(tmp_path: Path, provider: RealProvider, site: Site) -> AsyncIterator[RawPeer]:
    """The server that the provider's users have."""
    async with RawPeer(tls=site.authority.server_context(LOCALHOST), bearer=provider.whose) as peer:
        settings = provider.settings("registering", client_id="", host="localhost")
        (site.data / "providers.toml").write_text(settings + f"port = {peer.port}\n")
        yield peer


@pytest.fixture
def site(tmp_path: Path, provider: RealProvider, port: int) -> Site:
    web = {"public_url": f"http://127.0.0.1:{port}", "port": port}
    site = install(tmp_path / "outgate", web=web, delivery={"max_age": 0.001})  # a token for each message
    with (site.data / "ca.pem").open("a") as file:
        file.write(provider.authority.read_text())
    return site


def led_to(page: httpx2.Response) -> str:
    """The address that a page leads to."""
    assert page.status_code == 200, page.text
    found = re.search(r'<meta http-equiv="refresh" content="0; url=([^"]+)">', page.text)
    assert found, page.text
    return unescape(found[1])


async def signed_in(browser: httpx2.AsyncClient, site: Site, provider: RealProvider, **form: str) -> str:
    """From the button to the address that the provider sends the browser back to."""
    page = await browser.post("/settings/accounts/sign-in", data={"provider": "registering", **form})
    back = str(browser.base_url.join("/settings/accounts/signed-in"))
    return await asyncio.to_thread(provider.sign_in, led_to(page), PARTNER, back)


async def test_an_address_is_added_and_later_repaired_by_signing_in(
    site: Site, provider: RealProvider, gateway: RawPeer, port: int
) -> None:
    await site.switch(on=True)
    server = await running(site)
    try:
        async with logged_in(port) as browser:
            page = await browser.get("/settings/accounts/add/server", params={"address": PARTNER, "name": "Alice"})
            assert "Sign in with Example" in page.text
            done = await browser.get(await signed_in(browser, site, provider, **ADD))
            assert (done.status_code, done.headers["location"]) == (
                303,
                f"/settings/accounts/{PARTNER}/confirm?done=added",
            )
            await asyncio.to_thread(_confirm, site)
            await submit(site, PARTNER)
            (first,) = await gateway.wait_for(1)
            assert first.username == PARTNER

            await asyncio.to_thread(_end_consent, site, provider)
            await submit(site, PARTNER)
            await eventually(lambda: _is_suspended(site), "the gateway is suspended", in_thread=True)
            listed = await browser.get("/settings/accounts")
            assert "Sign in again" in listed.text
            page = await browser.get(f"/settings/accounts/{PARTNER}/server")
            assert "Sign in again with Example" in page.text
            done = await browser.get(await signed_in(browser, site, provider, address=PARTNER))
            assert done.headers["location"] == "/settings/accounts?done=server"
            received = await gateway.wait_for(2)
            assert len(received) == 2
    finally:
        await server.stop()


async def test_an_answer_counts_for_the_browser_and_the_user_who_began_alone(
    site: Site, provider: RealProvider, gateway: RawPeer, port: int
) -> None:
    await site.switch(on=True)
    server = await running(site)
    try:
        async with logged_in(port) as browser, logged_in(port, BOB) as other:
            back = await signed_in(browser, site, provider, **ADD)
            assert (await other.get(back)).status_code == 400
            other.cookies.set("sign-in", browser.cookies["sign-in"])
            assert (await other.get(back)).status_code == 400
            forged = back.replace(parse_qs(back.partition("?")[2])["state"][0], "another")
            answer = await browser.get(forged)
            assert answer.status_code == 400
            assert "not to this sign-in" in answer.text
            place, _, query = back.partition("?")
            refused = f"{place}?error=access_denied&state={parse_qs(query)['state'][0]}"
            assert "The provider says: access_denied" in (await browser.get(refused)).text
            assert (await browser.get(back)).status_code == 303
            assert (await browser.get(back)).status_code == 400  # the cookie is gone
            unknown = await browser.post("/settings/accounts/sign-in", data={**ADD, "provider": "google"})
            assert unknown.status_code == 404
    finally:
        await server.stop()


def _confirm(site: Site) -> None:
    """As the code does that was mailed."""
    place = site.place()
    with place.engine.begin() as connection:
        connection.execute(tables.send_as.update().where(tables.send_as.c.address == PARTNER).values(verified_at=1.0))
        connection.execute(
            tables.organisation.update().values(directory_version=tables.organisation.c.directory_version + 1)
        )
    place.engine.dispose()


def _end_consent(site: Site, provider: RealProvider) -> None:
    """The user revokes it at the provider, and the access token ends."""
    place = site.place()
    with read(place.engine) as connection:
        (gateway,) = (one.gateway for _, _, one in send_as_addresses.every(connection, "/") if one.gateway)
        grant = oauth_grants.find(connection, place.vault, gateway)
        assert grant
        client = oauth_clients.by_id(connection, place.vault, "registering", grant.client_id)
    assert client
    provider.revoke(grant.tokens.refresh, client.client_id, client.secret)
    with place.engine.begin() as connection:
        connection.execute(tables.oauth_grant.update().values(expires_at=1.0, refreshed_at=0.0))
    place.engine.dispose()


def _is_suspended(site: Site) -> bool:
    place = site.place()
    with read(place.engine) as connection:
        found = connection.execute(select(tables.restriction.c.reason)).scalars().all()
    place.engine.dispose()
    return any("sign in again" in reason for reason in found)
