"""`outgate sendas advise`: what recipients will make of mail from an address, before any is sent."""

import asyncio
from ipaddress import ip_address
from typing import Annotated

import typer

from outgate.advisor.advice import Advice, Outlook
from outgate.advisor.advice import advise as conclude
from outgate.advisor.advisor import Advisor, Question
from outgate.advisor.dkim_check import Signing
from outgate.advisor.findings import Findings, Sending, Unanswered
from outgate.advisor.wording import LANGUAGES
from outgate.cli.output import JsonObject, plain, tell
from outgate.cli.shell import CommandContext, command
from outgate.commands.sendas import AccountName, Address
from outgate.mail.addresses import canonical, canonical_domain
from outgate.operations import send_as_operations

app = typer.Typer()


@command(
    app,
    example="outgate sendas advise alice@example.com alice@dominiopartner.example\n"
    "outgate sendas advise alice@example.com alice@dominiopartner.example --host smtp.dominiopartner.example\n"
    "outgate sendas advise alice@example.com alice@example.com --address 192.0.2.25",
)
def advise(
    ctx: CommandContext,
    account: AccountName,
    address: Address,
    host: Annotated[str, typer.Option("--host", help="A gateway that is thought of, in place of the one it has")] = "",
    from_address: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            help="IP address that the organisation's mail leaves from, where that is not known here; may be repeated",
            metavar="IP",
            show_default=False,
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="en or it; else the user's", show_default=False)
    ] = None,
) -> None:
    """Say how SPF, DKIM and DMARC will come out, and what recipients will see, from what the DNS says now.

    By the organisation's servers, and by the address's own gateway. Only the DNS is asked; no server is connected to.
    The address need not be one of the account's yet.
    """
    with ctx.reading() as op:
        basis = send_as_operations.advice_basis(op, account)
    question = Question(
        basis.organisation,
        basis.account,
        canonical(address),
        {domain: Signing(selector, record) for domain, (selector, record) in basis.dkim.items()},
        addresses=tuple(_ip(text) for text in from_address or ()),
        gateway_host=canonical_domain(host) if host else "",
    )
    findings = asyncio.run(Advisor(ctx.installation().config).findings(question))
    advice = conclude(findings, _language(language) or basis.language)
    tell(ctx, _row(basis.account.primary, findings, advice), _text(findings, advice))


def _ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise typer.BadParameter(f"--address: '{text[:50]}' is no IP address") from None


def _language(text: str | None) -> str | None:
    if text is not None and text not in LANGUAGES:
        raise typer.BadParameter(f"--language: there are texts in {', '.join(LANGUAGES)}")
    return text


# --- output ----------------------------------------------------------------------------------------------------------


def _row(account: str, findings: Findings, advice: Advice) -> JsonObject:
    gateway = _way(findings.gateway, advice.gateway) if findings.gateway and advice.gateway else None
    return {
        "account": account,
        "address": findings.address,
        "own_domain": findings.own_domain,
        "dmarc_policy": _policy(findings),
        "organisation": _way(findings.organisation, advice.organisation),
        "gateway": gateway,
        "advice": advice.sentence,
    }


def _policy(findings: Findings) -> JsonObject | None:
    record = findings.dmarc
    if record is None:
        return None
    if isinstance(record, Unanswered):
        return {"unanswered": record.name, "reason": record.reason}
    return {
        "published_by": record.published_by,
        "policy": record.policy.value,
        "tag": record.tag,
        "t": "y" if record.testing else "n",
        "aspf": "s" if record.strict_spf else "r",
        "adkim": "s" if record.strict_dkim else "r",
    }


def _way(way: Sending, outlook: Outlook) -> JsonObject:
    return {
        "host": way.host,
        "mail_from": way.mail_from,
        "sender": way.on_behalf_of,
        "allowed": way.refused is None,
        "refused": way.refused,
        "spf": outlook.spf.value,
        "spf_aligned": way.spf_aligned,
        "spf_addresses": [
            {"address": one.address, "result": one.result.value, "explanation": one.explanation} for one in way.checks
        ],
        "dkim": outlook.dkim.value,
        "dkim_domain": way.dkim_domain,
        "dkim_aligned": way.dkim_aligned,
        "dmarc": outlook.dmarc.value,
        "shown_as": outlook.shown_as,
        "shown_by_outlook": outlook.shown_by_outlook,
        "sentence": outlook.sentence,
        "estimate": way.estimate,
        "unanswered": [{"name": one.name, "reason": one.reason} for one in _unanswered(way)],
    }


def _text(findings: Findings, advice: Advice) -> str:
    lines = [f"{advice.sentence}.", ""]
    lines += _lines("by the organisation's servers", findings.organisation, advice.organisation)
    if findings.gateway and advice.gateway:
        lines += ["", *_lines("by its own gateway", findings.gateway, advice.gateway)]
    return "\n".join(plain(line) if line else "" for line in lines)


def _lines(title: str, way: Sending, outlook: Outlook) -> list[str]:
    addresses = ", ".join(f"{one.address} {one.result}" for one in way.checks)
    sender_domain = way.mail_from.rpartition("@")[2]
    causes = [f"  SPF of {one.address}: {one.explanation}" for one in way.checks if one.explanation]
    causes += [f"  no answer: {one.name} ({one.reason})" for one in _unanswered(way)]
    return [
        f"{title} ({way.host}){': not allowed now' if way.refused else ''}",
        *([f"  because    {way.refused}"] if way.refused else []),
        f"  MAIL FROM  {way.mail_from}",
        f"  SPF        {outlook.spf} for {sender_domain}{_aligned(way.spf_aligned)}",
        *([f"  from       {addresses}"] if addresses else []),
        f"  DKIM       {outlook.dkim} for {way.dkim_domain}{_aligned(way.dkim_aligned)}",
        f"  DMARC      {outlook.dmarc}",
        f"  shown as   {outlook.shown_as}",
        *([f"  Outlook    {outlook.shown_by_outlook}"] if outlook.shown_by_outlook != outlook.shown_as else []),
        f"  {outlook.sentence}",
        *([f"  {outlook.note}"] if outlook.note else []),
        *causes,
    ]


def _unanswered(way: Sending) -> list[Unanswered]:
    return [*way.unanswered, *(one.unanswered for one in way.checks if one.unanswered)]


def _aligned(aligned: bool) -> str:
    return "" if aligned else " (not aligned with From)"
