"""The pages of addresses at a running server: whose they are, what is refused, what of people's texts is shown."""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from advisor.zone import serving
from corpus.peer import RawPeer
from outgate import clock
from outgate.directory import accounts, policies, restrictions, users
from outgate.directory.settings import setting
from outgate.discovery import presets
from outgate.http.database_threads import THREADS
from outgate.model import Cause, Restriction
from outgate.route import gateway_queue
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


@pytest.fixture
def strict_zone(site: Site) -> Iterator[None]:
    """A DNS in which strict.example asks for refusal."""
    with serving('_dmarc.strict.example. 60 IN TXT "v=DMARC1; p=reject"') as zone:
        file = site.data / "outgate.toml"
        file.write_text(file.read_text().replace("[delivery]", f'[delivery]\nnameservers = ["{zone.nameserver}"]'))
        yield


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


async def test_a_trial_ends_with_whether_the_sender_is_accepted(site: Site, pages: int) -> None:
    refusal = "553 5.7.1 <b>not</b> your address"
    async with logged_in(pages) as browser:
        taken, asked = await _tried(site, browser, "")
        refused, asked_in_vain = await _tried(site, browser, refusal)
    assert [step in taken for step in ("Found and connected", "certificate valid", "Log-in accepted")] == [True] * 3
    assert ("Sender accepted" in taken, "Sender refused" in taken) == (True, False)
    assert ("Sender accepted" in refused, "Sender refused" in refused) == (False, True)
    assert html.escape(refusal) in refused
    assert (asked, asked_in_vain) == ([f"MAIL FROM:<{PARTNER}>", "RSET"], [f"MAIL FROM:<{PARTNER}>"])


async def _tried(site: Site, browser: httpx2.AsyncClient, refusal: str) -> tuple[str, list[str]]:
    """The last state of the trial that a page shows, and what the server was asked of a message."""

    def answer(line: str) -> str | None:
        return refusal or None if line.startswith("MAIL") else None

    tls = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=tls, credentials={"alice": "secret"}, answer=answer) as peer:
        fields = {"host": "localhost", "port": str(peer.port), "server_username": "alice", "server_password": "secret"}
        path, live = f"/settings/accounts/{PARTNER}/server", {"HX-Request": "true"}
        shown = (await browser.post(path, data=fields, headers=live)).text
        return shown[shown.rindex("<ol") :], [line for line in peer.commands if line.startswith(("MAIL", "RSET"))]


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


async def test_the_switch_off_story_is_told_in_both_languages(site: Site, pages: int) -> None:
    step = {"address": "new@dominiopartner.example", "name": "Alice"}
    told = {
        "en": (
            "not in use",
            "Such a server can't be added now",
            "Functionality not enabled. You must send through",
        ),
        "it": ("non in uso", "Ora non se ne può aggiungere uno", "Funzionalità non attivata. Per inviare come"),
    }
    remains = {
        "organisation": "deliver what you send as these addresses",
        "refuse": "mail from an address that has a server of its own is not sent",
    }
    await site.switch(False)
    async with logged_in(pages) as browser:
        for language, (unused, why, refused) in told.items():
            await asyncio.to_thread(_speak, site, language)
            listed = html.unescape((await browser.get("/settings/accounts")).text)
            assert [text in listed for text in (unused, why, "localhost")] == [True] * 3
            answer = await browser.get("/settings/accounts/add/server", params=step)
            assert (answer.status_code, refused in html.unescape(answer.text)) == (403, True)
            assert "dominiopartner.example" in answer.text[answer.text.index(refused[:14]) :]
        await asyncio.to_thread(_speak, site, "en")
        for policy, sentence in remains.items():
            await asyncio.to_thread(_set_policy, site, "gatewayNotAllowed", policy)
            assert sentence in (await browser.get("/settings/accounts")).text
        edited = (await browser.get(f"/settings/accounts/{PARTNER}/edit")).text
        assert "allowUsersToUseExternalSmtpServers is off" in edited
        await site.switch(True)
        listed = (await browser.get("/settings/accounts")).text
        assert ("not in use" in listed, "Servers of other domains" in listed) == (False, False)


