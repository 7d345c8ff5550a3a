"""Routing, Compliance and Authenticate email at a running server: what is saved holds, what is pasted is right."""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from bench.scratch import free_port

from advisor.zone import Zone, serving
from corpus.peer import RawPeer
from outgate import clock
from outgate.directory import organisation, policies, roles, units
from outgate.directory.settings import setting
from outgate.model import Gateway
from outgate.store.engine import read, write
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, install, running
from web.links import opened
from web.people import ALICE, logged_in

ROUTING, COMPLIANCE = "/admin/apps/mail/routing", "/admin/apps/mail/compliance"
AUTHENTICATE = "/admin/apps/mail/authenticate-email"
HOSTS = "mail.example.com. A 192.0.2.25\nlocalhost. A 127.0.0.1"
HOSTILE = """"><script>alert(1)</script>{{7*7}}"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def zone() -> Iterator[Zone]:
    """All that the DNS says."""
    with serving(HOSTS) as zone:
        yield zone


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int, zone: Zone) -> Site:
    """Alice may do everything."""
    path: Path = tmp_path_factory.mktemp("mail") / "outgate"
    pages = {"public_url": f"http://127.0.0.1:{port}", "port": port}
    site = install(path, web=pages, delivery={"nameservers": [zone.nameserver]})
    with opened(site) as place, write(place.engine) as connection:
        units.create(connection, "/Sales")
        roles.assign(connection, ALICE, "super-admin", "/", clock.now())
    return site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(site: Site, port: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Her browser at the running server."""
    process = await running(site)
    async with logged_in(port) as browser:
        yield browser
    await process.stop()


def words_of(page: str) -> str:
    """What is read in the room."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2] or page)))


# --- Compliance ------------------------------------------------------------------------------------------------------


async def value(site: Site, unit: str, name: str) -> object:
    """What is in force."""

    def look() -> object:
        with opened(site) as place, read(place.engine) as connection:
            return policies.load(connection).effective(unit, setting(name)).value

    return await asyncio.to_thread(look)


@pytest.mark.parametrize(
    ("name", "entered", "kept", "shown"),
    [
        ("gatewayNotAllowed", "refuse", "refuse", "it is refused"),
        ("messagesPerDay", "250", 250, "250"),
        ("deniedAttachmentTypes", ".exe, application/zip", [".exe", "application/zip"], ".exe,application/zip"),
        ("gatewayFooter", "Confidential <b>\nindeed", "Confidential <b>\nindeed", "Confidential <b> indeed"),
        ("requireGatewayTls", "on", True, "on"),
    ],
)
async def test_a_setting_is_changed_for_a_unit_and_inherited_again(
    site: Site, alice: httpx2.AsyncClient, name: str, entered: str, kept: object, shown: str
) -> None:
    before = await value(site, "/Sales", name)
    saved = await alice.post(COMPLIANCE, data={"unit": "/Sales", "setting": name, "value": entered})
    assert saved.status_code == 303
    assert await value(site, "/Sales", name) == kept
    assert f"{shown} set here" in words_of((await alice.get(saved.headers["location"])).text)
    one = (await alice.get(COMPLIANCE, params={"unit": "/Sales", "setting": name})).text
    assert "Inherit" in one
    await alice.post(COMPLIANCE, data={"unit": "/Sales", "setting": name, "inherit": "1"})
    assert await value(site, "/Sales", name) == before


@pytest.mark.parametrize(
    ("sent", "status", "why"),
    [
        ({"setting": "messagesPerDay", "value": "many"}, 400, "'many' is not a number of at least 0"),
        ({"setting": "unknownFrom", "value": HOSTILE}, 400, "is not one of: refuse, rewrite"),
        ({"setting": "allowedGatewayPorts", "value": "587, 99999"}, 400, "'99999' is not a port"),
        ({"setting": "allowUsersToUseExternalSmtpServers", "value": "on"}, 404, "There is no setting"),
        ({"setting": HOSTILE, "value": "on"}, 404, "There is no setting"),
        ({"setting": "messagesPerDay", "value": "1", "unit": "/Nowhere"}, 404, "There is no unit /Nowhere"),
    ],
)
async def test_what_is_no_value_is_said_and_not_saved(
    site: Site, alice: httpx2.AsyncClient, sent: dict[str, str], status: int, why: str
) -> None:
    answer = await alice.post(COMPLIANCE, data=sent)
    assert answer.status_code == status
    assert why in html.unescape(answer.text)
    assert "<script>alert" not in answer.text
    assert await value(site, "/", "messagesPerDay") == 0


# --- Routing ---------------------------------------------------------------------------------------------------------


async def gateway(site: Site) -> Gateway | None:
    """The organisation's, as the database has it."""

    def look() -> Gateway | None:
        with opened(site) as place, read(place.engine) as connection:
            return organisation.domain_gateway(connection)

    return await asyncio.to_thread(look)


