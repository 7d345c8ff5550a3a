"""`outgate tls-report`: how TLS to recipients' domains came out by day, and what they were told."""

from typing import Annotated

import typer

from outgate import clock
from outgate.cli.output import JsonObject, plain, table, tell, to_the_second
from outgate.cli.shell import CommandContext, command
from outgate.directory.errors import NotFound
from outgate.iso_time import iso
from outgate.mail.addresses import AddressError, canonical_domain
from outgate.operations import tls_report_operations
from outgate.operations.tls_report_operations import ReportedDay
from outgate.tls_reports.report_rows import KeptReport
from outgate.tls_reports.session_rows import FailedSessions, PolicySessions
from outgate.tls_reports.utc_days import date_of, day_in, last_whole

app = typer.Typer(
    no_args_is_help=True,
    help="How TLS to recipients' domains came out, and the daily reports that tell them (RFC 8460).",
)

Day = Annotated[
    str | None,
    typer.Option("--day", help="Day in UTC, as in 2026-01-31; else the last whole one", show_default=False),
]


@command(app, name="list", example="outgate tls-report list\noutgate tls-report list --day 2026-01-31 --limit 500")
def list_(
    ctx: CommandContext,
    day: Day = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many domains", min=1)] = 50,
) -> None:
    """List the domains that mail went to directly on a day, those with most failed sessions first.

    A session is one connection, whatever messages it carried. What is counted is in the list within a minute.
    """
    number = _number(day)
    with ctx.reading() as op:
        found = tls_report_operations.list_reports(op, number, limit)
    rows: list[JsonObject] = [
        {
            "domain": one.sessions.domain,
            "succeeded": one.sessions.succeeded,
            "failed": one.sessions.failed,
            "report": one.report.state.value if one.report else None,
            "detail": one.report.detail if one.report else None,
        }
        for one in found
    ]
    columns = {"domain": "domain", "succeeded": "succeeded", "failed": "failed", "report": "report", "detail": "detail"}
    table(ctx, rows, columns, nothing=f"no mail went out directly on {date_of(number)}, or it is not kept any more")


@command(app, example="outgate tls-report show recipient.example\noutgate --json tls-report show recipient.example")
def show(
    ctx: CommandContext,
    domain: Annotated[str, typer.Argument(help="A recipients' domain", metavar="DOMAIN", show_default=False)],
    day: Day = None,
) -> None:
    """Show a day's sessions with one domain: policies, successes, failures by their kind; and its report."""
    number = _number(day)
    try:
        name = canonical_domain(domain)
    except AddressError as error:
        raise typer.BadParameter(str(error)) from None
    with ctx.reading() as op:
        found = tls_report_operations.show_report(op, number, name)
    if not found.policies:
        raise NotFound(f"there was no session with {name} on {date_of(number)}, or it is not kept any more")
    value: JsonObject = {
        "domain": name,
        "day": str(date_of(number)),
        "policies": [_policy(one) for one in found.policies],
        "report": _report(found.report) if found.report else None,
    }
    tell(ctx, value, _text(name, number, found))


def _number(day: str | None) -> int:
    if day is None:
        return last_whole(clock.now())
    try:
        return day_in(day)
    except ValueError:
        raise typer.BadParameter(f"'{day}' is not a day; write it as in 2026-01-31") from None


def _policy(one: PolicySessions) -> JsonObject:
    return {
        "type": one.policy.type.value,
        "domain": one.policy.domain,
        "policy": list(one.policy.lines),
        "succeeded": one.succeeded,
        "failed": one.failed,
        "failures": [_failure(failed) for failed in one.failures],
    }


def _failure(one: FailedSessions) -> JsonObject:
    return {
        "result": one.fault.result.value,
        "reason": one.fault.reason,
        "exchanger": one.exchanger,
        "receiving_address": one.receiving_address,
        "sending_address": one.sending_address,
        "count": one.count,
    }


def _report(one: KeptReport) -> JsonObject:
    return {
        "id": one.id,
        "state": one.state.value,
        "detail": one.detail,
        "attempts": one.attempts,
        "changed_at": iso(one.changed_at),
        "due_at": iso(one.due_at),
    }


def _text(domain: str, day: int, found: ReportedDay) -> str:
    lines = [f"{domain} on {date_of(day)} (UTC)"]
    for one in found.policies:
        lines.append(f"\n{one.policy.type.value}: {one.succeeded} succeeded, {one.failed} failed")
        lines += [f"    {line}" for line in one.policy.lines]
        lines += [f"  {_words(failed)}" for failed in one.failures]
    return "\n".join([*lines, "", _told(found.report)])


def _words(one: FailedSessions) -> str:
    where = f"{one.exchanger}[{one.receiving_address}]" if one.receiving_address else one.exchanger
    words = [f"{one.count} {one.fault.result.value}", where and f"at {where}", one.fault.reason]
    return plain(": ".join(word for word in (" ".join(filter(None, words[:2])), words[2]) if word))


def _told(report: KeptReport | None) -> str:
    if report is None:
        return "report: none yet"
    due = f", due {to_the_second(iso(report.due_at))}" if report.due_at is not None else ""
    return plain(f"report: {report.state.value}{due}" + (f" ({report.detail})" if report.detail else ""))
