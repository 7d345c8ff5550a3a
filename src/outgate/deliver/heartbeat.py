"""Tells those who change policy what version of the directory this process goes by (operations.propagation waits)."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import structlog

from outgate import clock
from outgate.directory.nodes import HEARTBEAT, GoesBy, ProcessStanding
from outgate.directory.reader import DirectoryReader
from outgate.store.engine import StoreUnavailable
from outgate.store.group_commit import GroupCommit
from outgate.watchdog import Watchdog, step

WATCH: Final = 0.05  # seconds between looks at the directory's version
AWAY: Final = 60.0  # seconds between two lines of the log while the database is away

_log = structlog.get_logger("deliver")


class Heartbeat:
    """`go_by` is told each version, and says what something still under way was decided under."""

    def __init__(
        self,
        commits: GroupCommit,
        node: str,
        directory: DirectoryReader,
        go_by: Callable[[int], Awaitable[int]],
        watchdog: Watchdog,
    ) -> None:
        self._commits, self._node, self._directory, self._watchdog = commits, node, directory, watchdog
        self._go_by = go_by
        self.standing = ProcessStanding()
        self.tell_drained: Callable[[bool], None] = lambda _: None  # called each time, whether that is new or not
        self._failures = 0
        self._complained_at = float("-inf")

    async def run(self) -> None:
        """Until it is cancelled."""
        told, told_at = -1, 0.0
        while True:
            try:
                # In this order: a check that is made after this reading goes by this version or a later one.
                version = await self._go_by(await self._directory.version())
                now = clock.now()
                if version > told or not 0 <= now - told_at < HEARTBEAT:
                    self._stand(await self._commits.make(GoesBy(self._node, version, now, self._wedged(now))))
                    told, told_at = version, now
                self._failures = 0
            except StoreUnavailable as error:
                self._complain(error)
            step()
            await asyncio.sleep(WATCH)

    async def end(self) -> None:
        """Nothing is handed over by this process any more. Raises StoreUnavailable."""
        await self._commits.make(GoesBy(self._node, None, clock.now()))

    def _stand(self, standing: ProcessStanding) -> None:
        self.standing = standing
        self.tell_drained(standing.is_drained)

    def _wedged(self, now: float) -> tuple[int, float]:
        """How often the watchdog had to end something, and when it last had."""
        since = monotonic() - self._watchdog.wedged_at
        return self._watchdog.wedged, now - since

    def _complain(self, error: StoreUnavailable) -> None:
        """Once, then every minute with a count."""
        self._failures += 1
        now = asyncio.get_running_loop().time()
        if self._failures == 1 or now - self._complained_at >= AWAY:
            _log.error("nodes can't be told what is in force", error=str(error), times=self._failures)
            self._complained_at = now