async def test_the_outbound_gateway_is_tried_saved_changed_and_removed(site: Site, alice: httpx2.AsyncClient) -> None:
    tls = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=tls, credentials={"relay": GATEWAY_PASSWORD}) as peer:
        server = {"host": "localhost", "port": str(peer.port), "security": "starttls", "server_username": "relay"}
        wrong = await alice.post(ROUTING, data={**server, "server_password": "wrong"})
        assert wrong.status_code == 422
        assert "Log-in refused" in wrong.text
        assert await gateway(site) is None
        saved = await alice.post(ROUTING, data={**server, "server_password": GATEWAY_PASSWORD})
        assert saved.headers["location"] == f"{ROUTING}?done=saved"
        assert "localhost (relay)" in words_of((await alice.get(saved.headers["location"])).text)
        again = await alice.post(ROUTING, data={**server, "server_password": ""})
        assert again.status_code == 303, "the password that is kept serves the same server again"
    elsewhere = await alice.post(ROUTING, data={**server, "host": "elsewhere.example", "server_password": ""})
    assert "Enter the password again" in elsewhere.text
    for nothing in ("", " ", ",", " , ,"):
        unnamed = await alice.post(ROUTING, data={**server, "host": nothing, "server_password": ""})
        assert (unnamed.status_code, "Enter the name of the SMTP server" in unnamed.text) == (400, True), nothing
    assert "Remove the outbound gateway?" in (await alice.post(ROUTING, data={"do": "remove"})).text
    assert await gateway(site)
    await alice.post(ROUTING, data={"do": "remove", "meant": "on"})
    assert await gateway(site) is None


async def test_a_domain_gets_a_gateway_of_its_own_with_a_host_to_fall_back_to(
    site: Site, alice: httpx2.AsyncClient
) -> None:
    """Each host is tried; the organisation's own gateway stays as it is."""

    def add_domain() -> None:
        with opened(site) as place, write(place.engine) as connection:
            organisation.add_domain(connection, "branch.example", clock.now())

    def own() -> Gateway | None:
        with opened(site) as place, read(place.engine) as connection:
            return organisation.domain_gateway(connection, "branch.example")

    await asyncio.to_thread(add_domain)
    port = free_port("127.0.0.1", "127.0.0.2")
    async with RawPeer(port=port) as first, RawPeer(host="127.0.0.2", port=port):
        server = {"domain": "branch.example", "port": str(first.port), "security": "none"}
        one_away = await alice.post(ROUTING, data={**server, "host": "127.0.0.1 127.0.0.3"})
        assert one_away.status_code == 422
        assert "127.0.0.3" in words_of(one_away.text)
        assert await asyncio.to_thread(own) is None
        saved = await alice.post(ROUTING, data={**server, "host": "127.0.0.1, 127.0.0.2"})
        assert saved.headers["location"] == f"{ROUTING}?domain=branch.example&done=saved-domain"
    found = await asyncio.to_thread(own)
    assert found is not None
    assert found.hosts == ("127.0.0.1", "127.0.0.2")
    assert await gateway(site) is None
    page = (await alice.get(saved.headers["location"])).text
    assert 'value="127.0.0.1 127.0.0.2"' in page
    assert "all domains · example.com (none of its own) · branch.example" in words_of(page)
    await alice.post(ROUTING, data={"do": "remove", "meant": "on", "domain": "branch.example"})
    assert await asyncio.to_thread(own) is None
    with_a_space = await alice.post(ROUTING, data={**server, "host": "127.0.0.1 127.0.0.1"})
    assert "Name each host of the gateway once" in words_of(with_a_space.text)


async def test_a_gateway_that_does_not_answer_is_said_with_what_was_found(alice: httpx2.AsyncClient) -> None:
    answer = await alice.post(ROUTING, data={"host": "127.0.0.1", "port": "1", "security": "none"})
    assert answer.status_code == 422
    assert "Not reached" in answer.text
    assert "127.0.0.1" in words_of(answer.text)
    hostile = await alice.post(ROUTING, data={"host": HOSTILE, "port": HOSTILE, "security": "none"})
    assert hostile.status_code == 400
    assert "<script>alert" not in hostile.text


