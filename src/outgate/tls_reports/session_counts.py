"""Counts sessions as delivery tells of them, in memory, and adds them to the database every minute.

Nothing waits for it: what it has no room for is not counted, and that is. Room is shared by all domains, and each has a
share of it; when half of it is used, what is there is written at once. What a process has counted since it last wrote
is lost if it is killed.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

import structlog
from prometheus_client import Counter
from sqlalchemy import Engine

from outgate.store.engine import StoreUnavailable
from outgate.store.writers_turn import writing
from outgate.tls_reports import session_rows
from outgate.tls_reports.utc_days import DAY
from outgate.transport_security.tls_session import TlsSession

EVERY: Final = 60.0  # seconds
ROOM: Final = 10_000  # different sessions in memory
SHARE: Final = 50  # of one domain; beyond it what differs is counted by its result alone
BATCH: Final = 50  # domains in one transaction
PAUSE: Final = 0.1  # seconds between transactions, for everybody else's

_UNCOUNTED = Counter(
    "outgate_tls_sessions_uncounted", "Sessions that are in no report to their domain, since there was no room"
)

_log = structlog.get_logger("tls-reports")

_Counts = dict[tuple[int, str], dict[TlsSession, int]]  # by day and domain


class TlsSessionCounts:
    """One process's. `sending_address` is told of instead of each session's own, where addresses are translated; one
    of a private network is told to nobody.
    """

    def __init__(self, engine: Engine, now: Callable[[], float], sending_address: str = "") -> None:
        self._engine, self._now, self._sending_address = engine, now, sending_address
        self._counts: _Counts = {}
        self._different = 0
        self._half_full = asyncio.Event()

    def count(self, session: TlsSession) -> None:
        """Called on the event loop, for each session; takes some microseconds."""
        if session.sending_address:
            session = replace(session, sending_address=self._sending_address or _public(session.sending_address))
        self._add(int(self._now() // DAY), session, 1)
        if self._different >= ROOM // 2:
            self._half_full.set()

    async def run(self) -> None:
        """Write every minute, or when half of the room is used, until it is cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._half_full.wait(), EVERY)
            await asyncio.sleep(PAUSE if await self.write() else EVERY)

    async def write(self, pause: float = PAUSE) -> bool:
        """Add what was counted to the database; whether that could be done. If not, it is counted on with."""
        counts, self._counts, self._different = self._counts, {}, 0
        self._half_full.clear()
        left = sorted(counts)
        try:
            while left:
                # What is under way when this is cancelled is written all the same.
                together, left = left[:BATCH], left[BATCH:]
                try:
                    await asyncio.to_thread(self._write, {key: counts[key] for key in together})
                except StoreUnavailable as error:
                    _log.warning("TLS sessions are not added up yet", error=str(error))
                    left = together + left
                    return False
                await asyncio.sleep(pause if left else 0)
        finally:
            for day, domain in left:
                for session, count in counts[day, domain].items():
                    self._add(day, session, count)
        return True

    def _write(self, counts: _Counts) -> None:
        with writing(self._engine) as connection:
            for (day, domain), of_domain in counts.items():
                session_rows.add(connection, day, domain, of_domain)

    def _add(self, day: int, session: TlsSession, count: int) -> None:
        of_domain = self._counts.get((day, session.domain), {})
        if session not in of_domain and len(of_domain) >= SHARE:
            session = session_rows.coarse(session)
        if session in of_domain:
            of_domain[session] += count
        elif self._different < ROOM:
            self._counts.setdefault((day, session.domain), of_domain)[session] = count
            self._different += 1
        else:
            _UNCOUNTED.inc(count)


def _public(address: str) -> str:
    return address if ip_address(address.partition("%")[0]).is_global else ""
