"""The report of a day to one domain as JSON (RFC 8460 section 4.4), and how its file is named. Pure.

Knows neither where the numbers come from nor by which way it leaves.
"""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from outgate.frozen import frozen
from outgate.tls_reports.session_rows import FailedSessions, PolicySessions
from outgate.tls_reports.utc_days import DAY
from outgate.transport_security.tls_session import PolicyType

_Json = dict[str, object]


@frozen
class ReportSubmitter:
    """Who reports: a name for people, a domain that answers for it, and an address that somebody reads."""

    organisation: str
    domain: str
    contact: str


@frozen
class TlsReport:
    """What one domain is told of one day (UTC, days since the epoch)."""

    id: str
    domain: str
    day: int
    submitter: ReportSubmitter
    policies: Sequence[PolicySessions]

    @property
    def filename(self) -> str:
        """Section 5.1."""
        begin = int(self.day * DAY)
        return f"{self.submitter.domain}!{self.domain}!{begin}!{begin + int(DAY) - 1}.json.gz"

    def document(self) -> bytes:
        """The JSON, in UTF-8."""
        begin = self.day * DAY
        whole = {
            "organization-name": self.submitter.organisation,
            "date-range": {
                "start-datetime": _moment(begin),
                "end-datetime": _moment(begin + DAY - 1),
            },
            "contact-info": self.submitter.contact,
            "report-id": self.id,
            "policies": [_policy(one) for one in self.policies],
        }
        return json.dumps(whole, indent=1).encode()

    def compressed(self) -> bytes:
        """The same by gzip; the same bytes each time, for whoever gets it twice."""
        return gzip.compress(self.document(), mtime=0)


def _policy(sessions: PolicySessions) -> _Json:
    applied = sessions.policy
    policy: _Json = {"policy-type": applied.type}
    if applied.type is not PolicyType.NONE:
        policy["policy-string"] = list(applied.lines)
    policy["policy-domain"] = applied.domain
    if applied.mx:
        policy["mx-host"] = list(applied.mx)
    summary = {
        "total-successful-session-count": sessions.succeeded,
        "total-failure-session-count": sessions.failed,
    }
    found: _Json = {"policy": policy, "summary": summary}
    if sessions.failures:
        found["failure-details"] = [_failure(one) for one in sessions.failures]
    return found


def _failure(failed: FailedSessions) -> _Json:
    fields: _Json = {
        "result-type": failed.fault.result,
        "sending-mta-ip": failed.sending_address,
        "receiving-mx-hostname": failed.exchanger,
        "receiving-ip": failed.receiving_address,
        "failed-session-count": failed.count,
        "failure-reason-code": failed.fault.reason,
    }
    return {name: value for name, value in fields.items() if value != ""}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
