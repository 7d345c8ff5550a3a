"""Peers that take their time: each thing that a connection waits for has an end, and honest ones are not cut off."""

import asyncio
import socket

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from http_base.types import ClientOf, Exchange, Serve
from outgate.http import http_connection, http_listener
from outgate.http.body_limit import body_of
from outgate.http.http_route import HttpRoute


def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(body_of(request))))


async def large(request: Request) -> Response:
    return PlainTextResponse(bytes(20_000_000))


ROUTES = [
    HttpRoute(path="/", methods=frozenset({"GET", "POST"}), handler=echo, kind="api", max_body=100_000),
    HttpRoute(path="/large", methods=frozenset({"GET"}), handler=large, kind="api"),
]
KEPT = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("deadline", "says", "answers"),
    [
        ("HEAD_SECONDS", [b""], 0),
        ("HEAD_SECONDS", [b"GET / HTTP/1.1\r\nHost: a\r\n"], 0),
        ("HEAD_SECONDS", [KEPT, b"GET / HTTP/1.1\r\n"], 1),
        ("BODY_SECONDS", [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"], 0),
        ("BODY_SECONDS", [b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"], 0),
        ("CLOSE_SECONDS", [b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"], 1),
    ],
)
async def test_who_takes_too_long_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
    serve: Serve,
    exchange: Exchange,
    deadline: str,
    says: list[bytes],
    answers: int,
) -> None:
    """Each deadline alone: the others stay as long as they are."""
    monkeypatch.setattr(http_connection, deadline, 0.1)
    port = await serve(ROUTES)
    assert (await exchange(port, *says)).count(b"HTTP/1.1 ") == answers


async def test_who_reads_too_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """It asks for much and begins to read when it is too late: what comes is not whole."""
    monkeypatch.setattr(http_connection, "READ_SECONDS", 0.1)
    port = await serve(ROUTES)
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(peer, ("127.0.0.1", port))
        await loop.sock_sendall(peer, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.5)  # what is tested is that time passes
        received = 0
        try:
            while data := await loop.sock_recv(peer, 65536):
                received += len(data)
        except ConnectionResetError:
            pass
    assert received < 20_000_000


async def test_a_body_may_take_as_long_as_its_size_is_worth(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """One that comes steadily outlives the least time; the same one, when it stops, does not."""
    monkeypatch.setattr(http_connection, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(http_connection, "BODY_RATE", 1_000)
    port = await serve(ROUTES)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n")
    for _ in range(8):
        writer.write(bytes(4000))  # worth 4 s
        await asyncio.sleep(0.05)
    writer.write(bytes(8000))
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_a_handshake_that_does_not_end_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, exchange: Exchange, server_context: object
) -> None:
    monkeypatch.setattr(http_listener, "HANDSHAKE_SECONDS", 0.1)
    port = await serve(ROUTES, context=server_context)
    assert await exchange(port, b"\x16\x03\x01") == b""


async def test_a_connection_serves_many_requests(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(await serve(ROUTES))
    for size in (0, 1, 100_000, 0, 5):
        assert (await client.post("/", content=bytes(size))).text == str(size)


async def test_requests_sent_in_one_go_are_answered_in_turn(serve: Serve, exchange: Exchange) -> None:
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    last = KEPT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = await exchange(await serve(ROUTES), KEPT + post + KEPT + last)
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [b"0", b"3", b"0", b"0"]
