"""A partner's domain is proven on its page, granted to a unit with a common server, used, repaired and taken back: with
a real DNS server, a real server of the partner, and users who learn of it what they may.
"""

import asyncio
import html
import re
import smtplib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import pytest_asyncio

from advisor.zone import Zone, serving
from corpus.peer import RawPeer
from oauth.scripted_provider import ScriptedProvider
from outgate import clock
from outgate.directory import roles, units, users
from outgate.sendas import proven_domains
from outgate.store.engine import write
from way.place import LOCALHOST, Site, eventually, install, running
from way.submit import message, submit
from way.test_own_mail_leaves import inbox
from way.test_suspension import once
from web.links import opened
from web.people import ALICE, BOB, logged_in

DOMAINS = "/admin/account/proven-domains"
GRANTS = "/admin/apps/mail/granted-addresses"
DOMAIN = "dominiopartner.example"
SALES = f"sales@{DOMAIN}"
CARLA = f"carla@{DOMAIN}"
USER, FIRST, SECOND = "common-user", "first-secret", "second-secret"
TO_SALES = {"address": SALES, "unit": "/Sales"}
HOSTILE = """"><script>alert(1)</script>{{7*7}}"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Partner:
    """The partner's server, and what log-ins it takes: they change."""

    server: RawPeer
    log_ins: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def zone() -> Iterator[Zone]:
    """The partner's DNS; what it says of the proof is put in by the test."""
    with serving(f'{DOMAIN}. 60 IN TXT "x"\nlocalhost. 60 IN A 127.0.0.1\n') as zone:
        yield zone


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int, zone: Zone) -> Site:
    """Bob may do everything, alice works in /Sales."""
    path: Path = tmp_path_factory.mktemp("grants") / "outgate"
    delivery = {"nameservers": [zone.nameserver]}
    web = {"public_url": f"http://127.0.0.1:{port}", "port": port, "undo_send": 0}
    site = install(path, web=web, delivery=delivery)
    with opened(site) as place, write(place.engine) as connection:
        units.create(connection, "/Sales")
        users.move(connection, ALICE, "/Sales")
        roles.assign(connection, BOB, "super-admin", "/", clock.now())
    return site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def partner(site: Site) -> AsyncIterator[Partner]:
    log_ins = {USER: FIRST}
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials=log_ins) as server:
        yield Partner(server, log_ins)


@pytest.fixture(scope="module")
def provider(site: Site) -> Iterator[ScriptedProvider]:
    """At which the partner's people sign in."""
    with ScriptedProvider(site.authority.server_context(LOCALHOST), time.time) as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mailboxes(site: Site, provider: ScriptedProvider) -> AsyncIterator[RawPeer]:
    """The provider's own server, which takes its tokens alone."""
    async with RawPeer(tls=site.authority.server_context(LOCALHOST), bearer=provider.whose) as server:
        (site.data / "providers.toml").write_text(provider.settings('host = "localhost"', f"port = {server.port}"))
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bob(site: Site, port: int, mailboxes: RawPeer) -> AsyncIterator[httpx2.AsyncClient]:
    """His browser at the running server."""
    server = await running(site)
    async with logged_in(port, BOB) as browser:
        yield browser
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def proven(site: Site) -> None:
    """DOMAIN is, also where the test that tells how does not run; that comes first, and finds none."""

    def prove() -> None:
        with opened(site) as place, write(place.engine) as connection:
            proven_domains.begin(connection, DOMAIN, clock.now())
            proven_domains.settle_check(connection, DOMAIN, True, clock.now())

    await asyncio.to_thread(prove)


