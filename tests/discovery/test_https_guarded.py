"""egress.http: what it fetches, and what it never connects to."""

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from discovery.internet import INSIDE, PUBLIC, PUBLIC_BUT_CLOSED, Internet, document, status
from outgate.egress import https_client
from outgate.egress.https_client import Fetched, NotFetched

SITE = "site.example"
URL = f"https://{SITE}/config.xml"


@pytest.fixture(autouse=True)
def _site(internet: Internet) -> None:
    internet.site(SITE)


async def test_a_document_is_fetched_by_its_name(internet: Internet) -> None:
    internet.web.answers[URL] = document(b"<x/>")
    assert await internet.https.get(f"{URL}?a=b%40c") == Fetched(f"{URL}?a=b%40c", 200, b"<x/>")
    assert internet.web.asked == [f"{URL}?a=b%40c"]
    assert internet.web.greeted == [SITE]


async def test_another_status_is_told(internet: Internet) -> None:
    assert await internet.https.get(URL) == Fetched(URL, 404, b"")


@pytest.mark.parametrize(
    "url",
    [
        *("http://site.example/", "ftp://site.example/", "file:///etc/passwd", "//site.example/", "", "https://"),
        *(
            "https://site.example:8443/",
            "https://alice@site.example/",
            "https://alice:x@site.example/",
            "https://:443/",
        ),
        *("https://127.0.0.1/", "https://[::1]/", "https://127.0.0.2/", "https://2130706433/", "https://0x7f.1/"),
        *("https://site.example:x/", "https://site.example:99999/", "https://[::1/", "https://a b.example/"),
        *("https://localhost/", "https://site.example/a b", "https://site.example/ä", "https://-.example/"),
    ],
)
async def test_other_urls_are_not_asked(internet: Internet, url: str) -> None:
    internet.zones.publish(f"localhost. 60 IN A {INSIDE}\n")
    answer = await internet.https.get(url)
    assert isinstance(answer, NotFetched)
    assert answer.url == url
    assert not internet.web.greeted
    assert not internet.inside.greeted


@pytest.mark.parametrize("addresses", [[INSIDE], ["10.0.0.1"], ["169.254.169.254"], [INSIDE, "10.0.0.1"]])
async def test_a_host_with_forbidden_addresses_alone_is_not_connected_to(
    internet: Internet, addresses: list[str]
) -> None:
    internet.zones.publish("".join(f"evil.example. 0 IN A {address}\n" for address in addresses))
    internet.web.host("evil.example")
    answer = await internet.https.get("https://evil.example/")
    assert isinstance(answer, NotFetched)
    assert answer.forbidden
    assert not internet.web.greeted
    assert not internet.inside.greeted


@pytest.mark.parametrize("addresses", [[PUBLIC, INSIDE], [INSIDE, PUBLIC]])
async def test_of_a_host_with_good_and_forbidden_addresses_only_the_good_one_is_connected_to(
    internet: Internet, addresses: list[str]
) -> None:
    internet.zones.publish("".join(f"evil.example. 0 IN A {address}\n" for address in addresses))
    internet.web.host("evil.example")
    answer = await internet.https.get("https://evil.example/")
    assert isinstance(answer, Fetched)
    assert not internet.inside.greeted


async def test_two_redirects_are_followed_and_a_third_is_not(internet: Internet) -> None:
    internet.site("www.example")
    internet.web.answers |= {
        URL: status(301, location="https://www.example/a"),
        "https://www.example/a": status(302, location="/b"),
        "https://www.example/b": document(b"<x/>"),
    }
    assert await internet.https.get(URL) == Fetched("https://www.example/b", 200, b"<x/>")
    internet.web.answers["https://www.example/b"] = status(307, location="/c")
    answer = await internet.https.get(URL)
    assert isinstance(answer, NotFetched)
    assert answer.forbidden
    assert "https://www.example/c" not in internet.web.asked


@pytest.mark.parametrize(
    "location",
    [
        *("https://inside.example/", "https://127.0.0.1/", "https://[::ffff:127.0.0.1]/", "http://site.example/b"),
        *("https://localhost/", "https://site.example:22/", "gopher://inside.example/", "//inside.example/"),
        *("https://site.example@inside.example/", "\\\\inside.example\\", "https://rebound.example/", ""),
    ],
)
async def test_a_redirect_does_not_lead_inside(internet: Internet, location: str) -> None:
    internet.site("inside.example", INSIDE)
    internet.site("rebound.example", INSIDE)
    internet.web.answers[URL] = status(302, location=location)
    answer = await internet.https.get(URL)
    assert isinstance(answer, NotFetched) or answer.status == 404, answer
    assert not internet.inside.greeted