# --- Authenticate email ----------------------------------------------------------------------------------------------


def pasted(page: str) -> str:
    """The records of a page, as they would go into a zone file."""
    return "\n".join(html.unescape(one) for one in re.findall(r"</summary><code>(.*?)</code>", page))


def publish(zone: Zone, records: str) -> None:
    """Put records into the DNS."""
    zone.text = f"{HOSTS}\n{records}"
    zone.__post_init__()


async def test_records_that_are_pasted_as_they_stand_there_are_found_right(
    zone: Zone, alice: httpx2.AsyncClient
) -> None:
    page = (await alice.get(AUTHENTICATE)).text
    check = f"{AUTHENTICATE}/check?domain=example.com"
    assert f'hx-get="{check}"' in page
    before = words_of((await alice.get(check)).text)
    assert "SPF: no policy DKIM: no key published DMARC: no policy" in before
    assert "to do Not right yet: SPF, DKIM, DMARC." in words_of(
        (await alice.get("/admin/check?name=dns:example.com")).text
    )
    publish(zone, pasted(page))
    after = words_of((await alice.get(f"{AUTHENTICATE}?domain=example.com&look=1")).text)
    assert "SPF: passes DKIM: passes DMARC: p=none" in after
    assert "Mail leaves from: 192.0.2.25" in after
    assert "done SPF, DKIM and DMARC" in words_of((await alice.get("/admin/check?name=dns:example.com")).text)
    assert "done mail.example.com is in the DNS." in words_of((await alice.get("/admin/check?name=host")).text)


async def done(alice: httpx2.AsyncClient, do: str) -> str:
    """What a button of the new domain leads to."""
    answer = await alice.post(AUTHENTICATE, data={"do": do, "domain": "filiale.example"})
    return (await alice.get(answer.headers["location"])).text


async def test_a_domain_is_added_gets_new_keys_when_they_are_published_and_is_removed(
    alice: httpx2.AsyncClient, zone: Zone
) -> None:
    added = await alice.post(AUTHENTICATE, data={"do": "add", "new": "Filiale.example"})
    page = (await alice.get(added.headers["location"])).text
    first = re.search(r"(outgate\d{6}-[0-9a-f]{6})\._domainkey\.filiale\.example", page)
    assert first
    page = await done(alice, "rotate")
    new = re.search(r"(outgate\d{6}-[0-9a-f]{6})-ed\._domainkey\.filiale\.example", page)
    assert new
    assert "Look for the new records" in page
    assert "Not all records of the new keys are seen yet." in await done(alice, "look")
    publish(zone, pasted(page))
    check = "/admin/check?name=dns:filiale.example"
    assert "to do New DKIM keys do not sign yet: their records must be published." in (
        words_of((await alice.get(check)).text)
    )
    page = await done(alice, "look")
    assert "Mail is signed with the new keys from now on." in page
    assert re.search(rf"{first.group(1)} former; leave its record until .* {new.group(1)} signs", words_of(page))
    assert "done SPF, DKIM and DMARC" in words_of((await alice.get(check)).text)
    assert "Forget the new keys" in await done(alice, "rotate")
    assert "Mail is signed as before." in await done(alice, "cancel")
    asked = await alice.post(AUTHENTICATE, data={"do": "remove", "domain": "filiale.example"})
    assert "Remove this domain?" in asked.text
    await alice.post(AUTHENTICATE, data={"do": "remove", "domain": "filiale.example", "meant": "on"})
    assert (await alice.get(AUTHENTICATE, params={"domain": "filiale.example"})).status_code == 404


@pytest.mark.parametrize(
    ("sent", "status", "why"),
    [
        ({"do": "add", "new": "example.com"}, 409, "is one of the organisation's domains already"),
        ({"do": "add", "new": HOSTILE}, 400, ""),
        ({"do": "remove", "domain": "example.com", "meant": "on"}, 403, "is the primary domain"),
        ({"do": "burn", "domain": "example.com"}, 400, "can't be done with a domain"),
    ],
)
async def test_what_can_not_be_done_to_a_domain_is_said(
    alice: httpx2.AsyncClient, sent: dict[str, str], status: int, why: str
) -> None:
    answer = await alice.post(AUTHENTICATE, data=sent)
    assert answer.status_code == status
    assert why in html.unescape(answer.text)
    assert "<script>alert" not in answer.text