async def shown(browser: httpx2.AsyncClient, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


async def sent_from_pages(browser: httpx2.AsyncClient) -> str:
    """A message is sent, and waits; where that is told."""
    fields = {"do": "send", "from": SALES, "to": "carol@d.example", "subject": "Prices", "text": "See below."}
    path = (await browser.post("/", data=fields)).headers["location"].partition("?")[0]
    async with asyncio.timeout(20):
        while "does not work now" not in (page := await shown(browser, path)):
            assert USER not in page
            await asyncio.sleep(0.05)
    return path


async def test_a_domain_is_proven_by_the_record_that_its_page_shows(
    site: Site, zone: Zone, bob: httpx2.AsyncClient
) -> None:
    assert "No domain is proven." in await shown(bob, DOMAINS)
    added = await bob.post(DOMAINS, data={"do": "begin", "new": DOMAIN.upper()})
    assert added.headers["location"] == f"{DOMAINS}?domain={DOMAIN}&done=begin"

    def begun() -> proven_domains.ProvenDomain:
        with opened(site) as place, write(place.engine) as connection:
            return proven_domains.find(connection, DOMAIN)

    domain = await asyncio.to_thread(begun)
    page = await shown(bob, added.headers["location"])
    assert domain.record_name in page
    assert domain.record_value in page
    assert "not proven yet" in page
    check = {"do": "check", "domain": DOMAIN}
    assert (await bob.post(DOMAINS, data=check)).headers["location"].endswith("&done=absent")
    refused = await bob.post(GRANTS, data={"do": "add", **TO_SALES})
    assert (refused.status_code, "is not proven" in refused.text) == (403, True)
    zone.servfail = frozenset({domain.record_name})
    unanswered = await bob.post(DOMAINS, data=check)
    assert (unanswered.status_code, "nothing has changed" in unanswered.text) == (503, True)
    zone.servfail = frozenset()
    zone.add(f'{domain.record_name}. 60 IN TXT "{domain.record_value}"\n')
    proven = await bob.post(DOMAINS, data=check)
    assert proven.headers["location"].endswith("&done=found")
    assert "The record has to stay" in await shown(bob, proven.headers["location"])
    hostile = await bob.post(DOMAINS, data={"do": "begin", "new": HOSTILE})
    assert hostile.status_code == 400
    assert HOSTILE not in hostile.text
    assert HOSTILE in html.unescape(hostile.text)


@pytest.mark.usefixtures("proven")
async def test_a_common_server_is_set_used_by_those_who_cannot_see_its_log_in_and_taken_back(
    site: Site, port: int, bob: httpx2.AsyncClient, partner: Partner
) -> None:
    granted = await bob.post(GRANTS, data={"do": "add", **TO_SALES, "common": "on"})
    gateway = granted.headers["location"]
    assert gateway == f"{GRANTS}/gateway?address={SALES.replace('@', '%40')}&unit=%2FSales"
    assert f"Common server of {SALES}" in await shown(bob, gateway)
    server = {"host": "localhost", "port": str(partner.server.port), "server_username": USER, "security": "starttls"}
    wrong = await bob.post(gateway, data={**TO_SALES, **server, "server_password": "wrong"})
    assert (wrong.status_code, "535" in wrong.text, "wrong" in wrong.text.split("535")[0]) == (422, True, False)
    saved = await bob.post(gateway, data={**TO_SALES, **server, "server_password": FIRST})
    assert saved.headers["location"] == f"{GRANTS}?done=gateway", saved.text
    assert "localhost" in await shown(bob, GRANTS)

    await submit(site, SALES, content=message(SALES, "number 0"))
    (received,) = await partner.server.wait_for(1)
    assert received.reverse_path == SALES
    async with logged_in(port) as alice:
        accounts = await shown(alice, "/settings/accounts")
        assert "set by your administrator" in accounts
        for page in ("/settings/accounts", f"/settings/accounts/{SALES}/edit", "/"):
            assert USER not in await shown(alice, page)
            assert FIRST not in await shown(alice, page)
        assert (await alice.get(gateway)).status_code == 403
        elsewhere = {**TO_SALES, **server, "host": "127.0.0.1", "server_password": ""}
        assert (await alice.post(gateway, data=elsewhere)).status_code == 403
        hers = await alice.post(f"/settings/accounts/{SALES}/server", data=elsewhere)
        assert (hers.status_code, "give both or neither" in hers.text) == (400, True)
    kept = await bob.post(gateway, data=elsewhere)
    assert (kept.status_code, "Enter the password again" in kept.text) == (400, True)

    # The partner changes its password: administrators are told, the user is not, and after the repair all leaves.
    partner.log_ins[USER] = SECOND
    await partner.server.hang_up()
    for number in (1, 2):
        await submit(site, SALES, content=message(SALES, f"number {number}"))
    await eventually(lambda: inbox(site, BOB), "the administrator is told")
    (told,) = inbox(site, BOB)
    assert "535 5.7.8 Wrong user or password" in told.get_content()
    assert f"{bob.base_url}".rstrip("/") + gateway in told.get_content()
    (state,) = await once(site, ["gateway", "list"], lambda found: found and found[0]["recipients"] == 2)
    assert (state["state"], state["ou"], state["address"]) == ("suspended", "/Sales", SALES)
    async with logged_in(port) as alice:
        accounts = await shown(alice, "/settings/accounts")
        assert "Only an administrator can repair that" in accounts
        assert f"{SALES}/server" not in accounts
        assert USER not in accounts
        assert USER not in await shown(alice, await sent_from_pages(alice))
        for page in ("/sent", "/"):
            assert USER not in await shown(alice, page)
    repaired = await bob.post(gateway, data={**TO_SALES, **server, "server_password": SECOND})
    assert repaired.headers["location"] == f"{GRANTS}?done=gateway", repaired.text
    assert len(await partner.server.wait_for(4)) == 4
    assert inbox(site, ALICE) == []

    asked = await bob.post(GRANTS, data={"do": "remove", **TO_SALES})
    assert (asked.status_code, SALES in asked.text) == (200, True)
    removed = await bob.post(GRANTS, data={"do": "remove", **TO_SALES, "meant": "on"})
    assert removed.headers["location"] == f"{GRANTS}?done=remove"
    with pytest.raises(smtplib.SMTPException, match="is not an address of"):
        await submit(site, SALES, content=message(SALES, "number 3"))
    assert "Nothing is granted yet" in await shown(bob, GRANTS)


async def signed_in(browser: httpx2.AsyncClient, provider: ScriptedProvider, **form: str) -> httpx2.Response:
    """From the button to the provider, where CARLA signs in, and back."""
    wanted = {"provider": "example", "common": "on", "login": CARLA, **TO_SALES, **form}
    begun = await browser.post("/settings/accounts/sign-in", data=wanted)
    assert begun.status_code == 200, begun.text
    (led_to,) = re.findall(r'content="0; url=([^"]+)"', begun.text)
    asked = dict(parse_qsl(urlsplit(html.unescape(led_to)).query))
    assert asked["login_hint"] == CARLA
    returned = {"code": provider.code_for(CARLA), "state": asked["state"]}
    return await browser.get(urlsplit(asked["redirect_uri"]).path, params=returned)


@pytest.mark.usefixtures("proven")
async def test_an_administrator_signs_in_once_for_all_who_were_granted_the_address(
    site: Site, port: int, bob: httpx2.AsyncClient, provider: ScriptedProvider, mailboxes: RawPeer
) -> None:
    granted = await bob.post(GRANTS, data={"do": "add", **TO_SALES, "common": "on"})
    gateway = granted.headers["location"]
    assert "Sign in with Example" in await shown(bob, gateway)
    saved = await signed_in(bob, provider)
    assert saved.headers["location"] == f"{GRANTS}?done=gateway", saved.text
    await submit(site, SALES, content=message(SALES, "signed in"))
    (received,) = await mailboxes.wait_for(1)
    assert (received.username, received.reverse_path) == (CARLA, SALES)

    # The consent is revoked: administrators are told, no user is, and after another sign-in all leaves.
    provider.revoke(CARLA)
    await mailboxes.hang_up()
    await submit(site, SALES, content=message(SALES, "waits"))

    def notices() -> list[str]:
        return [one.get_content() for one in inbox(site, BOB) if "common sign-in" in one["Subject"]]

    await eventually(notices, "the administrator is told")
    (told,) = notices()
    assert "Sign in again:" in told
    assert f"{bob.base_url}".rstrip("/") + gateway in told
    async with logged_in(port) as alice:
        accounts = await shown(alice, "/settings/accounts")
        assert "Only an administrator can repair that" in accounts
        assert ("Sign in again" in accounts, CARLA in accounts) == (False, False)
        theirs = {"provider": "example", "common": "on", **TO_SALES}
        assert (await alice.post("/settings/accounts/sign-in", data=theirs)).status_code == 403
    assert "Sign in again with Example" in await shown(bob, gateway)
    repaired = await signed_in(bob, provider)
    assert repaired.headers["location"] == f"{GRANTS}?done=gateway", repaired.text
    assert len(await mailboxes.wait_for(2)) == 2
    assert inbox(site, ALICE) == []
