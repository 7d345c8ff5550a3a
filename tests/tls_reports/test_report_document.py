"""The report as JSON: the example of RFC 8460 (appendix B) comes out of its numbers, field by field."""

import gzip
import json
from dataclasses import replace

from outgate.tls_reports.report_document import ReportSubmitter, TlsReport
from outgate.tls_reports.session_rows import FailedSessions, PolicySessions
from outgate.transport_security.tls_session import AppliedPolicy, PolicyType, ResultType, TlsFault

# Without `additional-information`, which is optional, and with the name of `failure-reason-code` that section 4.4 has.
EXAMPLE = """\
{
  "organization-name": "Company-X",
  "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
  "contact-info": "sts-reporting@company-x.example",
  "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
  "policies": [{
    "policy": {
      "policy-type": "sts",
      "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
      "policy-domain": "company-y.example",
      "mx-host": ["*.mail.company-y.example"]
    },
    "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
    "failure-details": [{
      "result-type": "certificate-expired",
      "sending-mta-ip": "2001:db8:abcd:0012::1",
      "receiving-mx-hostname": "mx1.mail.company-y.example",
      "failed-session-count": 100
    }, {
      "result-type": "starttls-not-supported",
      "sending-mta-ip": "2001:db8:abcd:0013::1",
      "receiving-mx-hostname": "mx2.mail.company-y.example",
      "receiving-ip": "203.0.113.56",
      "failed-session-count": 200
    }, {
      "result-type": "validation-failure",
      "sending-mta-ip": "198.51.100.62",
      "receiving-ip": "203.0.113.58",
      "receiving-mx-hostname": "mx-backup.mail.company-y.example",
      "failed-session-count": 3,
      "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"
    }]
  }]
}
"""
MX = "*.mail.company-y.example"
LINES = ("version: STSv1", "mode: testing", f"mx: {MX}", "max_age: 86400")
FAILURES = (
    FailedSessions(TlsFault(ResultType.EXPIRED), "mx1.mail.company-y.example", "", "2001:db8:abcd:0012::1", 100),
    FailedSessions(
        TlsFault(ResultType.STARTTLS_NOT_SUPPORTED),
        "mx2.mail.company-y.example",
        "203.0.113.56",
        "2001:db8:abcd:0013::1",
        200,
    ),
    FailedSessions(
        TlsFault(ResultType.VALIDATION_FAILURE, "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"),
        "mx-backup.mail.company-y.example",
        "203.0.113.58",
        "198.51.100.62",
        3,
    ),
)
REPORT = TlsReport(
    "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "company-y.example",
    16_892,
    ReportSubmitter("Company-X", "company-x.example", "sts-reporting@company-x.example"),
    [PolicySessions(AppliedPolicy(PolicyType.STS, "company-y.example", LINES, (MX,)), 5326, FAILURES)],
)


def test_the_example_of_the_rfc_comes_out_of_its_numbers() -> None:
    assert json.loads(gzip.decompress(REPORT.compressed())) == json.loads(EXAMPLE)
    assert REPORT.compressed() == REPORT.compressed()
    assert REPORT.filename == "company-x.example!company-y.example!1459468800!1459555199.json.gz"


def test_without_a_policy_there_is_no_policy_string_and_without_failures_no_details() -> None:
    none = PolicySessions(AppliedPolicy(PolicyType.NONE, "company-y.example"), 1, ())
    (found,) = json.loads(replace(REPORT, policies=[none]).document())["policies"]
    assert found == {
        "policy": {"policy-type": "no-policy-found", "policy-domain": "company-y.example"},
        "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0},
    }
