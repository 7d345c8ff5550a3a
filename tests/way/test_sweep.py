"""Pieces of messages that never came whole are removed while the server runs, by their age."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from outgate import clock, wiring
from outgate.queue.queue_id import QueueIds
from outgate.store import tables
from outgate.store.engine import read, write
from way.place import install, running


async def test_old_pieces_go_as_the_server_runs_and_young_ones_stay(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "SWEEP_EVERY", 0.05)
    site = install(tmp_path / "outgate", database_url=database_url, top={"database_url": database_url})
    server = await running(site)
    engine = site.place().engine
    old, young = QueueIds().new(clock.now() - 2 * 86400), QueueIds().new(clock.now() - 3600)

    def leave() -> None:  # as a node that was killed while they came
        with write(engine) as connection:
            rows = [{"message_id": one, "number": n, "data": b"x"} for one in (old, young) for n in range(2)]
            connection.execute(insert(tables.chunk), rows)

    def left() -> set[int]:
        with read(engine) as connection:
            return set(connection.scalars(select(tables.chunk.c.message_id)))

    try:
        await asyncio.to_thread(leave)
        async with asyncio.timeout(20):
            while await asyncio.to_thread(left) != {young}:
                await asyncio.sleep(0.02)
    finally:
        await server.stop()
        engine.dispose()