def _speak(site: Site, language: str) -> None:
    with opened(site) as place, write(place.engine) as connection:
        users.edit(connection, ALICE, language=language)


def _set_policy(site: Site, name: str, value: object) -> None:
    with opened(site) as place, write(place.engine) as connection:
        policies.set_value(connection, "/", setting(name), value, clock.now())


async def test_what_is_the_matter_is_said_in_plain_words_and_the_repair_is_a_step_away(site: Site, pages: int) -> None:
    def suspend(cause: Cause, reason: str, until: float | None = None) -> None:
        with opened(site) as place, write(place.engine) as connection:
            account = accounts.load(connection, users.find(connection, ALICE).id)
            assert account
            gateway = account.send_as[PARTNER].gateway
            assert gateway
            made = Restriction(cause, reason, "root", clock.now(), until)
            restrictions.put(connection, gateway_queue(gateway), made)

    async with logged_in(pages) as browser:
        await asyncio.to_thread(suspend, Cause.OPERATOR, "moving house")
        page = (await browser.get("/settings/accounts")).text
        assert "Your administrator has stopped the mail to this server" in page
        assert ("moving house" in page, f"{PARTNER}/server" in page) == (False, False), "there is nothing to repair"
        await asyncio.to_thread(_speak, site, "it")
        await asyncio.to_thread(suspend, Cause.LOG_IN, "535 5.7.8 <b>wrong</b> password", clock.now() + 900)
        assert "Il tuo amministratore ha fermato la posta" in (await browser.get("/settings/accounts")).text
        await asyncio.to_thread(_end, site, Cause.OPERATOR)
        page = (await browser.get("/settings/accounts")).text
    assert "Il suo server rifiuta il nome utente con questa password" in page
    assert '<q class="mono">535 5.7.8 &lt;b&gt;wrong&lt;/b&gt; password</q>' in page
    assert f'href="/settings/accounts/{PARTNER}/server#server_password"' in page


def _end(site: Site, cause: Cause) -> None:
    with opened(site) as place, write(place.engine) as connection:
        for queue in restrictions.load(connection).by_queue:
            restrictions.end(connection, queue, [cause])


async def test_a_signature_is_cleaned_and_is_below_what_is_written_from_its_address(pages: int) -> None:
    path = f"/settings/accounts/{PARTNER}/signature"
    async with logged_in(pages) as browser:
        sent = {"html": "<div><b>Alice</b><script>alert(1)</script></div><img src=x onerror=alert(2)>", "text": "x"}
        assert (await browser.post(path, data=sent)).status_code == 303
        asked, edited = (await browser.get(path)).text, (await browser.get(f"/settings/accounts/{PARTNER}/edit")).text
        writer = (await browser.get("/")).text
        await browser.post(path, data={"html": "", "text": "Alice & Co.\r\n<Purchases>"})
        plain = (await browser.get(path)).text
        too_long = await browser.post(path, data={"html": "", "text": "y" * 10_001})
        too_many = await browser.post(path, data={"html": "<b>" * 2001, "text": ""})
        await browser.post(path, data={"html": "<div><br></div>", "text": ""})
        emptied = (await browser.get(f"/settings/accounts/{PARTNER}/edit")).text
    assert "<div><b>Alice</b></div>" in edited
    assert 'data-signature-html="&lt;div&gt;&lt;b&gt;Alice&lt;/b&gt;&lt;/div&gt;"' in writer
    assert "alert" not in asked + edited + writer
    assert "Alice &amp; Co.\n&lt;Purchases&gt;" in plain
    assert (too_long.status_code, "at most 10000 characters" in too_long.text) == (400, True)
    assert (too_many.status_code, "at most 2000 tags" in too_many.text) == (400, True)
    assert "Nothing stands below what you write" in emptied


