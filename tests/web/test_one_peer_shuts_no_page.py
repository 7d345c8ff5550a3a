"""One peer opens as many connections as it can and says little on them: the page is there for others all the same."""

import asyncio
import ssl
from pathlib import Path

import httpx2
import pytest
from bench.scratch import free_port

from way.place import install, running

ATTACKER, OTHER = "127.0.1.1", "127.0.2.1"  # of two networks (/24)
MANY = 250  # more than the listener takes in all

HALF_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


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


@pytest.mark.parametrize("says", [HALF_HEAD, b""])
async def test_half_requests_and_half_handshakes_of_one_peer_leave_room_for_others(tmp_path: Path, says: bytes) -> None:
    port = free_port()
    site = install(tmp_path / "outgate", web={"public_url": f"https://localhost:{port}", "port": port, "tls": True})
    server = await running(site)
    writers = await open_many(port, site.client_context() if says else None, says)
    transport = httpx2.AsyncHTTPTransport(verify=site.client_context(), local_address=OTHER)
    async with httpx2.AsyncClient(transport=transport, base_url=f"https://localhost:{port}", timeout=30) as browser:
        assert (await browser.get("/x")).status_code == 404
    for writer in writers:
        writer.transport.abort()
    await server.stop()