async def test_what_was_checked_is_connected_to_whatever_the_name_has_later(internet: Internet) -> None:
    """The listener inside is reached if the name is asked for a second time: its next answer leads there."""
    answers = iter([PUBLIC, INSIDE, INSIDE, INSIDE])
    resolve = internet.zones.resolve

    def rebinding(request: object, handler: object) -> object:
        reply = resolve(request, handler)
        for record in reply.rr:
            record.rdata = type(record.rdata)(next(answers))
        return reply

    internet.zones.resolve = rebinding  # type: ignore[method-assign]  # what the name server calls
    internet.web.answers[URL] = document(b"<x/>")
    assert isinstance(await internet.https.get(URL), Fetched)
    assert not internet.inside.greeted


async def test_a_certificate_for_another_name_is_refused(internet: Internet) -> None:
    internet.zones.publish(f"other.example. 60 IN A {PUBLIC}\n")
    answer = await internet.https.get("https://other.example/")
    assert isinstance(answer, NotFetched)
    assert "certificate" in answer.reason
    assert not internet.web.asked


def _endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"<x>" * 10_000)


@pytest.mark.parametrize("answer", [_endless, document(b"x" * (https_client.MAX_BYTES + 1))])
async def test_a_long_answer_is_broken_off(internet: Internet, answer: object) -> None:
    internet.web.answers[URL] = answer  # type: ignore[assignment]  # one of Answer's
    found = await internet.https.get(URL)
    assert isinstance(found, NotFetched)
    assert "longer" in found.reason


async def test_an_answer_of_the_largest_size_is_taken(internet: Internet) -> None:
    internet.web.answers[URL] = document(b"x" * https_client.MAX_BYTES)
    assert await internet.https.get(URL) == Fetched(URL, 200, b"x" * https_client.MAX_BYTES)


async def test_a_compressed_answer_is_not_asked_for_nor_unpacked(internet: Internet) -> None:
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Accept-Encoding"])
        handler.send_response(200)
        handler.send_header("content-encoding", "gzip")
        handler.send_header("content-length", "3")
        handler.end_headers()
        handler.wfile.write(b"\x1f\x8bx")

    internet.web.answers[URL] = answer
    assert await internet.https.get(URL) == Fetched(URL, 200, b"\x1f\x8bx")
    assert seen == ["identity"]


async def test_no_cookie_is_sent_back_and_no_proxy_is_used(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, f"http://{INSIDE}:1/")
    seen: list[str | None] = []

    def remember(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Cookie"])
        status(302, location="/again", **{"set-cookie": "a=b"})(handler)

    internet.web.answers |= {URL: remember, f"https://{SITE}/again": remember}
    await internet.https.get(URL)
    assert seen == [None, None, None]


@pytest.mark.parametrize("silent_from", ["handshake", "answer"])
async def test_a_silent_server_costs_no_more_than_the_limit(
    internet: Internet, monkeypatch: pytest.MonkeyPatch, silent_from: str
) -> None:
    monkeypatch.setattr(https_client, "PATIENCE", 0.5)
    released = threading.Event()

    def silent(_: BaseHTTPRequestHandler) -> None:
        released.wait(20)

    if silent_from == "answer":
        internet.web.answers[URL] = silent
        answer = await internet.https.get(URL)
    else:
        with socket.create_server((PUBLIC, 0)) as listening:
            https = https_client.HttpsClient(internet.resolver, internet.context, listening.getsockname()[1])
            answer = await https.get(URL)
    released.set()
    assert isinstance(answer, NotFetched)
    assert answer.reason == "no answer within 0.5 seconds"
    assert not answer.forbidden


@pytest.mark.parametrize("said", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, b"\0" * 100, b""])
async def test_a_server_that_speaks_otherwise_is_no_error(internet: Internet, said: bytes) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(said)

    internet.web.answers[URL] = answer
    found = await internet.https.get(URL)
    assert isinstance(found, NotFetched)
    assert found.reason


async def test_a_fault_of_tls_after_the_handshake_is_no_error(internet: Internet) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        with socket.socket(fileno=os.dup(handler.connection.fileno())) as beneath:
            beneath.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a TLS record that nothing can decrypt

    internet.web.answers[URL] = answer
    found = await internet.https.get(URL)
    assert isinstance(found, NotFetched)
    assert not found.forbidden


async def test_the_next_address_is_tried_where_the_first_takes_no_connection(internet: Internet) -> None:
    internet.zones.publish(f"two.example. 60 IN A {PUBLIC_BUT_CLOSED}\ntwo.example. 60 IN A {PUBLIC}\n")
    internet.web.host("two.example")
    assert await internet.https.get("https://two.example/x") == Fetched("https://two.example/x", 404, b"")
