"""The receiver of the docs, a real server that is killed, and an event that comes all the same."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from bench.scratch import free_port
from sqlalchemy import func, select, update

from outgate import clock
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.webhooks import endpoints
from outgate.webhooks.endpoints import WebhookSettings
from way.place import PLAIN, Site, eventually, install, listens, serve
from way.submit import client, message
from web.links import opened

pytestmark = pytest.mark.usefixtures("untraced")

RECEIVER = Path(__file__).parents[2] / "docs" / "webhook-receiver.py"
ALICE, BOB = "alice@example.com", "bob@example.com"


@asynccontextmanager
async def receiving(port: int, secret: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program of the docs."""
    environment = os.environ | {"WEBHOOK_SECRET": secret}
    command = (sys.executable, str(RECEIVER), str(port))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


def endpoint(site: Site, url: str) -> str:
    """A new one; its secret."""
    with opened(site) as place, write(place.engine) as connection:
        wanted = WebhookSettings("tickets", url, allow_http=True)
        return endpoints.create(connection, place.vault, wanted, ALICE, clock.now())[1].text


def let_time_pass(site: Site) -> None:
    """Until what failed is tried again."""
    with opened(site) as place, write(place.engine) as connection:
        connection.execute(update(tables.webhook_event).values(due_at=0.0))
        connection.execute(update(tables.webhook).values(paused_until=0.0))


def count(site: Site, attempts: int) -> int:
    """The events that were tried so often."""
    with opened(site) as place, read(place.engine) as connection:
        tried = tables.webhook_event.c.attempts >= attempts
        return connection.scalar(select(func.count()).select_from(tables.webhook_event).where(tried)) or 0


def send(site: Site) -> None:
    with client(site) as session:
        session.sendmail(ALICE, [BOB], message(ALICE, "secret subject"))


async def test_an_event_comes_though_the_server_was_killed_while_nobody_took_it(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", webhooks={"allow_http": True})
    port = free_port()
    secret = await asyncio.to_thread(endpoint, site, f"http://localhost:{port}/")
    server = await serve(site)
    await eventually(lambda: listens(site), "it serves")
    await asyncio.to_thread(send, site)
    await eventually(lambda: count(site, attempts=1) == 1, "it was tried", in_thread=True)
    server.send_signal(signal.SIGKILL)
    await server.wait()
    await asyncio.to_thread(let_time_pass, site)
    async with receiving(port, secret) as receiver:
        server = await serve(site)
        assert receiver.stdout
        async with asyncio.timeout(20):
            line = (await receiver.stdout.readline()).decode()
        assert " message.delivered " in line
        assert BOB in line
        assert "secret subject" not in line
        async with httpx2.AsyncClient(verify=PLAIN, timeout=30) as stranger:
            forged = {"webhook-id": "1", "webhook-timestamp": str(int(clock.now())), "webhook-signature": "v1,AAAA"}
            assert (await stranger.post(f"http://localhost:{port}/", content=b"{}", headers=forged)).status_code == 401
        await eventually(lambda: count(site, attempts=0) == 0, "it was taken", in_thread=True)
    server.terminate()
    await server.wait()
