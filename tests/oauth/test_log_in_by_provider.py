"""Logging in to the pages by a real OpenID provider: who gets in, and who is asked again."""

import asyncio
import json
import re
import threading
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Sequence
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pyotp
import pytest
import pytest_asyncio
from bench.scratch import free_port
from sqlalchemy import update
from starlette.requests import Request
from structlog.testing import capture_logs

from oauth.real_provider import RealProvider
from outgate import clock
from outgate.accept.throttle import limits_of
from outgate.directory import known_networks, second_factors, users, web_sessions
from outgate.directory.change import touch
from outgate.directory.web_sessions import OpenedBy, WebSession, WebSessionLimits
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.store.rates import Rates
from outgate.store.vault import Vault
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from way.place import Site, eventually, install, running
from web.links import opened
from web.people import ALICE, BOB, browser_at, log_in

DORA = "dora@example.com"  # has no password
SECURITY = "/settings/security"
HERE = "127.0.0.0/24"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def port() -> int:
    """Of the pages."""
    return free_port()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, provider: RealProvider, port: int) -> Site:
    """With the provider, Dora, and Bob suspended."""
    oidc = {"issuer": provider.issuer, "client_id": "pages", "client_secret_file": "pages.secret", "name": "Example"}
    web = {"public_url": f"http://127.0.0.1:{port}", "port": port, "oidc": oidc}
    site = install(tmp_path_factory.mktemp("pages") / "outgate", web=web)
    secret = site.data / "pages.secret"
    secret.write_text("pages secret\n")
    secret.chmod(0o600)
    with (site.data / "ca.pem").open("a") as file:
        file.write(provider.authority.read_text())
    with opened(site) as place, write(place.engine) as connection:
        users.create(connection, DORA, None, clock.now())
        users.suspend(connection, BOB)
    return site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(site: Site) -> AsyncIterator[None]:
    """Runs while the tests do."""
    running_server = await running(site)
    yield
    await running_server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(server: None, port: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Nobody's yet."""
    async with browser_at(port) as nobodys:
        yield nobodys


def back(browser: httpx2.AsyncClient) -> str:
    """Where the provider sends it."""
    return str(browser.base_url.join("/log-in/returned"))


async def begun(browser: httpx2.AsyncClient, page: str) -> str:
    """The provider's address that the button of a page leads to."""
    shown = await browser.get(page)
    link = re.search(r'href="((?:/log-in|/prove)/provider[^"]*)"', shown.text)
    assert link, shown.text
    sent = await browser.get(unescape(link[1]))
    assert sent.status_code == 303, sent.text
    return sent.headers["location"]


def doras_sessions(site: Site) -> Sequence[WebSession]:
    """Where she is logged in."""
    with opened(site) as place, read(place.engine) as connection:
        dora = users.find(connection, DORA)
        return web_sessions.listed(connection, dora.id, WebSessionLimits(3600, 3600), clock.now())


def count_users(site: Site) -> int:
    """All that there are."""
    with opened(site) as place, read(place.engine) as connection:
        return users.count_all(connection)


def is_known(site: Site, address: str) -> bool:
    """Whether somebody has logged in from here before."""
    with opened(site) as place, read(place.engine) as connection:
        return known_networks.is_known(connection, address, HERE, clock.now())


def rename(site: Site, before: str, after: str) -> None:
    """Another primary address for the same account."""
    with opened(site) as place, write(place.engine) as connection:
        touch(connection)
        columns = tables.account.c
        connection.execute(
            update(tables.account).where(columns.primary_address == before).values(primary_address=after)
        )


async def returned(
    browser: httpx2.AsyncClient, provider: RealProvider, user: str, page: str = "/log-in"
) -> httpx2.Response:
    """What comes of logging in there as `user`."""
    url = await begun(browser, page)
    return await browser.get(await asyncio.to_thread(provider.sign_in, url, user, back(browser)))


async def test_a_user_comes_where_they_wanted_to_go_and_must_show_again_who_they_are_for_more(
    browser: httpx2.AsyncClient, site: Site, provider: RealProvider
) -> None:
    done = await returned(browser, provider, DORA, "/log-in?to=/settings/accounts")
    assert (done.status_code, done.headers["location"]) == (303, "/settings/accounts")
    assert (await browser.get("/settings/accounts")).status_code == 200
    (session,) = await asyncio.to_thread(doras_sessions, site)
    assert (session.opened_by, session.peer) == (OpenedBy.PROVIDER, "127.0.0.1")
    said = "strangers who lock Dora out do not lock out where she comes from"
    await eventually(lambda: is_known(site, DORA), said, in_thread=True)

    asked = await browser.get(SECURITY)
    prove = asked.headers["location"]
    assert prove == f"/prove?to={quote(SECURITY, safe='')}"
    page = await browser.get(prove)
    assert 'name="password"' not in page.text, "Dora has none"
    before = browser.cookies["session"]
    done = await returned(browser, provider, DORA, prove)
    assert (done.status_code, done.headers["location"]) == (303, SECURITY)
    assert browser.cookies["session"] != before
    shown = await browser.get(SECURITY)
    assert shown.status_code == 200
    assert "by Example" in shown.text


async def test_whoever_is_logged_in_there_is_asked_again_and_only_that_proves_it(
    browser: httpx2.AsyncClient, provider: RealProvider
) -> None:
    prove = f"/prove?to={quote(SECURITY, safe='')}"
    with provider.client() as there:  # it stays logged in at the provider
        done = await browser.get(
            await asyncio.to_thread(provider.walk, there, await begun(browser, "/log-in"), DORA, back(browser))
        )
        assert done.status_code == 303
        url = await begun(browser, prove)
        asked = parse_qs(urlsplit(url).query)
        assert (asked["prompt"], asked["max_age"], asked["login_hint"]) == (["login"], ["0"], [DORA])
        unasked = url.replace("&prompt=login", "").replace("&max_age=0", "")
        answer = await browser.get(await asyncio.to_thread(provider.walk, there, unasked, DORA, back(browser)))
        assert answer.status_code == 403
        assert "Example has not asked you who you are this time" in answer.text
        another = await returned(browser, provider, ALICE, prove)
        assert another.status_code == 403
        assert f"says that you are {ALICE}, but you are logged in here as {DORA}" in another.text
        assert (await browser.get(SECURITY)).status_code == 303
        done = await browser.get(
            await asyncio.to_thread(provider.walk, there, await begun(browser, prove), DORA, back(browser))
        )
        assert done.headers["location"] == SECURITY


async def test_what_strangers_guess_keeps_nobody_out_whom_the_provider_has_asked(
    browser: httpx2.AsyncClient, site: Site, provider: RealProvider
) -> None:
    def guess() -> None:
        with opened(site) as place:
            failed = limits_of(place.config.log_in).events(DORA, HERE, exempt=False)
            Rates(place.engine, clock.now).hit_all([*failed] * 10)

    await asyncio.to_thread(guess)
    assert (await log_in(browser, DORA)).status_code == 429
    assert (await returned(browser, provider, DORA)).status_code == 303


async def test_who_is_nobody_here_or_suspended_or_not_verified_there_stays_outside(
    browser: httpx2.AsyncClient, site: Site, provider: RealProvider
) -> None:
    refusals = {
        "carol@example.com": "Nobody has it here",
        BOB: "is suspended",
        "unverified-alice@example.com": "not verified your address",
    }
    with capture_logs() as lines:
        for user, words in refusals.items():
            answer = await returned(browser, provider, user)
            assert answer.status_code == 403
            assert words in answer.text
            assert "session" not in browser.cookies
    refused = [(line["username"], line["peer"]) for line in lines if line["event"] == "log-in failed"]
    assert refused == [("carol@example.com", "127.0.0.1"), (BOB, "127.0.0.1")]
    await browser.post("/language", data={"language": "it"})
    assert "Qui nessuno ha questo indirizzo" in (await returned(browser, provider, "carol@example.com")).text
    unverified = await returned(browser, provider, "unverified-alice@example.com")
    assert "il tuo indirizzo non vi è verificato (email_verified)" in unescape(unverified.text)
    assert await asyncio.to_thread(count_users, site) == 3, "nobody is made"


async def test_an_answer_counts_once_and_for_the_browser_that_began_alone(
    browser: httpx2.AsyncClient, port: int, provider: RealProvider
) -> None:
    url = await begun(browser, "/log-in?to=//evil.example")
    target = await asyncio.to_thread(provider.sign_in, url, DORA, back(browser))
    async with browser_at(port) as other:
        assert "No log-in has begun in this browser" in (await other.get(target)).text
    query = parse_qs(urlsplit(target).query)
    place = target.partition("?")[0]
    kept = browser.cookies["provider-log-in"]
    for wrong, words in {
        target.replace(query["state"][0], "another"): "not to this sign-in",
        f"{place}?error=access_denied&state={query['state'][0]}": "You have not logged in at Example; try again.",
        target.replace(query["code"][0], "guess"): "Example did not accept this log-in",
    }.items():
        browser.cookies.set("provider-log-in", kept, domain="127.0.0.1", path="/")
        answer = await browser.get(wrong)
        assert answer.status_code == 403
        assert words in unescape(answer.text), answer.text
        assert "provider-log-in" not in browser.cookies
    browser.cookies.set("provider-log-in", kept, domain="127.0.0.1", path="/")
    done = await browser.get(target)
    assert (done.status_code, done.headers["location"]) == (303, "/"), "no other site is gone to"
    assert (await browser.get(target)).status_code == 403


async def test_what_the_browser_keeps_is_no_longer_than_browsers_keep(browser: httpx2.AsyncClient, site: Site) -> None:
    short = f"/?subject={'x' * 900}"
    vault = site.place().vault
    for to, kept in {
        short: short,
        f"/?subject={'x' * 3000}": "/",
        f"/?subject={'è' * 900}": "/",
        f"/?{'%22' * 900}": "/",
        "//evil.example": "/",
    }.items():
        sent = await browser.get("/log-in/provider", params={"to": to})
        assert len(sent.headers["set-cookie"]) <= 4096
        sealed = urlsafe_b64decode(browser.cookies["provider-log-in"])
        assert json.loads(vault.open(sealed, "provider-log-in"))["to"] == kept


async def test_the_loop_seals_and_opens_nothing(browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys' file may be read for it."""
    by_loop: list[bool] = []
    seal, open_held = Vault.seal, Vault.open_held

    def sealed(vault: Vault, plaintext: bytes, identity: str) -> bytes:
        by_loop.append(threading.current_thread() is threading.main_thread())
        return seal(vault, plaintext, identity)

    def opened_again(vault: Vault, content: bytes, identity: str) -> bytes:
        by_loop.append(threading.current_thread() is threading.main_thread())
        return open_held(vault, content, identity)

    monkeypatch.setattr(Vault, "seal", sealed)
    monkeypatch.setattr(Vault, "open_held", opened_again)
    await begun(browser, "/log-in")
    assert (await browser.get("/log-in/returned?state=x")).status_code == 403
    assert by_loop == [False, False]


async def test_our_second_factor_is_asked_for_after_the_provider(
    browser: httpx2.AsyncClient, site: Site, provider: RealProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_factors, "STEP", 3600)  # none of the codes ends while this goes on
    await log_in(browser)
    await browser.post(f"{SECURITY}/second-factor")
    secret = re.search(r"<code[^>]*>([A-Z2-7 ]+)</code>", (await browser.get(f"{SECURITY}/second-factor")).text)
    assert secret
    app, period = pyotp.TOTP(secret[1].replace(" ", "")), int(clock.now()) // second_factors.STEP
    await browser.post(f"{SECURITY}/second-factor/confirm", data={"code": app.generate_otp(period - 1)})
    browser.cookies.clear()

    step = await returned(browser, provider, ALICE, f"/log-in?to={SECURITY}")
    assert "Enter the code" in step.text
    assert "session" not in browser.cookies
    ticket = re.search(r'name="ticket" value="([^"]+)"', step.text)
    assert ticket
    form = {"ticket": ticket[1], "to": SECURITY}
    assert (await browser.post("/log-in/code", data={**form, "code": "000000"})).status_code == 403
    done = await browser.post("/log-in/code", data={**form, "code": app.generate_otp(period)})
    assert done.headers["location"] == SECURITY

    step = await returned(browser, provider, ALICE, f"/prove?to={quote(SECURITY, safe='')}")
    ticket = re.search(r'name="ticket" value="([^"]+)"', step.text)
    assert ticket
    assert (await browser.get(SECURITY)).status_code == 303, "not before the code"
    done = await browser.post("/prove/code", data={"ticket": ticket[1], "code": app.generate_otp(period + 1)})
    assert done.headers["location"] == SECURITY
    assert (await browser.get(SECURITY)).status_code == 200

    known_before = Visits.open

    def renamed_since(visits: Visits, request: Request) -> Visit | None:
        visit = known_before(visits, request)
        rename(site, ALICE, "alicia@example.com")
        return visit

    prove = await begun(browser, f"/prove?to={quote(SECURITY, safe='')}")
    target = await asyncio.to_thread(provider.sign_in, prove, ALICE, back(browser))
    with monkeypatch.context() as patched:
        patched.setattr(Visits, "open", renamed_since)
        step = await browser.get(target)
    await asyncio.to_thread(rename, site, "alicia@example.com", ALICE)
    assert 'name="ticket"' in step.text, "it is the account that has a second factor, whatever its address"
