"""Routes at a real listener on loopback, and those who ask for them: httpx2, and sockets that say what they like."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
import uvloop
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from http_base.types import Exchange, Serve
from outgate.config import WebSettings
from outgate.demo.certificates import Authority
from outgate.http.application import HttpApplication
from outgate.http.database_threads import DatabaseThreads
from outgate.http.http_listener import HttpListener
from outgate.http.http_route import HttpRoute
from outgate.store.engine import open_engine
from way.place import LOCALHOST, PLAIN

PUBLIC_URL = "https://mail.example.com"


def error_page(request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Stands for the pages'."""
    return PlainTextResponse(f"page {status}", status, headers)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server runs on uvloop; other tests of it on asyncio's own loop."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def database(new_sqlite: Callable[..., str]) -> Iterator[Engine]:
    """SQLite: what the base asks of it is tested on both in tests/store."""
    opened = open_engine(new_sqlite())
    yield opened
    opened.dispose()


@pytest_asyncio.fixture
async def serve(database: Engine) -> AsyncIterator[Serve]:
    """Serves routes until the test ends; returns the port."""
    async with AsyncExitStack() as stack:

        async def start(
            routes: Sequence[HttpRoute],
            *,
            threads: DatabaseThreads | None = None,
            context: ssl.SSLContext | None = None,
            **settings: object,
        ) -> int:
            web = WebSettings.model_validate({"public_url": PUBLIC_URL, "port": 0, **settings})
            application = HttpApplication(routes, database, web, error_page, threads or DatabaseThreads())
            listener = HttpListener(application, web, context)
            await listener.open()
            stack.push_async_callback(listener.close)
            return listener.port

        yield start


@pytest_asyncio.fixture
async def client_of() -> AsyncIterator[Callable[[int], httpx2.AsyncClient]]:
    """Makes a client for a port."""
    async with AsyncExitStack() as stack:
        clients: list[httpx2.AsyncClient] = []

        def make(port: int) -> httpx2.AsyncClient:
            url = f"http://127.0.0.1:{port}"
            clients.append(httpx2.AsyncClient(base_url=url, trust_env=False, verify=PLAIN, timeout=30))
            stack.push_async_callback(clients[-1].aclose)
            return clients[-1]

        yield make


@pytest.fixture
def exchange() -> Exchange:
    """What a server answers to these bytes until it closes the connection."""

    async def said(port: int, *pieces: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
        answer = bytearray()
        async with asyncio.timeout(30):
            try:
                while data := await reader.read(65536):
                    answer += data
            except ConnectionResetError:
                pass
        writer.close()
        return bytes(answer)

    return said


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Issues the listener's certificate."""
    return Authority(tmp_path)


@pytest.fixture
def server_context(authority: Authority) -> ssl.SSLContext:
    """Of localhost."""
    return authority.server_context(LOCALHOST)
