"""Whatever bytes come: each connection ends, nothing of ours is shown or logged as a fault, and others are served."""

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from structlog.testing import capture_logs

from http_base.types import Exchange, Serve
from outgate.http import http_connection
from outgate.http.body_limit import body_of
from outgate.http.http_route import HttpRoute

PIECES = [
    *(b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"HEAD // HTTP/1.0", b"PRI * HTTP/2.0", b"OPTIONS * HTTP/1.1", b"GET x y"),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\0",
        b"Host: a\r\n",
        b"Host: b\r\n",
        b"Content-Length: 3\r\n",
        b"0\r\n\r\n",
    ),
    *(b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Transfer-Encoding: gzip, chunked\r\n", b"3\r\nabc\r\n", b"ffffffffffffffff\r\n", b"Expect: 100-continue\r\n"),
    *(b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"Connection: close\r\n", b"0\r\n\r\n"),
    b"X-Forwarded-For: \xff, ]:[::1\r\n",
    *(b"X-Forwarded-Proto: ftp\r\n", b"X-Forwarded-For: 127.0.0.1:99999999999\r\n", b"GET http://[ HTTP/1.1", b"abc"),
    *(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"GET /%ff%00%2e%2e HTTP/1.1", b"Sec-Fetch-Site: cross-site\r\n"),
]


def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(body_of(request))))


@pytest_asyncio.fixture
async def hostile(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> int:
    """The port of a server that waits for nobody long."""
    for deadline in ("HEAD_SECONDS", "BODY_SECONDS", "CLOSE_SECONDS"):
        monkeypatch.setattr(http_connection, deadline, 0.05)
    return await serve([HttpRoute(path="/", methods=frozenset({"GET", "POST"}), handler=echo, kind="page", max_body=9)])


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(says=st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=40)), max_size=12))
@example(says=[b"GET / HTTP/1.1\r\nHost: [\r\n\r\n"])
@example(says=[b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n"])
async def test_what_comes_is_answered_or_dropped(hostile: int, exchange: Exchange, says: list[bytes]) -> None:
    with capture_logs() as logged:
        answer = await exchange(hostile, b"".join(says))
    assert not logged
    assert b" 500 " not in answer
    assert b"Traceback" not in answer
