"""The page for confirmation links, at a running server: what it shows, what it does, what it refuses."""

import asyncio
import email
import email.policy
import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from bench.scratch import free_port

from corpus.peer import RawPeer
from outgate import clock
from outgate.config import ConfigError
from outgate.operations import send_as_operations
from outgate.operations.actor import Actor
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import writing
from outgate.sendas.verification import VALID_SECONDS
from outgate.store.rates import Rates
from way.place import GATEWAY_PASSWORD, HOSTNAME, LOCALHOST, Site, eventually, install, running
from web.links import ALICE, PARTNER, is_verified, new_token, opened, trail

ASKED, SPENT, INVALID = "Confirm this address", "This link was used already", "This link is not valid"
CONFIRMED = "The address is confirmed"


async def test_looking_shows_who_asks_and_changes_nothing(site: Site, browser: httpx2.AsyncClient) -> None:
    token = await asyncio.to_thread(new_token, site)
    for method in ("GET", "HEAD", "GET"):
        answer = await browser.request(method, f"/confirm/{token}")
        assert answer.status_code == 200
        assert all((text in answer.text) == (method == "GET") for text in (ASKED, ALICE, PARTNER))
    assert not await asyncio.to_thread(is_verified, site)
    assert await asyncio.to_thread(trail, site) == []


async def test_the_button_confirms_once_and_a_replay_is_refused_and_recorded(
    site: Site, browser: httpx2.AsyncClient
) -> None:
    token = await asyncio.to_thread(new_token, site)
    done = await browser.post(f"/confirm/{token}")
    assert (done.status_code, CONFIRMED in done.text, PARTNER in done.text) == (200, True, True)
    assert await asyncio.to_thread(is_verified, site)
    for method in ("POST", "GET"):
        again = await browser.request(method, f"/confirm/{token}", headers={"X-Forwarded-For": "198.51.100.9"})
        assert (again.status_code, SPENT in again.text, "<button" in again.text) == (410, True, False)
        assert PARTNER not in again.text
    assert await asyncio.to_thread(trail, site) == [("done", ALICE, "127.0.0.1"), ("refused", ALICE, "198.51.100.9")]


async def test_a_link_cut_short_is_not_valid(site: Site, browser: httpx2.AsyncClient) -> None:
    token = await asyncio.to_thread(new_token, site)
    for cut in (token[:-1], token[:20], token + "A", "x", "%00", "%ff"):
        for method in ("GET", "POST"):
            answer = await browser.request(method, f"/confirm/{cut}")
            assert (answer.status_code, INVALID in answer.text) == (404, True), cut
            assert "example" not in answer.text
    assert not await asyncio.to_thread(is_verified, site)


async def test_a_newer_link_makes_the_older_void(site: Site, browser: httpx2.AsyncClient) -> None:
    older, newer = [await asyncio.to_thread(new_token, site) for _ in range(2)]
    assert (await browser.post(f"/confirm/{older}")).status_code == 410
    assert not await asyncio.to_thread(is_verified, site)
    assert (await browser.post(f"/confirm/{newer}")).status_code == 200
    assert await asyncio.to_thread(is_verified, site)


async def test_a_link_expires(site: Site, browser: httpx2.AsyncClient) -> None:
    token = await asyncio.to_thread(new_token, site, now=clock.now() - VALID_SECONDS)
    for method in ("GET", "POST"):
        answer = await browser.request(method, f"/confirm/{token}")
        assert (answer.status_code, SPENT in answer.text) == (410, True)
    assert not await asyncio.to_thread(is_verified, site)


async def test_the_user_is_spoken_to_in_their_language(site: Site, browser: httpx2.AsyncClient) -> None:
    token = await asyncio.to_thread(new_token, site, language="it")
    asked = await browser.get(f"/confirm/{token}", headers={"Accept-Language": "en"})
    assert '<html lang="it">' in asked.text
    assert "Conferma questo indirizzo" in asked.text
    assert "L&#39;indirizzo è confermato" in (await browser.post(f"/confirm/{token}")).text
    assert "Questo link è già stato usato" in (await browser.get(f"/confirm/{token}")).text


