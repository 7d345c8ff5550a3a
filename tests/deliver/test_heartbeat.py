"""The sign of life while the database is away: told once, then once a minute with a count."""

import asyncio
from typing import Any, cast

import pytest
import structlog

from outgate.deliver import heartbeat
from outgate.deliver.heartbeat import Heartbeat
from outgate.store.engine import StoreUnavailable
from outgate.watchdog import Watchdog


class AwayDirectory:
    """Can't be read, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def version(self) -> int:
        self.asked += 1
        raise StoreUnavailable("connection refused")


@pytest.mark.parametrize(("every", "lines"), [(1e9, 1), (0.0, 50)])
async def test_a_database_that_is_away_is_no_flood_of_lines(
    monkeypatch: pytest.MonkeyPatch, every: float, lines: int
) -> None:
    monkeypatch.setattr(heartbeat, "WATCH", 0)
    monkeypatch.setattr(heartbeat, "AWAY", every)
    directory = AwayDirectory()
    beat = Heartbeat(cast(Any, None), "node", cast(Any, directory), cast(Any, None), Watchdog())
    with structlog.testing.capture_logs() as log:
        running = asyncio.create_task(beat.run())
        while directory.asked < 50:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    told = [one["times"] for one in log if one["event"] == "nodes can't be told what is in force"]
    assert told[0] == 1
    assert len(told) == min(lines, len(told))
    assert len(told) >= min(lines, 49)
