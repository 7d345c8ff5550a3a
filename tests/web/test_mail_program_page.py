"""The page of mail programs, and what programs ask for before anybody logs in, at a running server."""

import asyncio
import plistlib
from collections.abc import AsyncIterator
from xml.etree.ElementTree import fromstring

import pytest
import pytest_asyncio

from outgate.directory import users
from outgate.mail_program.autodiscover import MAX_REQUEST
from outgate.store.engine import write
from outgate.web.qr_code import qr_code
from way.place import Site, install, running
from web.links import opened
from web.people import ALICE, browser_at, logged_in

PAGE = "/settings/mail-program"
ASKED = (
    '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
    "<EMailAddress>{}</EMailAddress></Request></Autodiscover>"
)


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """With a server for reading mail."""
    web = {"public_url": f"http://127.0.0.1:{port}", "port": port}
    path = tmp_path_factory.mktemp("program") / "outgate"
    return install(path, web=web, local={"programs_imap": "imaps://imap.example.com"})


@pytest_asyncio.fixture
async def pages(site: Site, port: int) -> AsyncIterator[int]:
    """The port of a running server."""
    server = await running(site)
    yield port
    await server.stop()


async def test_a_user_finds_what_to_enter_and_what_does_it_by_itself(site: Site, pages: int) -> None:
    async with logged_in(pages) as browser:
        page = (await browser.get(PAGE)).text
        for value in ("mail.example.com", str(site.tls), str(site.starttls), "imap.example.com", "993", ALICE):
            assert value in page
        assert page.count('class="qr"') == 2
        profile = await browser.get(f"{PAGE}/apple.mobileconfig")
    assert profile.headers["content-type"] == "application/x-apple-aspen-config"
    assert profile.headers["content-disposition"] == 'attachment; filename="example.com.mobileconfig"'
    assert plistlib.loads(profile.content)["PayloadContent"][0]["OutgoingMailServerPortNumber"] == site.tls
    await asyncio.to_thread(_rename, site, "à" * users.LONGEST_NAME)
    async with logged_in(pages) as browser:
        page = (await browser.get(PAGE)).text
    assert page.count('class="qr"') == 2, "the longest name fits into the code that has it"
    assert qr_code("x" * 3000) is None
    async with browser_at(pages) as stranger:
        assert (await stranger.get(f"{PAGE}/apple.mobileconfig")).headers["location"].startswith("/log-in")


def _rename(site: Site, name: str) -> None:
    with opened(site) as place, write(place.engine) as connection:
        users.edit(connection, ALICE, name=name)


async def test_programs_are_told_the_same_of_everybody_in_a_domain_and_nothing_of_others(
    site: Site, pages: int
) -> None:
    async with browser_at(pages) as program:
        del program.headers["Sec-Fetch-Site"]  # of browsers alone
        paths = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
        told = [
            await program.get(f"{path}?emailaddress={who}@example.com") for path in paths for who in ("alice", "no1")
        ]
        told.append(await program.get(paths[0]))
        assert {one.status_code for one in told} == {200}
        assert len({one.content for one in told}) == 1
        ports = [one.text for one in fromstring(told[0].content).iterfind(".//outgoingServer/port")]
        assert ports == [str(site.tls), str(site.starttls)]
        answers = [
            (await program.post("/Autodiscover/Autodiscover.xml", content=ASKED.format(f"{who}@Example.COM"))).text
            for who in ("alice", "no1")
        ]
        assert answers[0].replace("alice@example.com", "no1@example.com") == answers[1]
        assert "<Action>settings</Action>" in answers[1]
        unusual = await program.get("/.well-known/user-agent-configuration.json")
        assert unusual.status_code == 404  # the ports here are none that PACC knows
        where = await program.get("/autodiscover/autodiscover.json/v1.0/no1@example.com?Protocol=AutodiscoverV1")
        assert where.json()["Url"] == f"http://127.0.0.1:{pages}/autodiscover/autodiscover.xml"
        for address in ("alice@other.example", "nobody", "a@b@c", "%00@example.com", "x" * 400 + "@example.com%0d"):
            assert (await program.get(f"/mail/config-v1.1.xml?emailaddress={address}")).status_code == 404, address
        other = await program.post("/autodiscover/autodiscover.xml", content=ASKED.format("alice@other.example"))
        assert (other.status_code, "<ErrorCode>600</ErrorCode>" in other.text) == (200, True)
        large = await program.post("/autodiscover/autodiscover.xml", content=b" " * (MAX_REQUEST + 1))
        assert large.status_code == 413
        looked = await program.get("/autodiscover/autodiscover.xml")
        assert (looked.status_code, looked.headers["allow"]) == (405, "POST")