async def test_whose_link_it_is_not_known_the_browser_says_the_language(browser: httpx2.AsyncClient) -> None:
    wanted = {"it-IT,it;q=0.9,en;q=0.5": "it", "de, en;q=0.3, it;q=0.2": "en", "": "en", "fr;q=x, it;q=0": "en"}
    for header, language in wanted.items():
        for path in ("/confirm/x", "/nothing"):
            answer = await browser.get(path, headers={"Accept-Language": header})
            assert f'<html lang="{language}">' in answer.text
            assert answer.headers["content-language"] == language


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *[("GET", path, 404) for path in ("/x", "/confirm", "/confirm/a/", "/healthz", "/docs", "/%2e%2e")],
        *[(method, "/confirm/x", 405) for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND")],
    ],
)
async def test_nothing_else_is_there(browser: httpx2.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await browser.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert ("allow" in answer.headers) == (status == 405)


async def test_what_is_sent_here_is_not_read(site: Site, browser: httpx2.AsyncClient) -> None:
    token = await asyncio.to_thread(new_token, site)
    answer = await browser.post(f"/confirm/{token}", content=bytes(1025))
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert not await asyncio.to_thread(is_verified, site)


async def test_one_network_may_ask_so_often_and_others_still_may(site: Site, browser: httpx2.AsyncClient) -> None:
    token = await asyncio.to_thread(new_token, site)
    spent = [("60/1minute", ("http", "/confirm/{token}", "192.0.2.0/24"))] * 60

    def exhaust() -> None:
        with opened(site) as place:
            Rates(place.engine).hit_all(spent)

    await asyncio.to_thread(exhaust)
    refused = await browser.post(f"/confirm/{token}", headers={"X-Forwarded-For": "192.0.2.77"})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert not await asyncio.to_thread(is_verified, site)
    answer = await browser.post(f"/confirm/{token}", headers={"X-Forwarded-For": "192.0.3.77"})
    assert answer.status_code == 200


async def test_a_forged_forwarding_does_not_hide_the_peer(site: Site, browser: httpx2.AsyncClient) -> None:
    """The proxy adds the true address at the end; what stands before it is the peer's own word."""
    token = await asyncio.to_thread(new_token, site)
    await browser.post(f"/confirm/{token}", headers={"X-Forwarded-For": "203.0.113.5, 198.51.100.9"})
    await browser.post(f"/confirm/{token}", headers={"X-Forwarded-For": "198.51.100.9, <script>"})
    assert await asyncio.to_thread(trail, site) == [("done", ALICE, "198.51.100.9"), ("refused", ALICE, "")]


async def test_every_answer_has_the_headers(site: Site, browser: httpx2.AsyncClient) -> None:
    token = await asyncio.to_thread(new_token, site)
    answers = [
        await browser.get(f"/confirm/{token}"),
        await browser.head(f"/confirm/{token}"),
        await browser.post(f"/confirm/{token}"),
        await browser.post(f"/confirm/{token}"),
        await browser.get("/confirm/x"),
        await browser.get("/"),
        await browser.put("/confirm/x"),
        await browser.post("/confirm/x", content=bytes(2000)),
    ]
    assert [one.status_code for one in answers] == [200, 200, 200, 410, 404, 303, 405, 413]
    for one in answers:
        check_headers(one)
    assert not any("strict-transport-security" in one.headers for one in answers)
    behind_tls = await browser.get("/", headers={"X-Forwarded-Proto": "https"})
    assert behind_tls.headers["strict-transport-security"] == "max-age=31536000"


def check_headers(answer: httpx2.Response) -> None:
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; report-uri /csp-reports"
    )
    assert answer.headers["referrer-policy"] == "strict-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
    if answer.content:
        assert not re.search(r"<script|<style|style=|src=", answer.text)
        assert all(path.startswith("/static/") for path in re.findall(r'href="([^"]*)"', answer.text))


async def test_the_link_of_a_confirmation_message_confirms_the_address(site: Site, browser: httpx2.AsyncClient) -> None:
    """From `send-as.add` over the queue and the wire to the partner's mailbox, and back by the link."""
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={"relay": GATEWAY_PASSWORD}) as relay:
        await site.set_domain_gateway(relay.port)
        await asyncio.to_thread(add_address, site)
        await eventually(lambda: relay.messages, "the confirmation message")
        mail = email.message_from_bytes(relay.messages[0].content, policy=email.policy.default)
        body = mail.get_body()
        assert body
        link = re.search(r"https://mail\.example\.com(/confirm/\S+)", body.get_content())
        assert link
    assert ASKED in (await browser.get(link[1])).text
    assert CONFIRMED in (await browser.post(link[1])).text
    assert await asyncio.to_thread(is_verified, site)


def add_address(site: Site) -> None:
    with opened(site) as place:
        confirmation = Confirmation(HOSTNAME, place.config.web.public_url)
        with writing(place.engine, place.vault, Actor.console("root"), clock.now()) as op:
            send_as_operations.add(op, ALICE, PARTNER, confirmation)


async def test_over_tls_with_the_certificate_of_submission(tmp_path: Path) -> None:
    """Nobody is in between, so nobody is believed who names another peer."""
    port = free_port()
    site = install(tmp_path / "outgate", web={"public_url": f"https://localhost:{port}", "port": port, "tls": True})
    token = await asyncio.to_thread(new_token, site)
    server = await running(site)
    context = site.client_context()
    async with httpx2.AsyncClient(base_url=f"https://localhost:{port}", verify=context, timeout=30) as browser:
        answer = await browser.post(f"/confirm/{token}", headers={"X-Forwarded-For": "198.51.100.9"})
        assert CONFIRMED in answer.text
        assert answer.headers["strict-transport-security"]
    await server.stop()
    assert await asyncio.to_thread(trail, site) == [("done", ALICE, "127.0.0.1")]


async def test_a_link_confirms_on_postgresql_too(tmp_path: Path, port: int, new_postgresql: Callable[..., str]) -> None:
    url = new_postgresql()
    web = {"public_url": "https://mail.example.com", "port": port}
    site = install(tmp_path / "outgate", database_url=url, top={"database_url": url}, web=web)
    token = await asyncio.to_thread(new_token, site)
    server = await running(site)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as browser:
        answers = [await browser.request(method, f"/confirm/{token}") for method in ("GET", "POST", "POST")]
    await server.stop()
    assert [one.status_code for one in answers] == [200, 200, 410]
    assert [outcome for outcome, _, _ in await asyncio.to_thread(trail, site)] == ["done", "refused"]


async def test_without_a_public_url_nobody_listens(tmp_path: Path) -> None:
    port = free_port()
    server = await running(install(tmp_path / "outgate", web={"port": port}))
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await server.stop()


@pytest.mark.parametrize(
    "url", ["mail.example.com", "https://", "https://a b", "https://a.example/?x=", "ftp://a.example"]
)
def test_links_that_nobody_could_open_are_not_mailed(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.public_url.*must begin with https://"):
        install(tmp_path / "outgate", web={"public_url": url})
