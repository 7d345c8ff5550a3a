"""Loops that must not end while the server runs: begun again after a fault that nobody foresaw. Knows no mail."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

FIRST_PAUSE: Final = 0.1  # seconds before the loop is begun again; doubled with each fault
LONGEST_PAUSE: Final = 30.0
CALM: Final = 60.0  # seconds of running after which a fault counts as the first one again

_log = structlog.get_logger("outgate")


async def supervised(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run the loop until it is cancelled; it never ends otherwise."""
    pause, clock = FIRST_PAUSE, asyncio.get_running_loop().time
    while True:
        started = clock()
        try:
            await loop()
            _log.error("loop ended, beginning it again", loop=name)
        except Exception:  # whatever it is: the server goes on accepting, so it must go on delivering
            _log.exception("loop failed, beginning it again", loop=name)
        if clock() - started > CALM:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
