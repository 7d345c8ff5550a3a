"""What a route declares, and what the base answers for it, at a real listener."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from structlog.testing import capture_logs

from http_base.types import ClientOf, Exchange, Serve
from outgate import log_lines
from outgate.http.body_limit import body_of
from outgate.http.client_address import peer_of
from outgate.http.database_threads import DatabaseThreads
from outgate.http.http_route import HttpRoute, Kind
from outgate.store.engine import StoreUnavailable

GET, POST = frozenset({"GET"}), frozenset({"POST"})


def thread_name(request: Request) -> Response:
    return PlainTextResponse(f"{threading.current_thread().name} {peer_of(request)}")


def length(request: Request) -> Response:
    return JSONResponse({"length": len(body_of(request))})


async def upload(request: Request) -> Response:
    return JSONResponse({"length": sum([len(piece) async for piece in request.stream()])})


def fail(request: Request) -> Response:
    raise RuntimeError("broken on purpose")


def no_database(request: Request) -> Response:
    raise StoreUnavailable("locked")


def refuse(request: Request) -> Response:
    raise HTTPException(409, "there is one already", headers={"X-Reason": "twice"})


def route(
    path: str, handler: Callable[[Request], Response], methods: frozenset[str] = GET, **more: object
) -> HttpRoute:
    kind: Kind = "api" if path.startswith("/api/") else "page"
    return HttpRoute(path=path, methods=methods, handler=handler, kind=kind, **more)  # type: ignore[arg-type]


async def test_plain_functions_run_in_the_bases_threads(serve: Serve, client_of: ClientOf) -> None:
    answer = await client_of(await serve([route("/", thread_name)])).get("/")
    assert re.fullmatch(r"http_\d 127\.0\.0\.1", answer.text)


async def test_each_route_takes_as_much_as_it_says(serve: Serve, client_of: ClientOf, exchange: Exchange) -> None:
    large = HttpRoute(path="/api/large", methods=POST, handler=upload, kind="api", max_body=2_000_000)
    port = await serve([route("/api/small", length, POST, max_body=10), route("/none", length, POST), large])
    client = client_of(port)

    async def pieces(total: int) -> AsyncIterator[bytes]:
        for _ in range(total // 10):
            yield bytes(10)

    for path, most in (("/api/small", 10), ("/none", 0), ("/api/large", 2_000_000)):
        assert (await client.post(path, content=bytes(most))).json() == {"length": most}
        refused = await exchange(
            port, f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {most + 1}\r\n\r\n".encode()
        )
        assert refused.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close\r\n" in refused
    assert (await client.post("/api/small", content=pieces(10))).json() == {"length": 10}
    assert (await client.post("/api/large", content=pieces(100_000))).json() == {"length": 100_000}
    chunked = b"POST /api/small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" + bytes(11)
    assert (await exchange(port, chunked)).startswith(b"HTTP/1.1 413 ")


async def test_too_much_is_refused_before_it_comes(serve: Serve, exchange: Exchange) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000000\r\nExpect: 100-continue\r\n\r\n"
    assert (await exchange(await serve([route("/", length, POST, max_body=10)]), head)).startswith(b"HTTP/1.1 413 ")


async def test_errors_are_pages_or_problems_as_the_route_is(serve: Serve, client_of: ClientOf) -> None:
    handlers = {"fail": fail, "away": no_database, "refuse": refuse}
    routes = [route(f"{place}/{name}", handlers[name]) for place in ("", "/api") for name in handlers]
    client = client_of(await serve(routes))
    for path, status in (("fail", 500), ("away", 503), ("refuse", 409), ("nothing", 404)):
        page, problem = await client.get(f"/{path}"), await client.get(f"/api/{path}")
        assert (page.status_code, page.text) == (status, f"page {status}")
        assert problem.status_code == status
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json().items() >= {"type": "about:blank", "status": status}.items()
    assert problem.json() == {"type": "about:blank", "title": "Not Found", "status": 404}
    refused = await client.get("/api/refuse")
    assert (refused.json()["detail"], refused.headers["x-reason"]) == ("there is one already", "twice")
    assert (await client.get("/api/away")).headers["retry-after"] == "60"


async def test_a_path_names_all_its_methods(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(await serve([route("/api/x", length), route("/api/x", length, POST)]))
    answer = await client.put("/api/x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert answer.json()["title"] == "Method Not Allowed"
    assert [(await client.request(method, "/api/x")).status_code for method in ("GET", "HEAD", "POST")] == [200] * 3


async def test_headers_go_by_kind_and_only_what_is_well_is_kept(serve: Serve, client_of: ClientOf) -> None:
    year = "public, max-age=31536000, immutable"
    client = client_of(await serve([route("/style", length, cache=year), route("/api/x", refuse, cache=year)]))
    style, problem = await client.get("/style"), await client.get("/api/x")
    assert (style.headers["cache-control"], problem.headers["cache-control"]) == (year, "no-store")
    assert problem.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "script-src 'self'; style-src 'self';" in style.headers["content-security-policy"]
    for answer in (style, problem):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "strict-origin"
        assert "strict-transport-security" not in answer.headers
    behind_tls = await client.get("/style", headers={"X-Forwarded-Proto": "https"})
    assert behind_tls.headers["strict-transport-security"] == "max-age=31536000"


async def test_a_request_has_a_name_in_its_answer_and_in_the_log(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(await serve([route("/fail/{secret}", fail), route("/", length)]))
    # Requests on one connection, one of them with a name of its own.
    answers = [await client.get("/", headers={"X-Request-Id": "forged"}), await client.get("/")]
    with capture_logs() as logged:
        answers.append(await client.get("/fail/hidden"))
    names = {answer.headers["x-request-id"] for answer in answers}
    assert len(names) == 3
    assert "forged" not in names
    assert [(line["event"], line["route"]) for line in logged] == [("a request failed", "/fail/{secret}")]
    assert "hidden" not in str(logged)
    assert "broken" not in answers[2].text


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_log_lines_have_the_name(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        lines = log_lines.configure(log_format)
        with structlog.contextvars.bound_contextvars(request="r1"):
            structlog.get_logger("test").info("said")
    finally:
        structlog.configure(**before)
    lines.flush()
    line = capfd.readouterr().err
    assert json.loads(line)["request"] == "r1" if log_format == "json" else "request=r1" in line


async def test_a_rate_is_a_routes_own_and_a_networks_own(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(await serve([route("/api/x", length, rate="2/1hour"), route("/y", length, rate="1/1hour")]))

    async def asked(path: str, peer: str) -> int:
        return (await client.get(path, headers={"X-Forwarded-For": peer})).status_code

    assert [await asked("/api/x", f"192.0.2.{n}") for n in range(3)] == [200, 200, 429]
    assert [await asked("/y", "192.0.2.9"), await asked("/y", "192.0.2.9")] == [200, 429]
    assert await asked("/api/x", "192.0.3.1") == 200
    assert [await asked("/api/x", f"2001:db8::{n}") for n in range(3)] == [200, 200, 429]
    assert [await asked("/api/x", "nonsense") for n in range(3)] == [200, 200, 429]
    refused = await client.get("/api/x", headers={"X-Forwarded-For": "192.0.2.1"})
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    assert refused.json()["title"] == "Too Many Requests"


async def test_other_sites_change_nothing_and_are_not_counted(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(await serve([route("/api/x", length, POST, rate="1/1hour")]))
    forged = await client.post("/api/x", headers={"Sec-Fetch-Site": "cross-site"})
    assert (forged.status_code, forged.json()["detail"]) == (403, "asked for by another site")
    assert (await client.post("/api/x", headers={"Origin": "null"})).status_code == 403
    assert (await client.post("/api/x", headers={"Origin": "https://mail.example.com"})).status_code == 200


async def test_when_all_threads_are_busy_and_enough_wait_others_are_asked_to_come_again(
    serve: Serve, client_of: ClientOf
) -> None:
    began, go = threading.Event(), threading.Event()

    def hold(request: Request) -> Response:
        began.set()
        go.wait(30)
        return PlainTextResponse("")

    client = client_of(await serve([route("/", hold)], threads=DatabaseThreads(threads=1, waiting=0)))
    held = asyncio.create_task(client.get("/"))
    await asyncio.to_thread(began.wait, 30)
    refused = await client.get("/")
    go.set()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    assert (await held).status_code == 200


async def test_one_peer_behind_a_proxy_has_so_many_requests_at_once(serve: Serve, client_of: ClientOf) -> None:
    go, inside = asyncio.Event(), 0

    async def hold(request: Request) -> Response:
        nonlocal inside
        inside += 1
        await go.wait()
        return PlainTextResponse("")

    slow = HttpRoute(path="/slow", methods=GET, handler=hold, kind="api")
    client = client_of(await serve([slow, route("/", length)], max_connections_per_peer=2))
    peer = {"X-Forwarded-For": "192.0.2.1"}
    held = [asyncio.create_task(client.get("/slow", headers=peer)) for _ in range(2)]
    while inside < 2:
        await asyncio.sleep(0)
    refused = await client.get("/", headers=peer)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert (await client.get("/", headers={"X-Forwarded-For": "192.0.3.1"})).status_code == 200
    go.set()
    assert [(await one).status_code for one in held] == [200, 200]
    assert (await client.get("/", headers=peer)).status_code == 200


async def test_an_answer_without_end_is_sent_as_it_is_made(serve: Serve, client_of: ClientOf) -> None:
    go = asyncio.Event()

    async def events(request: Request) -> Response:
        async def made() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            await go.wait()
            yield b"data: 2\n\n"

        return StreamingResponse(made(), media_type="text/event-stream")

    stream = HttpRoute(path="/api/events", methods=GET, handler=events, kind="api")
    async with client_of(await serve([stream])).stream("GET", "/api/events") as answer:
        pieces = answer.aiter_bytes()
        assert await anext(pieces) == b"data: 1\n\n"
        go.set()
        assert await anext(pieces) == b"data: 2\n\n"


async def test_an_answer_that_fails_halfway_is_cut_off_and_logged(serve: Serve, client_of: ClientOf) -> None:
    async def half(request: Request) -> Response:
        async def made() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("broken on purpose")

        return StreamingResponse(made())

    client = client_of(await serve([HttpRoute(path="/half", methods=GET, handler=half, kind="api")]))
    with capture_logs() as logged, pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/half")
    assert [line["event"] for line in logged] == ["a request failed"]
