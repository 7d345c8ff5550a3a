"""Passwords, second factor, log-ins and programs' passwords on the page of security, at a running server."""

import asyncio
import html
import re
import time
from collections.abc import AsyncIterator

import httpx2
import pyotp
import pytest
import pytest_asyncio
from sqlalchemy import update

from outgate import clock
from outgate.directory import second_factors, users
from outgate.directory.web_sessions import OpenedBy
from outgate.operations import second_factor_operations
from outgate.operations.actor import Actor
from outgate.operations.context import writing
from outgate.store.engine import write
from outgate.store.tables import web_session
from way.place import PASSWORD, Site, install, running
from way.submit import submit
from web.links import opened
from web.people import ALICE, BOB, browser_at, log_in, logged_in

PAGE = "/settings/security"
HOSTILE = """"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'"""


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """Few tries."""
    web = {"public_url": f"http://127.0.0.1:{port}", "port": port}
    path = tmp_path_factory.mktemp("security") / "outgate"
    return install(path, web=web, log_in={"failures_per_account": "5/10minutes"})


@pytest_asyncio.fixture
async def pages(site: Site, port: int) -> AsyncIterator[int]:
    """The port of a running server."""
    server = await running(site)
    yield port
    await server.stop()


def codes_in(page: httpx2.Response) -> list[str]:
    """What stands there to be copied."""
    return re.findall(r"<code>([A-Z2-7 ]+)</code>", page.text)


def ticket_in(page: httpx2.Response) -> str:
    """What comes back with the code."""
    found = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert found
    return found[1]


async def set_up(browser: httpx2.AsyncClient) -> tuple[pyotp.TOTP, str, list[str]]:
    """Turn the second factor on; the app, its code that was spent on that, and the recovery codes."""
    await browser.post(f"{PAGE}/second-factor")
    secret = codes_in(await browser.get(f"{PAGE}/second-factor"))[0].replace(" ", "")
    app = pyotp.TOTP(secret)
    wrong = await browser.post(f"{PAGE}/second-factor/confirm", data={"code": "000000"})
    assert wrong.status_code == 400
    spent = app.now()
    done = await browser.post(f"{PAGE}/second-factor/confirm", data={"code": spent})
    assert done.status_code == 200
    return app, spent, codes_in(done)


async def enter(browser: httpx2.AsyncClient, code: str) -> int:
    """Log in by password and code; the status of the second step."""
    asked = await log_in(browser)
    assert asked.status_code == 200
    assert "session" not in browser.cookies
    return (await browser.post("/log-in/code", data={"ticket": ticket_in(asked), "code": code})).status_code


async def test_with_a_second_factor_the_password_alone_opens_nothing(pages: int) -> None:
    async with logged_in(pages) as browser:
        app, spent, codes = await set_up(browser)
    assert len(set(codes)) == second_factors.RECOVERY_CODES
    async with browser_at(pages) as browser:
        assert await enter(browser, spent) == 403, "a code opens once"
        assert await enter(browser, app.at(int(time.time()) + 30)) == 303
        assert (await browser.get(PAGE)).status_code == 200
    async with browser_at(pages) as browser:
        assert await enter(browser, codes[0].lower().replace(" ", "")) == 303
    async with browser_at(pages) as browser:
        assert await enter(browser, codes[0]) == 403
        assert await enter(browser, codes[1]) == 303
        assert "8 recovery codes are left" in (await browser.get(PAGE)).text


async def test_guesses_of_codes_are_counted_as_guesses_of_passwords_are(pages: int) -> None:
    async with logged_in(pages) as browser:
        *_, codes = await set_up(browser)
    async with browser_at(pages) as browser:
        ticket = ticket_in(await log_in(browser))
        answers = [await browser.post("/log-in/code", data={"ticket": ticket, "code": "123456"}) for _ in range(6)]
        assert [one.status_code for one in answers] == [403] * 5 + [429]
        right = await browser.post("/log-in/code", data={"ticket": ticket, "code": codes[0]})
        assert right.status_code == 429


async def test_a_forged_ticket_or_one_of_another_kind_is_no_first_step(pages: int) -> None:
    async with logged_in(pages) as browser:
        *_, codes = await set_up(browser)
        ticket = ticket_in(await browser.get(f"{PAGE}/passkeys/add"))
    async with browser_at(pages) as browser:
        real = ticket_in(await log_in(browser))
        for forged in ("", "x.y", real[:-1], f"x{real}", ticket):
            answer = await browser.post("/log-in/code", data={"ticket": forged, "code": codes[0]})
            assert answer.status_code == 403, forged
            assert "session" not in browser.cookies


