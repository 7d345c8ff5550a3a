"""One peer opens as many connections as it can and says little on them: others are served all the same."""

import asyncio
import contextlib
import ssl

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from http_base.types import Exchange, Serve
from outgate.demo.certificates import Authority
from outgate.http.body_limit import body_of
from outgate.http.http_route import HttpRoute
from way.place import LOCALHOST

ATTACKER, OTHER = "127.0.1.1", "127.0.2.1"  # of two networks (/24)
TOTAL, PER_PEER, MANY = 20, 5, 30  # MANY is more than the listener takes in all

HALF_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
SLOW_BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"
KEPT_ALIVE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def open_many(port: int, context: ssl.SSLContext | None, says: bytes) -> list[asyncio.StreamWriter]:
    """Connections of one address, as many of them as it is let have."""

    async def one() -> asyncio.StreamWriter | None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=(ATTACKER, 0))
        except OSError:
            return None
        writer.write(says)
        return writer

    return [writer for writer in await asyncio.gather(*(one() for _ in range(MANY))) if writer]


def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(body_of(request))))


ROUTES = [HttpRoute(path="/", methods=frozenset({"GET", "POST"}), handler=echo, kind="api", max_body=9)]


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("says", [HALF_HEAD, SLOW_BODY, KEPT_ALIVE, None])
async def test_many_connections_of_one_peer_leave_room_for_others(
    serve: Serve, authority: Authority, says: bytes | None, tls: bool
) -> None:
    """None says nothing at all: with TLS, not even a handshake."""
    context = ssl.create_default_context(cafile=str(authority.ca_file)) if tls else None
    port = await serve(
        ROUTES,
        context=authority.server_context(LOCALHOST) if tls else None,
        trusted_proxies=["127.0.0.1/32"],
        max_connections=TOTAL,
        max_connections_per_peer=PER_PEER,
    )
    writers = await open_many(port, context if says else None, says or b"")
    transport = httpx2.AsyncHTTPTransport(verify=context or False, local_address=OTHER)
    url = f"{'https' if tls else 'http'}://localhost:{port}"
    async with httpx2.AsyncClient(transport=transport, base_url=url, timeout=30) as browser:
        assert (await browser.post("/", content=b"abc")).text == "3"
    for writer in writers:
        writer.transport.abort()


async def test_a_proxy_may_have_all_connections(serve: Serve) -> None:
    port = await serve(ROUTES, max_connections=TOTAL, max_connections_per_peer=PER_PEER)
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(TOTAL)]
    for reader, writer in streams:
        writer.write(KEPT_ALIVE)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    one_more = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionResetError):
        assert await one_more[0].read() == b""
    for _, writer in (*streams, one_more):
        writer.transport.abort()


async def test_who_has_gone_leaves_room(serve: Serve, exchange: Exchange) -> None:
    port = await serve(ROUTES, trusted_proxies=[], max_connections=1)
    request = KEPT_ALIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(10):
        for _ in range(3):
            while not (await exchange(port, request)).startswith(b"HTTP/1.1 200 "):
                await asyncio.sleep(0)
