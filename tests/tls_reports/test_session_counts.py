"""Sessions counted: added up over processes, bounded for each domain, and never in the way of anything."""

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, func, select

from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.tables import tls_policy, tls_session
from outgate.tls_reports import session_counts, session_rows
from outgate.tls_reports.session_counts import TlsSessionCounts
from outgate.tls_reports.session_rows import SHARE, DomainSessions, FailedSessions
from outgate.tls_reports.utc_days import DAY
from outgate.transport_security.tls_session import AppliedPolicy, PolicyType, ResultType, TlsFault, TlsSession

TODAY = 20_000
DOMAIN, OTHER = "peer.example", "other.example"
LINES = ("version: STSv1", "mode: enforce", "mx: mx.peer.example", "max_age: 86400")
STS = AppliedPolicy(PolicyType.STS, DOMAIN, LINES, ("mx.peer.example",))
FAULT = TlsFault(ResultType.NOT_TRUSTED, "self-signed certificate")


def now() -> float:
    return TODAY * DAY + 5.0


def failed(number: int = 0, domain: str = DOMAIN, sending: str = "") -> TlsSession:
    return TlsSession(domain, STS, FAULT, f"mx{number}.peer.example", "203.0.113.5", sending)


@pytest.mark.asyncio
async def test_what_two_processes_count_adds_up_by_day_domain_policy_and_fault(engine: Engine) -> None:
    days = [now(), now()]
    processes = [TlsSessionCounts(engine, lambda: days[0]), TlsSessionCounts(engine, lambda: days[1], "198.51.100.62")]
    for one in processes:
        one.count(TlsSession(DOMAIN, STS))
        one.count(failed())
        one.count(failed(sending="10.0.0.7"))
        one.count(failed(sending="8.8.8.8"))
        one.count(TlsSession(OTHER, AppliedPolicy(PolicyType.NONE, OTHER)))
    assert await asyncio.gather(*(one.write() for one in processes)) == [True, True]
    days[0] += DAY
    processes[0].count(TlsSession(DOMAIN, STS))
    await processes[0].write()
    with read(engine) as connection:
        (found,) = session_rows.of_domain(connection, TODAY, DOMAIN)
        assert (found.policy, found.succeeded, found.failed) == (STS, 2, 6)
        assert sorted(found.failures, key=lambda one: one.sending_address) == [
            FailedSessions(FAULT, "mx0.peer.example", "203.0.113.5", "", 3),  # of a private network: told to nobody
            FailedSessions(FAULT, "mx0.peer.example", "203.0.113.5", "198.51.100.62", 2),
            FailedSessions(FAULT, "mx0.peer.example", "203.0.113.5", "8.8.8.8", 1),
        ]
        assert session_rows.domains(connection, TODAY, 10) == [
            DomainSessions(DOMAIN, 2, 6),
            DomainSessions(OTHER, 2, 0),
        ]
        assert session_rows.domains(connection, TODAY + 1, 10) == [DomainSessions(DOMAIN, 1, 0)]
    with write(engine) as connection:
        while session_rows.forget(connection, (TODAY + 1) * DAY, 1):
            pass
        kept = [connection.scalar(select(func.min(table.c.day))) for table in (tls_session, tls_policy)]
    assert kept == [TODAY + 1, TODAY + 1]


@pytest.mark.asyncio
async def test_a_domain_has_its_share_of_memory_and_rows_and_takes_nobody_else_s(engine: Engine) -> None:
    """Whoever owns it has a thousand exchangers, and a policy for each."""
    counts = TlsSessionCounts(engine, now)
    for number in range(1000):
        policy = AppliedPolicy(PolicyType.TLSA, f"mx{number}.peer.example", (f"3 1 1 {number:064x}",))
        counts.count(TlsSession(DOMAIN, policy, FAULT, f"mx{number}.peer.example"))
        if number % 100 == 0:
            await counts.write()
    counts.count(failed(domain=OTHER))
    await counts.write()
    with read(engine) as connection:
        rows = select(func.count()).select_from(tls_session).where(tls_session.c.domain == DOMAIN)
        assert SHARE <= (connection.scalar(rows) or 0) <= SHARE + 1
        assert session_rows.domains(connection, TODAY, 10) == [
            DomainSessions(DOMAIN, 0, 1000),
            DomainSessions(OTHER, 0, 1),
        ]
        (other,) = session_rows.of_domain(connection, TODAY, OTHER)
    assert other.failures[0].exchanger == "mx0.peer.example"


def _uncounted() -> float:
    return REGISTRY.get_sample_value("outgate_tls_sessions_uncounted_total") or 0.0


@pytest.mark.asyncio
async def test_what_the_database_does_not_take_is_counted_on_with_and_what_memory_has_no_room_for_is_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_counts, "ROOM", 10)
    counts, before = TlsSessionCounts(engine, now), _uncounted()
    adding: Callable[..., None] = session_rows.add

    def away(*_: object) -> None:
        raise StoreUnavailable("the database is away")

    monkeypatch.setattr(session_rows, "add", away)
    for number in range(15):
        counts.count(TlsSession(f"d{number}.example", AppliedPolicy(PolicyType.NONE, f"d{number}.example")))
    assert not await counts.write()
    counts.count(TlsSession("d0.example", AppliedPolicy(PolicyType.NONE, "d0.example")))
    monkeypatch.setattr(session_rows, "add", adding)
    assert await counts.write()
    assert _uncounted() - before == 5
    with read(engine) as connection:
        found = {one.domain: one.succeeded for one in session_rows.domains(connection, TODAY, 100)}
    assert found == {"d0.example": 2, **{f"d{number}.example": 1 for number in range(1, 10)}}


@pytest.mark.asyncio
async def test_half_full_memory_is_written_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_counts, "ROOM", 4)
    counts = TlsSessionCounts(engine, now)

    def written() -> list[DomainSessions]:
        with read(engine) as connection:
            return session_rows.domains(connection, TODAY, 10)

    running = asyncio.create_task(counts.run())
    counts.count(failed(1))
    counts.count(failed(2))
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(written):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