async def test_with_a_second_factor_programs_need_a_password_of_their_own(site: Site, pages: int) -> None:
    await submit(site, ALICE)
    async with logged_in(pages) as browser:
        await set_up(browser)
        with pytest.raises(Exception, match=r"application password|5\.7\.8|535|534"):
            await submit(site, ALICE)
        made = await browser.post(f"{PAGE}/app-passwords", data={"name": "Phone"})
        await submit(site, ALICE, password=codes_in(made)[0])


async def test_an_administrator_resets_what_a_user_has_lost(site: Site, pages: int) -> None:
    def reset() -> None:
        console = Actor.console("test")
        with opened(site) as place, writing(place.engine, place.vault, console, clock.now()) as op:
            second_factor_operations.reset(op, ALICE)

    async with logged_in(pages) as browser:
        await set_up(browser)
        await asyncio.to_thread(reset)
        assert (await browser.get(PAGE)).headers["location"].startswith("/log-in")
        assert (await log_in(browser)).status_code == 303


async def test_a_new_password_logs_out_all_browsers_but_this_one(pages: int) -> None:
    async with logged_in(pages) as browser, logged_in(pages) as other:
        for password, again, why in (("short", "short", "8 to"), ("long enough", "other enough", "differ")):
            answer = await browser.post(f"{PAGE}/password", data={"password": password, "again": again})
            assert answer.status_code == 400
            assert why in answer.text
        changed = await browser.post(f"{PAGE}/password", data={"password": "long enough", "again": "long enough"})
        assert changed.headers["location"] == f"{PAGE}?done=password"
        assert (await browser.get(PAGE)).status_code == 200
        assert (await other.get(PAGE)).headers["location"].startswith("/log-in")
    async with browser_at(pages) as browser:
        assert (await log_in(browser)).status_code == 403
        assert (await log_in(browser, ALICE, "long enough")).status_code == 303


async def test_log_ins_are_listed_and_ended(site: Site, pages: int) -> None:
    def come_by_a_provider() -> None:
        with opened(site) as place, write(place.engine) as connection:
            connection.execute(update(web_session).values(opened_by=OpenedBy.PROVIDER.value))

    async with logged_in(pages) as browser, logged_in(pages) as other, logged_in(pages, BOB) as bob:
        page = (await browser.get(PAGE)).text
        await asyncio.to_thread(come_by_a_provider)
        assert "<small>by the provider</small>" in (await browser.get(PAGE)).text, "none is set any more"
        ends = re.findall(r"/settings/security/sessions/(\d+)/end", page)
        assert len(ends) == 1, "the browser's own has no such button"
        assert (await bob.post(f"{PAGE}/sessions/{ends[0]}/end")).status_code == 404, "it is somebody else's"
        assert (await browser.post(f"{PAGE}/sessions/{ends[0]}/end")).status_code == 303
        assert (await other.get(PAGE)).headers["location"].startswith("/log-in")
        assert (await bob.get(PAGE)).status_code == 200


async def test_a_programs_password_is_shown_once_and_taken_back(site: Site, pages: int) -> None:
    async with logged_in(pages) as browser:
        made = await browser.post(f"{PAGE}/app-passwords", data={"name": HOSTILE})
        secret = codes_in(made)[0]
        page = (await browser.get(PAGE)).text
        assert secret not in page
        for text in (made.text, page):
            assert html.escape(HOSTILE, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
            assert "<script>alert" not in text
        await submit(site, ALICE, password=secret)
        again = await browser.post(f"{PAGE}/app-passwords", data={"name": HOSTILE})
        assert again.status_code == 409
        assert (await browser.post(f"{PAGE}/app-passwords/revoke", data={"name": HOSTILE})).status_code == 303
        with pytest.raises(Exception, match="535"):
            await submit(site, ALICE, password=secret)


async def test_whoever_was_shown_the_secret_once_is_not_shown_it_again(pages: int) -> None:
    async with logged_in(pages) as browser:
        await set_up(browser)
        assert (await browser.get(f"{PAGE}/second-factor")).headers["location"] == PAGE
        assert (await browser.post(f"{PAGE}/second-factor")).status_code == 400


async def test_a_password_kept_elsewhere_is_not_changed_here(site: Site, pages: int) -> None:
    def link() -> None:
        with opened(site) as place, write(place.engine) as connection:
            users.link(connection, ALICE, users.External("1", "cn=alice"))

    async with logged_in(pages) as browser:
        await asyncio.to_thread(link)
        assert "your organisation's directory" in (await browser.get(PAGE)).text
        form = {"password": PASSWORD * 2, "again": PASSWORD * 2}
        assert (await browser.post(f"{PAGE}/password", data=form)).status_code == 403
