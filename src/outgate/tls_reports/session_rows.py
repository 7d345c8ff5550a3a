"""The counts in the database: added up over all processes and nodes, read by day and domain, forgotten when old.

A domain has a share of rows for each day, since whoever owns it decides how many exchangers and policies it has; what
is beyond is counted by its result alone. Knows no report.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, case, delete, func, select, text

from outgate.frozen import frozen
from outgate.printable import without_nul
from outgate.store.tables import tls_policy, tls_session
from outgate.tls_reports.utc_days import DAY
from outgate.transport_security.tls_session import AppliedPolicy, PolicyType, ResultType, TlsFault, TlsSession

KEPT: Final = 8  # days
SHARE: Final = 100  # rows of one domain and day, and then one for each kind of policy and result

_PUT_POLICY: Final = text(
    "INSERT INTO tls_policy (day, domain, policy, type, policy_domain, lines, mx)"
    " VALUES (:day, :domain, :policy, :type, :policy_domain, :lines, :mx) ON CONFLICT (day, domain, policy) DO NOTHING"
)
_KEY: Final = ("policy", "result", "reason", "exchanger", "receiving_address", "sending_address")
_ADD: Final = text(
    f"INSERT INTO tls_session (day, domain, {', '.join(_KEY)}, sessions)"  # noqa: S608 -- names of columns
    f" VALUES (:day, :domain, {', '.join(f':{name}' for name in _KEY)}, :sessions)"
    f" ON CONFLICT (day, domain, {', '.join(_KEY)}) DO UPDATE SET sessions = tls_session.sessions + excluded.sessions"
)


@frozen
class FailedSessions:
    """How many failed alike; empty texts are what is not known."""

    fault: TlsFault
    exchanger: str
    receiving_address: str
    sending_address: str
    count: int


@frozen
class PolicySessions:
    """What came of a day's sessions under one policy."""

    policy: AppliedPolicy
    succeeded: int
    failures: tuple[FailedSessions, ...]

    @property
    def failed(self) -> int:
        """How many in all."""
        return sum(one.count for one in self.failures)


@frozen
class DomainSessions:
    """A day's sessions with one domain, in numbers."""

    domain: str
    succeeded: int
    failed: int


class _SessionKey(NamedTuple):
    policy: str
    result: str
    reason: str
    exchanger: str
    receiving_address: str
    sending_address: str


def add(connection: Connection, day: int, domain: str, counts: Mapping[TlsSession, int]) -> None:
    """Add up what was counted of one domain's sessions on a day (UTC, days since the epoch)."""
    columns = tls_session.c
    known = select(*(columns[name] for name in _KEY)).where(columns.day == day, columns.domain == domain)
    rows = {_SessionKey(*row) for row in connection.execute(known)}
    policies: dict[str, AppliedPolicy] = {}
    summed: dict[_SessionKey, int] = {}
    for session, count in counts.items():
        told, key = session, _key(session)
        if key not in rows and len(rows) >= SHARE:
            told = coarse(session)
            key = _key(told)
        rows.add(key)
        policies[key.policy] = told.policy
        summed[key] = summed.get(key, 0) + count
    for digest, policy in sorted(policies.items()):
        connection.execute(_PUT_POLICY, _policy_row(day, domain, digest, policy))
    for key, count in sorted(summed.items()):  # in one order everywhere, so that no two processes wait for each other
        connection.execute(_ADD, {"day": day, "domain": domain, **key._asdict(), "sessions": count})


def coarse(session: TlsSession) -> TlsSession:
    """Without what differs: of its policy the type, of its fault the result."""
    fault = TlsFault(session.fault.result) if session.fault else None
    return TlsSession(session.domain, AppliedPolicy(session.policy.type, session.domain), fault)


def of_domain(connection: Connection, day: int, domain: str) -> list[PolicySessions]:
    """What came of a day's sessions with a domain, by policy."""
    of_day = (tls_session.c.day == day, tls_session.c.domain == domain)
    found: dict[str, list[FailedSessions]] = {}
    succeeded: dict[str, int] = {}
    for row in connection.execute(select(tls_session).where(*of_day).order_by(*(tls_session.c[one] for one in _KEY))):
        if not row.result:
            succeeded[row.policy] = row.sessions
            continue
        fault = TlsFault(ResultType(row.result), row.reason)
        one = FailedSessions(fault, row.exchanger, row.receiving_address, row.sending_address, row.sessions)
        found.setdefault(row.policy, []).append(one)
    applied = select(tls_policy).where(tls_policy.c.day == day, tls_policy.c.domain == domain)
    policies = {row.policy: _policy(row) for row in connection.execute(applied.order_by(tls_policy.c.policy))}
    return [
        PolicySessions(policy, succeeded.get(digest, 0), tuple(found.get(digest, ())))
        for digest, policy in policies.items()
    ]


def domains(connection: Connection, day: int, limit: int) -> list[DomainSessions]:
    """The domains of a day, those with most failures first."""
    columns = tls_session.c
    good = func.sum(case((columns.result == "", columns.sessions), else_=0)).label("succeeded")
    bad = func.sum(case((columns.result != "", columns.sessions), else_=0)).label("failed")
    wanted = select(columns.domain, good, bad).where(columns.day == day).group_by(columns.domain)
    rows = connection.execute(wanted.order_by(bad.desc(), columns.domain).limit(limit))
    return [DomainSessions(row.domain, int(row.succeeded), int(row.failed)) for row in rows]


def forget(connection: Connection, before: float, limit: int) -> int:
    """Remove the sessions of at most `limit` domains and days that are older; returns how many rows that were."""
    day = int(before // DAY)
    old = select(tls_session.c.day, tls_session.c.domain).where(tls_session.c.day < day).distinct().limit(limit)
    removed = 0
    for row in connection.execute(old).all():
        for table in (tls_session, tls_policy):
            of_day = (table.c.day == row.day, table.c.domain == row.domain)
            removed += connection.execute(delete(table).where(*of_day)).rowcount
    return removed


def _key(session: TlsSession) -> _SessionKey:
    fault = session.fault
    if fault is None:
        return _SessionKey(_digest(session.policy), "", "", "", "", "")
    where = session.exchanger, session.receiving_address, session.sending_address
    return _SessionKey(_digest(session.policy), fault.result, without_nul(fault.reason), *where)


def _digest(policy: AppliedPolicy) -> str:
    whole = json.dumps([policy.type, policy.domain, policy.lines, policy.mx])
    return sha256(whole.encode()).hexdigest()[:32]


def _policy_row(day: int, domain: str, digest: str, policy: AppliedPolicy) -> dict[str, object]:
    return {
        "day": day,
        "domain": domain,
        "policy": digest,
        "type": str(policy.type),
        "policy_domain": policy.domain,
        "lines": json.dumps(policy.lines),
        "mx": json.dumps(policy.mx),
    }


def _policy(row: Row[Any]) -> AppliedPolicy:
    return AppliedPolicy(
        PolicyType(row.type), row.policy_domain, tuple(json.loads(row.lines)), tuple(json.loads(row.mx))
    )
