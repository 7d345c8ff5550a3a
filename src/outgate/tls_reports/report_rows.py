"""Which reports are to be sent, and what became of them, in the database: one for each domain and day over all nodes.

Knows neither what is in a report nor by which way it leaves.
"""

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, or_, select, text, update

from outgate.frozen import frozen
from outgate.store.lease_clock import LeaseNow
from outgate.store.tables import tls_report, tls_session
from outgate.tls_reports.utc_days import DAY

LEASE: Final = 900.0  # seconds; longer than one report takes
TRIED: Final = DAY  # seconds from the first time that it is due (RFC 8460 section 5.5)

_report = tls_report.c
_DETAIL: Final = 500  # characters
_PLAN: Final = text(
    "INSERT INTO tls_report (day, domain, id, state, detail, attempts, changed_at, due_at, tried_until, leased_until)"
    " VALUES (:day, :domain, :id, :state, '', 0, :changed_at, :due_at, :tried_until, 0)"
    " ON CONFLICT (day, domain) DO NOTHING"
)


class ReportState(StrEnum):
    """How it stands with a report."""

    WAITING = "waiting"
    SENT = "sent"
    NOT_WANTED = "not-wanted"  # the domain asks for none
    FAILED = "failed"


@frozen
class KeptReport:
    """A report as it is kept. `detail` says to whom it went, or why it has not; `due_at` is None if nothing is left to
    do.
    """

    day: int
    domain: str
    id: str
    state: ReportState
    detail: str
    attempts: int
    changed_at: float
    due_at: float | None
    tried_until: float


def unplanned(connection: Connection, day: int, limit: int) -> list[str]:
    """Domains of a day that have no report yet, at most so many."""
    known = exists().where(_report.day == day, _report.domain == tls_session.c.domain)
    wanted = select(tls_session.c.domain).where(tls_session.c.day == day, ~known).distinct()
    return list(connection.execute(wanted.order_by(tls_session.c.domain).limit(limit)).scalars())


def plan(connection: Connection, day: int, domain: str, identity: str, due_at: float, now: float) -> None:
    """Have a report sent at a certain time, unless there is one."""
    row = {"day": day, "domain": domain, "id": identity, "state": str(ReportState.WAITING), "changed_at": now}
    connection.execute(_PLAN, row | {"due_at": due_at, "tried_until": due_at + TRIED})


def is_due(connection: Connection, now: float) -> bool:
    """Whether there is anything to claim, or another's whose lease may end."""
    return connection.execute(select(_report.day).where(_report.due_at <= now).limit(1)).first() is not None


def claim(connection: Connection, owner: str, now: float, limit: int) -> list[KeptReport]:
    """Take reports that are due, at most so many, for LEASE seconds: nobody else has them then. It counts as an
    attempt, whatever comes of it; those returned have the number of those before.
    """
    lease_now = LeaseNow()
    # A lease that ends later than any could was taken before the machine's clock began anew.
    is_free = or_(_report.leased_until <= lease_now, _report.leased_until > lease_now + LEASE)
    wanted = select(tls_report).where(_report.due_at <= now, is_free).order_by(_report.due_at).limit(limit)
    rows = connection.execute(wanted.with_for_update(skip_locked=True)).all()
    for row in rows:
        leased = {"leased_until": lease_now + LEASE, "leased_by": owner, "attempts": row.attempts + 1}
        connection.execute(update(tls_report).where(*_this(row.day, row.domain)).values(leased))
    return [_kept(row) for row in rows]


def settle(
    connection: Connection,
    report: KeptReport,
    owner: str,
    state: ReportState,
    detail: str,
    now: float,
    again_at: float | None = None,
) -> bool:
    """Say what became of a report that is the owner's, and when it is due again, if it is. False if it is another's by
    now: then nothing of it may be done.
    """
    values = {
        "state": state,
        "detail": detail[:_DETAIL],
        "changed_at": now,
        "due_at": again_at,
        "leased_until": 0.0,
        "leased_by": None,
    }
    mine = update(tls_report).where(*_this(report.day, report.domain), _report.leased_by == owner)
    return connection.execute(mine.values(values)).rowcount == 1


def of_day(connection: Connection, day: int, domains: list[str]) -> dict[str, KeptReport]:
    """The reports of a day to these domains, by domain."""
    rows = connection.execute(select(tls_report).where(_report.day == day, _report.domain.in_(domains)))
    return {row.domain: _kept(row) for row in rows}


def forget(connection: Connection, before: float, limit: int) -> int:
    """Remove at most `limit` reports of days before then; returns their number."""
    old = select(_report.day, _report.domain).where(_report.day < int(before // DAY)).limit(limit)
    rows = connection.execute(old).all()
    for row in rows:
        connection.execute(delete(tls_report).where(*_this(row.day, row.domain)))
    return len(rows)


def _this(day: int, domain: str) -> tuple[Any, ...]:
    return _report.day == day, _report.domain == domain


def _kept(row: Row[Any]) -> KeptReport:
    return KeptReport(
        row.day,
        row.domain,
        row.id,
        ReportState(row.state),
        row.detail,
        row.attempts,
        row.changed_at,
        row.due_at,
        row.tried_until,
    )
