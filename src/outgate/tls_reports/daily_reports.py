"""Sends each domain that asks for it a report of the day before, by one node alone: who claims a report sends it.

The time of each is any within four hours of the day's end, so that who collects reports is not flooded. One that can't
be had is tried again for a day (RFC 8460 section 5.5). By mail it has a null sender, so that nobody is told if it can't
be delivered, and its own session is in no report (section 3). Knows no SMTP: mail goes into the queue like any other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import uniform
from typing import Final, TypeVar
from uuid import uuid4

import structlog
from dns.rdtypes.ANY.TXT import TXT
from prometheus_client import Counter
from sqlalchemy import Connection, Engine

from outgate.directory.reader import DirectoryReader
from outgate.egress.https_client import HttpsClient, NotFetched
from outgate.egress.resolver import Resolver, Unresolved
from outgate.frozen import frozen
from outgate.mail.dkim import DkimKey
from outgate.model import Organisation, TlsDemand
from outgate.printable import printable
from outgate.queue import Put
from outgate.queue.mail_queue import Committed
from outgate.queue.queue_id import QueueIds, to_text
from outgate.store.batch import apply
from outgate.store.engine import StoreUnavailable, read
from outgate.store.vault import SealBroken
from outgate.store.writers_turn import writing
from outgate.submit import originate
from outgate.tls_reports import report_rows, session_rows
from outgate.tls_reports.report_document import ReportSubmitter, TlsReport
from outgate.tls_reports.report_message import report_message
from outgate.tls_reports.report_rows import KeptReport, ReportState
from outgate.tls_reports.tlsrpt_record import ReportPlace, places
from outgate.tls_reports.utc_days import DAY

EVERY: Final = 60.0  # seconds between looks for what is due
PLANNED_EVERY: Final = 600.0  # seconds between looks for domains that have no report yet
SETTLING: Final = 300.0  # seconds after a day until all that was counted of it is in the database
SPREAD: Final = 4 * 3600.0  # seconds, from then on, over which the reports of a day are spread
DAYS: Final = 2  # days that are reported on: the last one, and one that nobody was there for
TOGETHER: Final = 20  # reports sent at once
PATIENCE: Final = 20.0  # seconds for a server to take a report
PAUSES: Final = (900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)  # seconds between tries; the last one repeats
_PLANNED: Final = 500  # in one transaction
_THREADS: Final = 2  # of its own for the database: those of asyncio are delivery's
_UNNOTED: Final = "what came of a day's tries could not be noted in the database"

_REPORTS = Counter("outgate_tls_reports", "TLS reports to recipients' domains, by what became of them", ["state"])

T = TypeVar("T")
KeysOf = Callable[[str, int], Awaitable[tuple[DkimKey, ...]]]  # by domain, as of a version of the directory

_log = structlog.get_logger("tls-reports")


@frozen
class ReportLetterhead:
    """Who reports, as the configuration says; empty texts stand for what the organisation itself has."""

    hostname: str
    organisation: str = ""
    contact: str = ""

    def submitter(self, organisation: Organisation) -> ReportSubmitter:
        """The same for this organisation."""
        domain = organisation.postmaster.rpartition("@")[2]
        return ReportSubmitter(self.organisation or domain, domain, self.contact or organisation.postmaster)


@frozen
class _Outcome:
    """What came of a try; `put` is the report as a message to be queued with that."""

    kept: KeptReport
    state: ReportState
    detail: str
    again_at: float | None = None
    put: Put | None = None


class DailyReports:
    """For one event loop; `owner` names this process among all that share the database. `committed` hears of the
    events of messages that were queued.
    """

    def __init__(
        self,
        engine: Engine,
        directory: DirectoryReader,
        resolver: Resolver,
        https: HttpsClient,
        keys_of: KeysOf,
        queue_ids: QueueIds,
        letterhead: ReportLetterhead,
        owner: str,
        now: Callable[[], float],
        committed: Committed,
    ) -> None:
        self._engine, self._directory, self._resolver, self._https = engine, directory, resolver, https
        self._keys_of, self._queue_ids, self._letterhead = keys_of, queue_ids, letterhead
        self._owner, self._now, self._committed = owner, now, committed
        self._threads = ThreadPoolExecutor(_THREADS, "tls-reports")
        self._planned_at = 0.0

    async def run(self) -> None:
        """Look every minute, until it is cancelled."""
        try:
            while True:
                try:
                    await self.look()
                except StoreUnavailable as error:
                    _log.error("TLS reports not looked at", error=str(error))
                await asyncio.sleep(EVERY)
        finally:
            self._threads.shutdown(wait=False)

    async def look(self) -> None:
        """Send what is due, and have reports for domains of the last days that have none. Raises StoreUnavailable."""
        if self._now() - self._planned_at >= PLANNED_EVERY:
            await self._plan()
            self._planned_at = self._now()
        while await self._read(lambda connection: report_rows.is_due(connection, self._now())):
            claimed = await self._write(lambda one: report_rows.claim(one, self._owner, self._now(), TOGETHER))
            if not claimed:
                return
            outcomes = await asyncio.gather(*(self._report(one) for one in claimed))
            await self._settle([one for one in outcomes if one])

    async def _plan(self) -> None:
        today = int(self._now() // DAY)
        for day in range(today - DAYS, today):
            while await self._plan_some(day):
                pass

    async def _plan_some(self, day: int) -> bool:
        """Whether there were any."""
        found = await self._read(lambda connection: report_rows.unplanned(connection, day, _PLANNED))
        if found:
            await self._write(lambda connection: self._planned(connection, day, found))
        return bool(found)

    def _planned(self, connection: Connection, day: int, domains: Sequence[str]) -> None:
        begin = max((day + 1) * DAY + SETTLING, self._now())
        for domain in domains:
            identity = f"{uuid4()}@{self._letterhead.hostname}"
            due = begin + uniform(0.0, SPREAD - SETTLING)  # noqa: S311 -- spreads load
            report_rows.plan(connection, day, domain, identity, due, self._now())

    # --- one report, whose lease is ours --------------------------------------------------------------------------

    async def _report(self, kept: KeptReport) -> _Outcome | None:
        """One that fails by a fault of ours is due again when its lease ends."""
        try:
            return await self._try(kept)
        except StoreUnavailable as error:
            _log.error("TLS report not sent yet", domain=kept.domain, error=str(error))
        except Exception:
            _log.exception("TLS report not sent", domain=kept.domain)
        return None

    async def _try(self, kept: KeptReport) -> _Outcome:
        if kept.attempts and self._now() > kept.tried_until:
            return _Outcome(kept, ReportState.FAILED, kept.detail or _UNNOTED)
        answer = await self._resolver.records(f"_smtp._tls.{kept.domain}", "TXT")
        if isinstance(answer, Unresolved):
            return self._again(kept, answer.reason)
        texts = [b"".join(one.strings).decode("latin-1") for one in answer if isinstance(one, TXT)]
        wanted = places(texts)
        if wanted:
            return await self._send(kept, wanted)
        reason = "there is no such record" if wanted is None else "it names no https URL and no address"
        return _Outcome(kept, ReportState.NOT_WANTED, f"_smtp._tls.{kept.domain}: {reason}")

    async def _send(self, kept: KeptReport, wanted: Sequence[ReportPlace]) -> _Outcome:
        """To all places. Where one at least has taken it, it is sent."""
        organisation = await self._directory.organisation()
        submitter = self._letterhead.submitter(organisation)
        sessions = await self._read(lambda connection: session_rows.of_domain(connection, kept.day, kept.domain))
        report = TlsReport(kept.id, kept.domain, kept.day, submitter, sessions)
        urls = [one for one in wanted if one.url]
        posted = await asyncio.gather(*(self._post(report, one.url) for one in urls))
        faults = {str(one): fault for one, fault in zip(urls, posted, strict=True) if fault}
        by_mail = [one for one in wanted if one.address]
        put: Put | None = None
        if by_mail and (unsigned := await self._unsigned(submitter.domain)):
            faults |= {str(one): unsigned for one in by_mail}
        elif by_mail:
            put = self._message(report, [one.address for one in by_mail], organisation)
        told = "; ".join([f"{one}: {faults.get(str(one), 'taken')}" for one in wanted])
        if len(faults) < len(wanted):
            return _Outcome(kept, ReportState.SENT, told, put=put)
        return self._again(kept, told)

    async def _post(self, report: TlsReport, url: str) -> str | None:
        """None if it was taken, else why not."""
        headers = {"Content-Type": "application/tlsrpt+gzip"}
        answer = await self._https.post(url, report.compressed(), headers, PATIENCE)
        if isinstance(answer, NotFetched):
            return answer.reason
        return None if answer.status // 100 == 2 else f"status {answer.status}"

    async def _unsigned(self, domain: str) -> str:
        """Why reports of this domain can't be mailed: whoever gets one without its signature must pass it over (RFC
        8460 section 3). Empty if they can.
        """
        try:
            keys = await self._keys_of(domain, await self._directory.version())
        except SealBroken:
            return "the stored signing key was changed outside of Outgate; make another: outgate domain dkim set"
        if keys:
            return ""
        return f"mail must be signed, and {domain} has no DKIM key; make one: outgate domain dkim set {domain}"

    def _message(self, report: TlsReport, to: Sequence[str], organisation: Organisation) -> Put:
        now, sender = self._now(), organisation.postmaster
        identity = self._queue_ids.new(now)
        raw = report_message(report, sender, to, now, f"{to_text(identity)}@{self._letterhead.hostname}")
        return originate(identity, raw, "", to, organisation, now, TlsDemand.WAIVED)

    # --- what became of it ----------------------------------------------------------------------------------------

    def _again(self, kept: KeptReport, reason: str) -> _Outcome:
        again_at = self._now() + PAUSES[min(kept.attempts, len(PAUSES) - 1)]
        if again_at > kept.tried_until:
            return _Outcome(kept, ReportState.FAILED, reason)
        return _Outcome(kept, ReportState.WAITING, reason, again_at)

    async def _settle(self, outcomes: Sequence[_Outcome]) -> None:
        """All in one transaction, each with its message, so that it is queued once."""

        def change(connection: Connection) -> list[_Outcome]:
            mine = [one for one in outcomes if self._settled(connection, one)]
            apply(connection, [one.put for one in mine if one.put])
            return mine

        for one in await self._write(change) if outcomes else ():
            if one.put:
                self._committed(one.put.events)
            _REPORTS.labels(one.state.value).inc()
            if one.state is not ReportState.NOT_WANTED:  # nearly all
                level = _log.warning if one.state is ReportState.FAILED else _log.info
                level("TLS report", domain=one.kept.domain, state=one.state.value, detail=printable(one.detail))

    def _settled(self, connection: Connection, one: _Outcome) -> bool:
        told = printable(one.detail)
        return report_rows.settle(connection, one.kept, self._owner, one.state, told, self._now(), one.again_at)

    # --- the database ---------------------------------------------------------------------------------------------

    def _read(self, question: Callable[[Connection], T]) -> Awaitable[T]:
        def ask() -> T:
            with read(self._engine) as connection:
                return question(connection)

        return asyncio.get_running_loop().run_in_executor(self._threads, ask)

    def _write(self, change: Callable[[Connection], T]) -> Awaitable[T]:
        def make() -> T:
            with writing(self._engine) as connection:
                return change(connection)

        return asyncio.get_running_loop().run_in_executor(self._threads, make)
