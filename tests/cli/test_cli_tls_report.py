"""`outgate tls-report`: what was counted of a day, and what recipients' domains were told."""

from cli.program import Program
from outgate.cli.status import Status
from outgate.tls_reports import report_rows, session_rows
from outgate.transport_security.tls_session import AppliedPolicy, PolicyType, ResultType, TlsFault, TlsSession

DOMAIN, DAY = "recipient.example", 20_484  # 2026-01-31
POLICY = AppliedPolicy(PolicyType.STS, DOMAIN, ("version: STSv1", "mode: enforce"), (f"mx.{DOMAIN}",))
FAULT = TlsFault(ResultType.NOT_TRUSTED, "self-signed\x1b[2J certificate")


def test_counts_and_reports_of_a_day_are_listed_and_shown(program: Program) -> None:
    bad = TlsSession(DOMAIN, POLICY, FAULT, f"mx.{DOMAIN}", "203.0.113.5", "198.51.100.62")
    other = TlsSession("other.example", AppliedPolicy(PolicyType.NONE, "other.example"))
    with program.writing() as connection:
        session_rows.add(connection, DAY, DOMAIN, {TlsSession(DOMAIN, POLICY): 5, bad: 2})
        session_rows.add(connection, DAY, "other.example", {other: 1})
        report_rows.plan(connection, DAY, DOMAIN, "r1@mail.example.com", 1_769_900_000.0, 1_769_900_000.0)
    assert program.run("tls-report", "list", "--day", "2026-01-31") == [
        {"domain": DOMAIN, "succeeded": 5, "failed": 2, "report": "waiting", "detail": ""},
        {"domain": "other.example", "succeeded": 1, "failed": 0, "report": None, "detail": None},
    ]
    shown = program.run("tls-report", "show", "Recipient.Example", "--day", "2026-01-31")
    assert shown["policies"] == [
        {
            "type": "sts",
            "domain": DOMAIN,
            "policy": list(POLICY.lines),
            "succeeded": 5,
            "failed": 2,
            "failures": [
                {
                    "result": "certificate-not-trusted",
                    "reason": FAULT.reason,
                    "exchanger": f"mx.{DOMAIN}",
                    "receiving_address": "203.0.113.5",
                    "sending_address": "198.51.100.62",
                    "count": 2,
                }
            ],
        }
    ]
    assert (shown["report"]["id"], shown["report"]["state"]) == ("r1@mail.example.com", "waiting")
    said = program.says("tls-report", "show", DOMAIN, "--day", "2026-01-31")
    assert "2 certificate-not-trusted at mx.recipient.example[203.0.113.5]: self-signed\\x1b[2J certificate" in said
    assert "report: waiting, due 2026-01-31 22:53:20Z" in said
    assert "is not kept any more" in program.says("tls-report", "list")
    assert "no session with elsewhere.example" in program.fails(
        Status.NOT_FOUND, "tls-report", "show", "elsewhere.example"
    )
    assert "is not a day" in program.fails(Status.USAGE, "tls-report", "list", "--day", "yesterday")
