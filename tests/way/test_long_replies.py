"""Replies of any length are cut before they are kept: the database doesn't grow by what a peer says."""

import asyncio
from pathlib import Path

from sqlalchemy import func, select

from corpus.peer import RawPeer
from outgate.record.events import REPLY_LENGTH
from outgate.store import tables
from outgate.store.engine import read
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, install, running
from way.submit import submit

RECIPIENTS = [f"carol{number}@recipient.example" for number in range(100)]
LONG = "\r\n".join(["450-4.2.0 " + "x" * 1990] * 394 + ["450 4.2.0 end"])  # 790 KB


async def test_790_kb_for_each_of_a_hundred_recipients_leave_little_in_the_database(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", delivery={"retry_first": 1, "retry_factor": 1})
    context = site.authority.server_context(LOCALHOST)

    def answer(line: str) -> str | None:
        return LONG if line.startswith("RCPT") else None

    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=answer) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        engine = site.place().engine
        before = (site.data / "outgate.db").stat().st_size

        def attempts() -> int:
            with read(engine) as connection:
                tried = func.coalesce(func.min(tables.recipient.c.attempts), 0)
                return connection.scalar(select(tried)) or 0

        try:
            await submit(site, PARTNER, RECIPIENTS)
            async with asyncio.timeout(60):
                while await asyncio.to_thread(attempts) < 2:
                    await asyncio.sleep(0.1)
        finally:
            await server.stop()
        with read(engine) as connection:
            longest = connection.scalar(select(func.max(func.length(tables.recipient.c.last_reply))))
            facts = connection.scalar(select(func.sum(func.length(tables.fact.c.detail))))
        engine.dispose()
        wal = site.data / "outgate.db-wal"
        grown = (site.data / "outgate.db").stat().st_size + (wal.stat().st_size if wal.exists() else 0) - before
    assert 0 < longest <= REPLY_LENGTH + 1
    assert facts < 3 * len(RECIPIENTS) * 2 * REPLY_LENGTH
    assert grown < 8_000_000, f"{grown} bytes"
