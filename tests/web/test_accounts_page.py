"""The pages of addresses at a running server: whose they are, what is refused, what of people's texts is shown."""

import asyncio
import html
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from corpus.peer import RawPeer
from outgate.directory import users
from outgate.store.engine import write
from way.place import LOCALHOST, Site, install, running
from way.submit import submit
from web.links import opened
from web.people import ALICE, BOB, browser_at, log_in, logged_in

PARTNER = "alice@dominiopartner.example"
HOSTILE = """"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'"""


@pytest_asyncio.fixture
async def pages(site: Site, port: int) -> AsyncIterator[int]:
    """The port of a running server."""
    server = await running(site)
    yield port
    await server.stop()


@pytest.fixture
def site(tmp_path: Path, port: int) -> Site:
    """Alice has an external address, with a server that does not work."""
    site = install(tmp_path / "outgate", web={"public_url": f"http://127.0.0.1:{port}", "port": port})
    asyncio.run(site.switch(True))
    asyncio.run(site.add_external(ALICE, PARTNER, 1))
    return site


async def test_a_stranger_is_sent_to_log_in_and_back_to_the_page(pages: int) -> None:
    async with browser_at(pages) as browser:
        asked = await browser.get("/settings/accounts?x=1")
        assert (asked.status_code, asked.headers["location"]) == (303, "/log-in?to=%2Fsettings%2Faccounts%3Fx%3D1")
        assert PARTNER not in asked.text
        done = await log_in(browser, to="/settings/accounts?x=1")
        assert done.status_code == 303
        assert done.headers["location"] == "/settings/accounts?x=1"


@pytest.mark.parametrize(
    "path", ["default", "delete", "confirm", "resend", "edit", "server", "server/remove"], ids=lambda path: path
)
async def test_another_site_can_have_nothing_changed(pages: int, path: str) -> None:
    async with logged_in(pages) as browser:
        for site in ("cross-site", "same-site"):
            answer = await browser.post(f"/settings/accounts/{PARTNER}/{path}", headers={"Sec-Fetch-Site": site})
            assert answer.status_code == 403
        assert PARTNER in (await browser.get("/settings/accounts")).text


@pytest.mark.parametrize("what", ["edit", "delete", "server", "confirm", "advice"])
async def test_an_address_of_somebody_else_is_not_there(pages: int, what: str) -> None:
    async with logged_in(pages, BOB) as browser:
        answer = await browser.get(f"/settings/accounts/{PARTNER}/{what}")
        assert answer.status_code == 404
        assert "localhost" not in answer.text


async def test_what_people_write_is_shown_and_never_runs(site: Site, pages: int) -> None:
    def rename() -> None:
        with opened(site) as place, write(place.engine) as connection:
            users.edit(connection, ALICE, name=HOSTILE)

    await asyncio.to_thread(rename)
    async with logged_in(pages) as browser:
        form = {"name": HOSTILE, "reply_to": HOSTILE, "alias": "on"}
        refused = await browser.post(f"/settings/accounts/{PARTNER}/edit", data=form)
        assert refused.status_code == 400
        shown = [
            refused.text,
            (await browser.get("/settings/accounts")).text,
            (await browser.get("/settings/accounts/add", params={"name": HOSTILE, "address": HOSTILE})).text,
            (await browser.get("/settings/accounts/add/server", params={"address": HOSTILE})).text,
        ]
    for text in shown:
        assert html.escape(HOSTILE, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


async def test_a_kept_password_goes_to_no_other_server(pages: int) -> None:
    fields = {"port": "1", "server_username": PARTNER, "security": "starttls", "server_password": ""}
    async with logged_in(pages) as browser:
        answer = await browser.post(f"/settings/accounts/{PARTNER}/server", data={**fields, "host": "evil.example"})
    assert answer.status_code == 400
    assert "Enter the password again" in answer.text


async def test_no_page_shows_a_password(pages: int) -> None:
    fields = {"host": "", "port": "x", "server_username": "u", "server_password": "very secret"}
    async with logged_in(pages) as browser:
        answer = await browser.post(f"/settings/accounts/{PARTNER}/server", data=fields)
        live = await browser.post(f"/settings/accounts/{PARTNER}/server", data=fields, headers={"HX-Request": "true"})
    assert (answer.status_code, live.status_code) == (400, 200)
    assert "very secret" not in answer.text + live.text


@pytest.mark.parametrize("refused", ["", "553 5.7.1 <b>not</b> your address"], ids=["taken", "refused"])
async def test_a_trial_ends_with_whether_the_sender_is_accepted(site: Site, pages: int, refused: str) -> None:
    def answer(line: str) -> str | None:
        return refused or None if line.startswith("MAIL") else None

    tls = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=tls, credentials={"alice": "secret"}, answer=answer) as peer, logged_in(pages) as browser:
        fields = {"host": "localhost", "port": str(peer.port), "server_username": "alice", "server_password": "secret"}
        live = {"HX-Request": "true", "Accept": "text/html, text/event-stream"}
        shown = await browser.post(f"/settings/accounts/{PARTNER}/server", data=fields, headers=live)
        asked = [line for line in peer.commands if line.startswith(("MAIL", "RSET"))]
    last = shown.text[shown.text.rindex("<ol") :]
    assert [step in last for step in ("Found and connected", "certificate valid", "Log-in accepted")] == [True] * 3
    assert ("Sender accepted" in last, "Sender refused" in last) == (not refused, bool(refused))
    assert html.escape(refused) in last
    assert asked == [f"MAIL FROM:<{PARTNER}>"] + ([] if refused else ["RSET"])


async def test_with_the_switch_off_a_server_may_go_but_not_come(site: Site, pages: int) -> None:
    await site.switch(False)
    async with logged_in(pages) as browser:
        fields = {"host": "smtp.dominiopartner.example", "port": "587", "server_username": "u", "server_password": "p"}
        told = await browser.post(f"/settings/accounts/{PARTNER}/server", data=fields)
        assert told.status_code == 403
        assert "Functionality not enabled" in told.text
        assert (await browser.post(f"/settings/accounts/{PARTNER}/server/remove")).status_code == 303
        gone = await browser.get(f"/settings/accounts/{PARTNER}/server")
        assert gone.status_code == 403


async def test_an_own_domains_address_needs_no_server(pages: int) -> None:
    async with logged_in(pages) as browser:
        step = await browser.get("/settings/accounts/add/server", params={"address": "sales@example.com"})
        assert "no other server is needed" in step.text
        assert "SMTP Server" not in step.text


async def test_a_slow_server_keeps_no_other_page_waiting(pages: int) -> None:
    """Trials wait for up to eight seconds; more of them than there are threads for the database."""
    fields = {"host": "localhost", "port": "1", "server_username": PARTNER, "server_password": "x"}
    async with logged_in(pages) as browser:
        slow = [
            asyncio.create_task(browser.post(f"/settings/accounts/{PARTNER}/server", data=fields)) for _ in range(8)
        ]
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert (await browser.get("/settings/accounts")).status_code == 200
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_waiting_mail_is_shown_with_what_the_server_said(site: Site, pages: int) -> None:
    await submit(site, PARTNER)
    async with logged_in(pages) as browser, asyncio.timeout(20):
        while "1 message waits" not in (page := (await browser.get("/settings/accounts")).text):
            await asyncio.sleep(0.05)
    assert "no answer from localhost:1" in page
    assert "refused" not in page, "how a host can't be reached would serve to scan"
    assert "Repair" in page
