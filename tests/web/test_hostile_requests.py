"""The page at a running server among those who wish it no good: forged links, slow peers, bad HTTP, broken parts."""

import asyncio
import base64
import socket
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outgate.cli.status import Status
from outgate.store.engine import write
from outgate.web import confirmation_page
from way.place import Site, eventually, install, serve
from web.links import is_verified, new_token, opened, trail
from web.people import browser_at

LINK_BITS = 48 * 8


@pytest_asyncio.fixture
async def token(site: Site) -> str:
    """Of a link that would be good."""
    return await asyncio.to_thread(new_token, site)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.sets(st.integers(0, LINK_BITS - 1), min_size=1, max_size=8), network=st.integers(0, 65535))
async def test_a_link_with_bits_flipped_shows_and_does_nothing(
    browser: httpx2.AsyncClient, token: str, flips: set[int], network: int
) -> None:
    data = bytearray(base64.urlsafe_b64decode(token))
    for bit in flips:
        data[bit // 8] ^= 1 << bit % 8
    forged = base64.urlsafe_b64encode(bytes(data)).decode()
    peer = {"X-Forwarded-For": f"10.{network // 256}.{network % 256}.1"}  # each within its rate
    for method in ("GET", "POST"):
        answer = await browser.request(method, f"/confirm/{forged}", headers=peer)
        assert answer.status_code == 404
        assert "example" not in answer.text


async def test_after_all_forgeries_the_true_link_is_good(site: Site, browser: httpx2.AsyncClient, token: str) -> None:
    for place in range(0, len(token), 4):
        other = "A" if token[place] != "A" else "B"
        await browser.post(f"/confirm/{token[:place]}{other}{token[place + 1 :]}")
    assert not await asyncio.to_thread(is_verified, site)
    assert await asyncio.to_thread(trail, site) == []
    assert (await browser.post(f"/confirm/{token}")).status_code == 200


async def test_of_many_at_once_one_confirms(site: Site, browser: httpx2.AsyncClient, token: str) -> None:
    answers = await asyncio.gather(*(browser.post(f"/confirm/{token}") for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200] + [410] * 7
    assert [outcome for outcome, _, _ in await asyncio.to_thread(trail, site)] == ["done"] + ["refused"] * 7


async def exchange(port: int, *pieces: bytes) -> bytes:
    """What a server answers to these bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /confirm/x\r\n\r\n",
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\r\n\r\n",
        b"POST /confirm/x HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET /confirm/x HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9_000,
    ],
)
async def test_what_is_no_http_is_refused(browser: httpx2.AsyncClient, port: int, request_bytes: bytes) -> None:
    assert b" 400 " in (await exchange(port, request_bytes)).partition(b"\r\n")[0]
    assert (await browser.get("/x")).status_code == 404


async def test_a_body_in_chunks_is_read_no_further_than_its_limit(
    browser: httpx2.AsyncClient, port: int, token: str, site: Site
) -> None:
    head = f"POST /confirm/{token} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await exchange(port, head.encode(), b"401\r\n" + bytes(1025))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert not await asyncio.to_thread(is_verified, site)


async def test_another_site_can_have_nothing_confirmed(browser: httpx2.AsyncClient, token: str, site: Site) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        answer = await browser.post(f"/confirm/{token}", headers=headers)
        assert (answer.status_code, "Another site" in answer.text) == (403, True)
    assert not await asyncio.to_thread(is_verified, site)
    own = {"Origin": "https://mail.example.com"}
    assert (await browser.post(f"/confirm/{token}", headers=own)).status_code == 200


async def test_a_fault_shows_no_traceback_and_logs_no_token(
    monkeypatch: pytest.MonkeyPatch, browser: httpx2.AsyncClient, token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(confirmation_page, "_ask", fail)
    answer = await browser.get(f"/confirm/{token}")
    assert answer.status_code == 500
    assert answer.headers["cache-control"] == "no-store"
    assert "broken" not in answer.text
    assert "Traceback" not in answer.text
    logged = "".join(capfd.readouterr())
    assert "broken on purpose" in logged
    assert token not in logged


async def test_while_the_database_is_locked_one_is_asked_to_come_again(
    browser: httpx2.AsyncClient, site: Site, token: str
) -> None:
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with opened(site) as place, write(place.engine):
            locked.set()
            done.wait(30)

    holding = asyncio.create_task(asyncio.to_thread(hold))
    await asyncio.to_thread(locked.wait)
    answer = await browser.post(f"/confirm/{token}", timeout=20)
    done.set()
    await holding
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert (await browser.post(f"/confirm/{token}")).status_code == 200


@pytest.mark.parametrize("processes", [1, 2])
async def test_the_programs_log_has_no_link_and_it_stops_at_once(tmp_path: Path, port: int, processes: int) -> None:
    web = {"public_url": "https://mail.example.com", "port": port}
    site = install(tmp_path / "outgate", top={"processes": processes}, web=web)
    token = await asyncio.to_thread(new_token, site)
    server = await serve(site)
    try:
        await eventually(lambda: site.data.with_suffix(".log").read_text().count("ready") == processes, "the server")
        async with browser_at(port) as browser:
            paths = [f"/confirm/{token}", f"/confirm/{token}", f"/confirm/{token}x", f"/no/{token}"]
            answers = [await browser.post(path) for path in paths]
            assert [one.status_code for one in answers] == [200, 410, 404, 404]
            assert b" 400 " in await exchange(port, f"GET /confirm/{token}\r\n\r\n".encode())
            server.terminate()  # while a connection is open
            async with asyncio.timeout(20):
                assert await server.wait() == 0
    finally:
        if server.returncode is None:
            server.kill()
    log = site.data.with_suffix(".log").read_text()
    assert "stopped" in log
    assert token[:20] not in log
    assert "confirm" not in log


async def test_a_port_that_is_taken_is_named_with_what_to_do(site: Site, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        server = await serve(site)
        async with asyncio.timeout(20):
            assert await server.wait() == Status.UNAVAILABLE
    log = site.data.with_suffix(".log").read_text()
    assert f"can't listen on 127.0.0.1, port {port}: another program listens there" in log
    assert "web.port" in log
    assert "Traceback" not in log
