"""Reporting > TLS reports: how TLS to recipients' domains came out on a day, and what they were told of it."""

from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.http.http_route import HttpRoute
from outgate.mail.addresses import AddressError, canonical_domain
from outgate.operations import tls_report_operations
from outgate.tls_reports.report_rows import ReportState
from outgate.tls_reports.session_rows import KEPT
from outgate.tls_reports.utc_days import date_of, day_in, last_whole
from outgate.transport_security.tls_session import PolicyType, ResultType
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_

PATH: Final = "/admin/reporting/tls-reports"
MOST: Final = 100

POLICIES: Final = {
    PolicyType.TLSA: N_("DANE"),
    PolicyType.STS: N_("MTA-STS"),
    PolicyType.NONE: N_("No policy"),
}
RESULTS: Final = {
    ResultType.STARTTLS_NOT_SUPPORTED: N_("STARTTLS is not offered"),
    ResultType.HOST_MISMATCH: N_("The certificate is for another name"),
    ResultType.EXPIRED: N_("The certificate has expired"),
    ResultType.NOT_TRUSTED: N_("The certificate is not trusted"),
    ResultType.VALIDATION_FAILURE: N_("The handshake failed, or the policy does not allow the server"),
    ResultType.TLSA_INVALID: N_("No TLSA record can be used"),
    ResultType.DNSSEC_INVALID: N_("DNSSEC signatures do not hold"),
    ResultType.STS_FETCH_ERROR: N_("The policy can't be fetched"),
    ResultType.STS_INVALID: N_("The policy can't be read"),
    ResultType.STS_WEB_PKI: N_("The policy's web server has no valid certificate"),
}
STATES: Final = {
    ReportState.WAITING: (N_("waits"), ""),
    ReportState.SENT: (N_("sent"), "good"),
    ReportState.NOT_WANTED: (N_("not asked for"), ""),
    ReportState.FAILED: (N_("given up"), "bad"),
}


class TlsReportsPage:
    """A day's domains, and one of them."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _day), visits.get(PATH + "/{domain}", _domain)]


def _day(visit: Visit) -> Response:
    """Those with most failed sessions; a domain that is asked for leads to its page."""
    domain, why, status = visit.form.text("domain"), "", 200
    try:
        day = _asked(visit)
        if domain:
            return visit.go_to(f"{PATH}/{quote(canonical_domain(domain))}?day={date_of(day)}")
    except (Invalid, AddressError) as error:
        why, status, day = visit.said.error(error), status_of(error), _yesterday(visit)
    with visit.reading() as op:
        found = tls_report_operations.list_reports(op, day, MOST)
    return visit.page(
        "tls_reports.html",
        status,
        why=why,
        path=PATH,
        day=date_of(day),
        first=date_of(_yesterday(visit) + 1 - KEPT),
        last=date_of(_yesterday(visit) + 1),
        domain=domain,
        found=found,
        most=MOST,
        kept=KEPT,
        states=STATES,
    )


def _domain(visit: Visit) -> Response:
    domain = canonical_domain(visit.request.path_params["domain"])
    day = _asked(visit)
    with visit.reading() as op:
        found = tls_report_operations.show_report(op, day, domain)
    return visit.page(
        "tls_report.html",
        path=PATH,
        domain=domain,
        day=date_of(day),
        found=found,
        policies=POLICIES,
        results=RESULTS,
        states=STATES,
    )


def _asked(visit: Visit) -> int:
    """Days since the epoch. Raises Invalid."""
    text = visit.form.text("day")
    if not text:
        return _yesterday(visit)
    try:
        return day_in(text)
    except ValueError:
        raise Invalid("“{text}” is not a day; write it as in 2026-01-31", text=text) from None


def _yesterday(visit: Visit) -> int:
    """The last whole day."""
    return last_whole(visit.services.now())
