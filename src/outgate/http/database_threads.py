"""The threads in which requests use the database.

Not the event loop: a write there would wait for queue.GroupCommit, which waits for the loop. Not asyncio's own threads:
a flood of requests would leave none for the rest of the server.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

import structlog

from outgate.store.engine import StoreUnavailable

THREADS: Final = 4
WAITING: Final = 64  # calls; as many are answered within a few seconds, and later nobody waits for them

_log = structlog.get_logger("http")

P = ParamSpec("P")
R = TypeVar("R")


class DatabaseThreads:
    """A few threads, and a bounded number of calls that wait for one."""

    def __init__(self, threads: int = THREADS, waiting: int = WAITING) -> None:
        self._executor = ThreadPoolExecutor(threads, "http")
        self._later = ThreadPoolExecutor(1, "http-later")
        self._room = threads + waiting

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a thread, with the caller's context (log lines have the request's name).

        Raises StoreUnavailable without a call if too many wait already; else what the function raises.
        """
        if not self._room:
            raise StoreUnavailable("too many requests wait for the database")
        self._room -= 1
        context = contextvars.copy_context()
        done = self._executor.submit(context.run, lambda: function(*args, **kwargs))
        loop = asyncio.get_running_loop()
        # Counted until the thread is free, which is later than the caller's end if the caller is cancelled.
        done.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return await asyncio.wrap_future(done)

    def run_later(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call a function that no request waits for, after those that were given before. A fault is logged."""
        self._later.submit(contextvars.copy_context().run, lambda: _logged(function, *args, **kwargs))

    async def close(self) -> None:
        """Wait for what is being answered, and for what was to be done later."""
        await asyncio.to_thread(self._executor.shutdown)
        await asyncio.to_thread(self._later.shutdown)

    def _leave(self) -> None:
        self._room += 1


def _logged(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    try:
        function(*args, **kwargs)
    except Exception as error:  # it concerns no request
        _log.error("what was to be done later has failed", exc_info=error)
