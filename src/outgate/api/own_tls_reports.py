"""Outgate's own API: how TLS to recipients' domains came out by day, and what they were told of it (RFC 8460)."""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.google_error import invalid, not_found
from outgate.api.own_method import LIMIT, limit_of, own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.iso_time import iso
from outgate.mail.addresses import canonical_domain
from outgate.operations import tls_report_operations
from outgate.operations.tls_report_operations import ReportedDay, ReportedDomain
from outgate.tls_reports.report_rows import KeptReport, ReportState
from outgate.tls_reports.session_rows import FailedSessions, PolicySessions
from outgate.tls_reports.utc_days import date_of, day_in, last_whole
from outgate.transport_security.tls_session import PolicyType, ResultType

DAY: Final = ApiParameter("day", "The day in UTC, as in 2026-01-31; left out: the last whole one.", "query")
_DOMAIN: Final = "recipient.example"


class TlsDomain(Resource):
    """A day's sessions with one domain, in numbers."""

    domain: str = Field(description="The recipients' domain.", examples=[_DOMAIN])
    succeeded: int = Field(description="How many were as they should be.", examples=[1234])
    failed: int = Field(description="How many were not.", examples=[17])
    report: ReportState | None = Field(
        None, description="How it stands with the domain's report; left out: there is none yet.", examples=["sent"]
    )

    @classmethod
    def of(cls, one: ReportedDomain) -> "TlsDomain":
        """As it was counted."""
        return cls(
            domain=one.sessions.domain,
            succeeded=one.sessions.succeeded,
            failed=one.sessions.failed,
            report=one.report.state if one.report else None,
        )


class TlsDomains(Resource):
    """The domains of a day, those with most failed sessions first."""

    day: str = Field(description="The day.", examples=["2026-01-31"])
    items: list[TlsDomain] = Field(description="The domains.")


class TlsFailures(Resource):
    """Sessions that failed alike."""

    result: ResultType = Field(description="Why, in the words of RFC 8460.", examples=["certificate-expired"])
    reason: str = Field(description="What whoever found it has said.", examples=["certificate has expired"])
    exchanger: str = Field(description="The exchanger.", examples=[f"mx.{_DOMAIN}"])
    receiving_address: str = Field(description="Its IP address.", examples=["198.51.100.62"])
    sending_address: str = Field(description="Ours.", examples=["203.0.113.5"])
    count: int = Field(description="How many.", examples=[17])

    @classmethod
    def of(cls, one: FailedSessions) -> "TlsFailures":
        """As they were counted."""
        return cls(
            result=one.fault.result,
            reason=one.fault.reason,
            exchanger=one.exchanger,
            receiving_address=one.receiving_address,
            sending_address=one.sending_address,
            count=one.count,
        )


class TlsPolicySessions(Resource):
    """What came of a day's sessions under one policy."""

    type: PolicyType = Field(description="What kind of policy it was.", examples=["sts"])
    policy: list[str] = Field(description="Its lines.", examples=[["version: STSv1", "mode: enforce"]])
    succeeded: int = Field(description="How many were as they should be.", examples=[1234])
    failed: int = Field(description="How many were not.", examples=[17])
    failures: list[TlsFailures] = Field(description="Those that were not, by what was wrong.")

    @classmethod
    def of(cls, one: PolicySessions) -> "TlsPolicySessions":
        """With its failures."""
        return cls(
            type=one.policy.type,
            policy=list(one.policy.lines),
            succeeded=one.succeeded,
            failed=one.failed,
            failures=[TlsFailures.of(each) for each in one.failures],
        )


class TlsReportStanding(Resource):
    """How it stands with a report."""

    id: str = Field(description="Its number.", examples=["1@mail.example.com"])
    state: ReportState = Field(description="Whether it waits, was sent, or is not wanted.", examples=["sent"])
    detail: str = Field(description="Whom it went to, or why it did not.", examples=["mailto:tls@recipient.example"])
    attempts: int = Field(description="How often it was tried.", examples=[1])
    changed_at: str = Field(description="Since when it stands so.", examples=[MOMENT])
    due_at: str | None = Field(None, description="When it is tried next, if it is.", examples=[MOMENT])

    @classmethod
    def of(cls, one: KeptReport) -> "TlsReportStanding":
        """As it is on record."""
        return cls(
            id=one.id,
            state=one.state,
            detail=one.detail,
            attempts=one.attempts,
            changed_at=iso(one.changed_at),
            due_at=iso(one.due_at),
        )


class TlsDomainDay(Resource):
    """A day's sessions with one domain."""

    domain: str = Field(description="The recipients' domain.", examples=[_DOMAIN])
    day: str = Field(description="The day.", examples=["2026-01-31"])
    policies: list[TlsPolicySessions] = Field(description="By the policies that were applied.")
    report: TlsReportStanding | None = Field(None, description="What it was told; left out: nothing yet.")

    @classmethod
    def of(cls, domain: str, day: int, one: ReportedDay) -> "TlsDomainDay":
        """With the report."""
        return cls(
            domain=domain,
            day=str(date_of(day)),
            policies=[TlsPolicySessions.of(each) for each in one.policies],
            report=TlsReportStanding.of(one.report) if one.report else None,
        )


def listed(call: ApiCall) -> TlsDomains:
    """Of one day."""
    day = _day(call)
    with call.reading() as op:
        found = tls_report_operations.list_reports(op, day, limit_of(call))
    return TlsDomains(day=str(date_of(day)), items=[TlsDomain.of(one) for one in found])


def show(call: ApiCall) -> TlsDomainDay:
    """Of one day and domain."""
    day, domain = _day(call), canonical_domain(call.parameters["domain"])
    with call.reading() as op:
        found = tls_report_operations.show_report(op, day, domain)
    if not found.policies:
        raise not_found(f"There was no session with {domain} on {date_of(day)}, or it is not kept any more.")
    return TlsDomainDay.of(domain, day, found)


def _day(call: ApiCall) -> int:
    """Days since the epoch. Raises ApiError."""
    text = call.parameters.get("day", "")
    if not text:
        return last_whole(call.services.now())
    try:
        return day_in(text)
    except ValueError:
        raise invalid("Invalid value for day: it must be as in 2026-01-31.") from None


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(
        tls_report_operations.list_reports,
        "GET",
        "tls-reports",
        listed,
        DAY,
        LIMIT,
        says="Those with most failed sessions first.",
        gives=TlsDomains,
    ),
    own_method(
        tls_report_operations.show_report,
        "GET",
        "tls-reports/{domain}",
        show,
        ApiParameter("domain", "The recipients' domain."),
        DAY,
        gives=TlsDomainDay,
    ),
)