async def test_who_adds_an_address_without_its_server_is_warned_where_its_domain_asks_for_refusal(
    strict_zone: None, pages: int
) -> None:
    async with logged_in(pages) as browser:
        fields = {"address": "alice@strict.example", "name": "Alice"}
        added = await browser.post("/settings/accounts/add", data=fields)
        assert added.headers["location"].endswith("/alice@strict.example/confirm?done=added&policy=reject")
        told = html.unescape((await browser.get(added.headers["location"])).text)
        assert "strict.example asks recipients to refuse mail that does not leave by its own server" in told
        other = await browser.post("/settings/accounts/add", data=fields | {"address": "alice@relaxed.example"})
        assert other.headers["location"].endswith("?done=added")


async def test_a_provider_that_is_chosen_from_the_list_fills_in_the_form(site: Site, port: int) -> None:
    (site.data / "providers.toml").write_text('[google]\nclient_id = "ours"\n')
    server = await running(site)
    try:
        async with logged_in(port) as browser:
            new = "/settings/accounts/add/server?address=me@studio.example&name=Me&alias=on"
            plain = (await browser.get(new)).text
            assert "Looking for the server" in plain
            assert plain.count("<option") == len(presets.shipped().all)
            chosen = (await browser.get(f"{new}&provider=WEB.DE")).text
            assert "Looking for the server" not in chosen
            for name, value in (("host", "smtp.web.de"), ("port", "465"), ("server_username", "me")):
                assert re.search(f'name="{name}" type="text" value="{value}"', chosen), name
            assert 'value="ssl" checked' in chosen
            assert "access by other programs (POP3 and IMAP) must be switched on" in chosen
            google = (await browser.get(f"{new}&provider=Google+(Gmail,+Google+Workspace)")).text
            assert "“Sign in with Google” above needs no password here" in html.unescape(google)
            assert "Looking for the server" in (await browser.get(f"{new}&provider=nobody")).text
            there = (await browser.get(f"/settings/accounts/{PARTNER}/server?provider=Fastmail")).text
            assert 'value="smtp.fastmail.com"' in there
    finally:
        await server.stop()


async def test_an_own_domains_address_needs_no_server(pages: int) -> None:
    async with logged_in(pages) as browser:
        step = await browser.get("/settings/accounts/add/server", params={"address": "sales@example.com"})
        assert "no other server is needed" in step.text
        assert "SMTP Server" not in step.text


async def test_a_slow_server_keeps_no_other_page_waiting(pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More trials than there are threads for the database, of a server that never says a word."""
    monkeypatch.setattr("outgate.deliver.connection.SILENCE", 60.0)  # none of them ends by itself
    connected: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    silent = await asyncio.start_server(lambda _reader, writer: connected.put(writer), "127.0.0.1", 0)
    port = str(silent.sockets[0].getsockname()[1])
    fields = {"host": "localhost", "port": port, "server_username": PARTNER, "server_password": "x"}
    async with logged_in(pages) as browser:
        slow = [
            asyncio.create_task(browser.post(f"/settings/accounts/{PARTNER}/server", data=fields))
            for _ in range(2 * THREADS)
        ]
        async with asyncio.timeout(30):
            writers = [await connected.get() for _ in slow]
            assert (await browser.get("/settings/accounts")).status_code == 200
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
    for writer in writers:
        writer.close()
    silent.close()


async def test_waiting_mail_is_shown_with_what_the_server_said(site: Site, pages: int) -> None:
    await submit(site, PARTNER)
    async with logged_in(pages) as browser, asyncio.timeout(20):
        while "1 message waits" not in (page := (await browser.get("/settings/accounts")).text):
            await asyncio.sleep(0.05)
    assert "no answer from localhost:1" in page
    assert "refused" not in page, "how a host can't be reached would serve to scan"
    assert "Its server does not answer" in page
    assert page.count("last used") == 1
    assert "Replies go to its own mailbox at dominiopartner.example, not here." in page
    assert f'href="/settings/accounts/{PARTNER}/server#host"' in page
