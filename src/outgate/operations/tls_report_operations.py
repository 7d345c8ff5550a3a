"""How TLS to recipients' domains came out, and what they were told of it (RFC 8460)."""

from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.tls_reports import report_rows, session_rows
from outgate.tls_reports.report_rows import KeptReport
from outgate.tls_reports.session_rows import DomainSessions, PolicySessions


@frozen
class ReportedDomain:
    """A day's sessions with one domain, in numbers, and its report; None if it has none yet."""

    sessions: DomainSessions
    report: KeptReport | None


@frozen
class ReportedDay:
    """The same in detail."""

    policies: tuple[PolicySessions, ...]
    report: KeptReport | None


@operation("tls-report.list", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def list_reports(op: OperationContext, day: int, limit: int) -> list[ReportedDomain]:
    """See how TLS to recipients' domains came out on a day, and what they were told."""
    found = session_rows.domains(op.connection, day, limit)
    reports = report_rows.of_day(op.connection, day, [one.domain for one in found])
    return [ReportedDomain(one, reports.get(one.domain)) for one in found]


@operation("tls-report.show", Privilege.LOG_READ, targets.ORGANISATION, changes=False)
def show_report(op: OperationContext, day: int, domain: str) -> ReportedDay:
    """See a day's TLS sessions with one domain: policies, failures, and what it was told."""
    policies = session_rows.of_domain(op.connection, day, domain)
    return ReportedDay(tuple(policies), report_rows.of_day(op.connection, day, [domain]).get(domain))
