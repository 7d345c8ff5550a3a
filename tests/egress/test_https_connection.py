"""A connection by HTTPS: what counts as an answer, what is said of one that can't be had, and when it can be used."""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import pytest_asyncio
from bench.scratch import free_port

from corpus.https_peer import Answer, HttpsPeer
from outgate.demo.certificates import Authority
from outgate.demo.network import VirtualHost
from outgate.egress.https_client import MAX_BYTES, Fetched
from outgate.egress.https_connection import HttpsConnection, HttpsFault
from outgate.egress.resolver import Host

LOCALHOST = VirtualHost("localhost", "127.0.0.1")
HOST = Host("localhost", "127.0.0.1")


class Peer(HttpsPeer):
    """Takes what is posted, and says so at the length of `says`; of its last answer nothing comes but the status."""

    says = 1
    breaks_off = False

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        request.rfile.read(int(request.headers["Content-Length"]))
        if self.breaks_off:
            request.send_response(202)
            request.send_header("Content-Length", "9")
            request.end_headers()
            raise ConnectionResetError
        return 202, {}, {"said": "x" * self.says}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def connection(authority: Authority, port: int) -> HttpsConnection:
    return HttpsConnection(HOST, port, ssl.create_default_context(cafile=str(authority.ca_file)))


@pytest_asyncio.fixture
async def peer(authority: Authority) -> AsyncIterator[Peer]:
    with Peer(authority.server_context(LOCALHOST)) as serving:
        yield serving


async def opened(authority: Authority, peer: Peer) -> HttpsConnection:
    made = connection(authority, peer.port)
    await made.connect(5)
    await made.secure(5)
    return made


async def posted(to: HttpsConnection) -> Fetched:
    async def content() -> AsyncIterator[bytes]:
        yield b"Hello"

    return await to.ask("POST", "/", {}, 5, content(), 5)


async def test_a_status_is_an_answer_though_the_rest_is_lost_or_long(authority: Authority, peer: Peer) -> None:
    made = await opened(authority, peer)
    assert made.is_usable, "new"
    assert b"said" in (await posted(made)).content
    assert made.is_usable, "idle"
    peer.says = MAX_BYTES
    found = await posted(made)
    assert (found.status, found.content, made.is_usable) == (202, b"", False)
    peer.breaks_off, made = True, await opened(authority, peer)
    found = await posted(made)
    assert (found.status, found.content, made.is_usable) == (202, b"", False)


async def test_why_there_is_no_connection_is_said_as_the_system_says_it(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(HttpsFault, match=r"^could not connect: Connection refused$"):
        await connection(authority, free_port()).connect(5)
    (tmp_path / "another").mkdir()
    another, refused = Authority(tmp_path / "another"), r"^the certificate is not accepted: "
    with Peer(another.server_context(LOCALHOST)) as peer, pytest.raises(HttpsFault, match=refused) as caught:
        await opened(authority, peer)
    assert caught.value.is_of_tls
    assert "_ssl.c" not in str(caught.value)


async def test_a_handshake_that_is_broken_off_leaves_no_socket(authority: Authority) -> None:
    ended = asyncio.get_running_loop().create_future()
    begun = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(4096)
            begun.set()
            while await reader.read(4096):
                pass
        except OSError:
            pass
        ended.set_result(None)
        writer.close()

    gc.disable()  # or the socket might be closed by that
    try:
        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            made = connection(authority, server.sockets[0].getsockname()[1])
            await made.connect(5)
            handshake = asyncio.create_task(made.secure(30))
            await begun.wait()
            handshake.cancel()
            with pytest.raises(asyncio.CancelledError):
                await handshake
            await asyncio.wait_for(ended, 2)
    finally:
        gc.enable()
