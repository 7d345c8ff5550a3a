"""Counts failed log-ins by account and network, so that guessing is slow: over restarts, processes and nodes.

The counts are in the database (store.rates). Here a failure is counted at once in memory, and written by a thread;
and what is locked is remembered for some seconds, so that a flood costs neither writes nor many reads.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import prometheus_client
import structlog

from outgate.config import LogInSettings
from outgate.directory.log_in_limits import LogInLimits
from outgate.mail.addresses import AddressError, canonical
from outgate.peer import network_of
from outgate.store.engine import StoreUnavailable
from outgate.store.rates import Event, Key, Rates

MEMORY: Final = 2.0  # seconds after which an unlocking is noticed, at most
NO_ADDRESS: Final = "-"  # the account of all user names that are no address: people type passwords there
_LIMIT: Final = 10_000  # of what is kept in memory

_LOCKED = prometheus_client.Counter(
    "outgate_log_ins_locked", "Times that an account or a network was found locked after failures"
)

_log = structlog.get_logger("accept")


def account_of(username: str) -> str:
    """What failures for a user name are counted under, whether there is such a user or not."""
    try:
        return canonical(username)
    except AddressError:
        return NO_ADDRESS


def limits_of(settings: LogInSettings) -> LogInLimits:
    """The limits that are set."""
    return LogInLimits(
        settings.failures_per_account, settings.failures_per_network, settings.failures_per_account_anywhere
    )


class Throttle:
    """Whether a log-in may be tried, and what became of it. For one event loop."""

    def __init__(self, settings: LogInSettings, counts: Rates) -> None:
        self._limits = limits_of(settings)
        self._counts = counts
        self._threads = ThreadPoolExecutor(2, "throttle")  # one may wait for the write lock while the other reads
        self._locked: dict[Key, float] = {}  # until when, in the loop's time
        self._unwritten: list[Event] = []
        self._more: Counter[Key] = Counter()  # failures that are not in the database yet
        self._writing: asyncio.Task[None] | None = None

    async def allows(self, username: str, peer: str) -> bool:
        """False when there were too many failures for this account from this network, from this network for all
        accounts, or for this account from all networks. Raises store.engine.StoreUnavailable.
        """
        loop = asyncio.get_running_loop()
        events = self._limits.events(account_of(username), network_of(peer))
        if any(self._locked.get(key, 0.0) > loop.time() for _, key in events):
            return False
        left = await self._seconds_left(events)
        for key, seconds in left.items():
            if seconds:
                self._remember(key, loop.time() + min(seconds, MEMORY))
        return not any(left.values())

    def failed(self, username: str, peer: str) -> None:
        """Count a failure."""
        if len(self._unwritten) < _LIMIT:
            events = self._limits.events(account_of(username), network_of(peer))
            self._unwritten += events
            self._more.update(key for _, key in events)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Write what is counted so far."""
        if self._writing:
            await self._writing
        await self._write()  # what the store did not take before
        self._threads.shutdown()

    async def _write(self) -> None:
        """Until all is written; what the store does not take now is written with the next failure."""
        while self._unwritten:
            events, self._unwritten = self._unwritten, []
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._counts.hit_all, events)
            except StoreUnavailable as error:
                _log.error("failed log-ins could not be counted", error=str(error))
                self._unwritten = events + self._unwritten
                break
            self._more.subtract(key for _, key in events)
            self._more = +self._more

    async def _seconds_left(self, events: Sequence[Event]) -> dict[Key, float]:
        """Until each would be counted once more.

        A failure may be in the database and in `_more` for a moment; where that could have decided, ask again.
        """
        while True:
            more = {key: self._more[key] for _, key in events}
            look = asyncio.get_running_loop().run_in_executor(
                self._threads, self._counts.all_seconds_left, events, more
            )
            left = {key: seconds for (_, key), seconds in zip(events, await look, strict=True)}
            if not any(left[key] and more[key] for key in left):
                return left
            if self._writing and not self._writing.done():
                await asyncio.wait([self._writing])
            if all(self._more[key] == count for key, count in more.items()):
                return left  # the store takes no writes

    def _remember(self, key: Key, until: float) -> None:
        if key not in self._locked:
            if len(self._locked) >= _LIMIT:
                self._locked.clear()
            _LOCKED.inc()
            _log.warning("log-in locked", by=key[1], target=" ".join(key[2:]))
        self._locked[key] = until
