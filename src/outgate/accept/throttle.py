"""Counts failed log-ins by account and network, so that guessing is slow: over restarts, processes and nodes.

The counts are in the database (store.rates). Here a failure is counted at once in memory, and written by a thread;
and what is locked is remembered for some seconds, so that a flood costs neither writes nor many reads.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

import prometheus_client
import structlog

from outgate.config import LogInSettings
from outgate.directory import log_in_limits
from outgate.directory.log_in_limits import LogInLimits
from outgate.mail.addresses import AddressError, canonical
from outgate.peer import is_within, network_of
from outgate.store.engine import StoreUnavailable
from outgate.store.rates import Event, Key, Rates

MEMORY: Final = 2.0  # seconds after which an unlocking is noticed, at most
NO_ADDRESS: Final = "-"  # the account of all user names that are no address: people type passwords there
PATIENCE: Final = 30.0  # seconds that a try waits for others that are being judged
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


@dataclass(slots=True, eq=False)
class LogInAttempt:
    """A try that is judged, and what it counts as if it fails. While `is_held` it has a place among the failures."""

    username: str
    account: str
    network: str
    peer: str
    events: Sequence[Event]
    is_held: bool = False


class Throttle:
    """Whether a log-in may be tried, and what became of it. For one event loop.

    `is_known` tells whether an account has logged in from a network before; it is called in a thread.
    """

    def __init__(
        self, settings: LogInSettings, counts: Rates, is_known: Callable[[str, str], bool] = lambda *_: False
    ) -> None:
        self._limits = limits_of(settings)
        self._exempt = [ip_network(network) for network in settings.exempt_networks]
        self._counts, self._is_known = counts, is_known
        self._threads = ThreadPoolExecutor(2, "throttle")  # one may wait for the write lock while the other reads
        self._locked: dict[Key, float] = {}  # until when, in the loop's time
        self._known: dict[tuple[str, str], tuple[bool, float]] = {}  # as `is_known` said, and until when it holds
        self._judged: Counter[Key] = Counter()  # tries that are being judged
        self._one_judged = asyncio.Event()
        self._unwritten: list[Event] = []
        self._more: Counter[Key] = Counter()  # failures that are not in the database yet
        self._written = 0  # how often some were written
        self._writing: asyncio.Task[None] | None = None

    def attempt(self, username: str, peer: str) -> LogInAttempt:
        """A try, with no place yet."""
        account, network = account_of(username), network_of(peer)
        events = self._limits.events(account, network, exempt=is_within(peer, self._exempt))
        return LogInAttempt(username, account, network, peer, events)

    async def admit(self, attempt: LogInAttempt) -> bool:
        """Whether it may be judged now; if so `settle` or `failed` must follow.

        Not when there were too many failures for this account from this network, from this network for all accounts,
        or for this account from all networks. Who would be one too many if those that are being judged fail waits for
        them: of many guesses at once no more are judged than may fail. Raises store.engine.StoreUnavailable.
        """
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while (room := await self._room(attempt)) is not None:
            if all(room[key] > self._judged[key] for key in room):
                self._judged.update(key for _, key in attempt.events)
                attempt.is_held = True
                return True
            if not await self._another_judged(deadline):
                return False
        return False

    def settle(self, attempt: LogInAttempt) -> None:
        """It is judged no more. If it has not failed, it was right or nobody can say: nothing is counted."""
        if not attempt.is_held:
            return
        attempt.is_held = False
        self._judged.subtract(key for _, key in attempt.events)
        self._judged = +self._judged
        self._one_judged.set()
        self._one_judged = asyncio.Event()

    def failed(self, attempt: LogInAttempt) -> None:
        """Count a failure."""
        if len(self._unwritten) < _LIMIT:
            self._unwritten += attempt.events
            self._more.update(key for _, key in attempt.events)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())
        self.settle(attempt)

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
            self._written += 1
            self._more.subtract(key for _, key in events)
            self._more = +self._more

    async def _room(self, attempt: LogInAttempt) -> dict[Key, int] | None:
        """How many more failures each key would take; None if one that holds for this try takes none."""
        events = [event for event in attempt.events if not self._is_locked(event[1])]
        locked = {key for _, key in attempt.events} - {key for _, key in events}
        if locked and not await self._holds_not(locked, attempt):
            return None
        room = await self._room_of(events)
        full = {key for key, left in room.items() if left <= 0}
        for key in full:
            self._remember(key)
        return await self._room(attempt) if full else room

    async def _holds_not(self, locked: Set[Key], attempt: LogInAttempt) -> bool:
        """Whether all that is locked is the account for strangers, and this is no stranger."""
        if locked != {log_in_limits.anywhere_key(attempt.account)}:
            return False
        now, who = asyncio.get_running_loop().time(), (attempt.account, attempt.network)
        known, until = self._known.get(who, (False, 0.0))
        if now >= until:
            if len(self._known) >= _LIMIT:
                self._known.clear()
            known = await asyncio.get_running_loop().run_in_executor(self._threads, self._is_known, *who)
            self._known[who] = known, now + MEMORY
        return known

    async def _room_of(self, events: Sequence[Event]) -> dict[Key, int]:
        """As the database and `_more` say.

        A failure that was written while the database was read may be in neither; one that is being written may be in
        both. Where that could have decided, ask again.
        """
        while True:
            written = self._written
            counted = await asyncio.get_running_loop().run_in_executor(self._threads, self._counts.room, events)
            if self._written != written:
                continue
            if any(left <= self._more[key] > 0 for (_, key), left in zip(events, counted, strict=True)):
                if self._writing and not self._writing.done():
                    await asyncio.wait([self._writing])
                if self._written != written:
                    continue  # else the store takes no writes
            return {key: left - self._more[key] for (_, key), left in zip(events, counted, strict=True)}

    async def _another_judged(self, deadline: float) -> bool:
        """Wait until one of those that are being judged has been; False if that takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                return await self._one_judged.wait()
        return False

    def _is_locked(self, key: Key) -> bool:
        return self._locked.get(key, 0.0) > asyncio.get_running_loop().time()

    def _remember(self, key: Key) -> None:
        if key not in self._locked:
            if len(self._locked) >= _LIMIT:
                self._locked.clear()
            _LOCKED.inc()
            _log.warning("log-in locked", by=key[1], target=" ".join(key[2:]))
        self._locked[key] = asyncio.get_running_loop().time() + MEMORY
