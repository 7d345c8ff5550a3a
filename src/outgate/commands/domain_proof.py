"""`outgate domain-proof`: whole domains outside the organisation's own, proven by a DNS record."""

import asyncio
from typing import Annotated

import typer

from outgate.advisor.ask import Names, NoAnswerNow
from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.cli.status import Status
from outgate.iso_time import iso
from outgate.operations import domain_proof_operations
from outgate.sendas.proven_domains import ProvenDomain

app = typer.Typer(
    no_args_is_help=True,
    help="Whole domains outside the organisation's own, proven by a DNS record: users can be granted addresses in"
    " them.",
)

Name = Annotated[str, typer.Argument(help="The domain's name", metavar="DOMAIN", show_default=False)]


@command(app, example="outgate domain-proof begin dominiopartner.example")
def begin(ctx: CommandContext, domain: Name) -> None:
    """Show the DNS record that proves a domain. Its owner publishes it and leaves it there.

    The same record is shown again for a domain that was begun.
    """
    with ctx.writing() as op:
        found = domain_proof_operations.begin(op, domain)
    text = f"publish in the DNS of {found.name}:\n\n{_record(found)}\n\nthen: outgate domain-proof check {found.name}"
    tell(ctx, _row(found), text)


@command(app, example="outgate domain-proof check dominiopartner.example")
def check(ctx: CommandContext, domain: Name) -> None:
    """Ask the DNS for a domain's record now. The running server asks again each day.

    Without an answer (SERVFAIL, time-out) all stays as it is. A record that is gone is told to the administrator
    (`delivery.notices_to`), and after seven days without it the domain's addresses can't be used until it is back.
    """
    with ctx.reading() as op:
        domain_proof_operations.checked.require(op, domain, is_published=False)
        asked = domain_proof_operations.find(op, domain)
    names = Names(ctx.installation().config.delivery.nameservers)
    try:
        texts = asyncio.run(names.texts(asked.record_name))
    except NoAnswerNow as error:
        tell(ctx, _row(asked) | {"unanswered": str(error)}, f"no answer from the DNS ({error}); nothing has changed")
        raise typer.Exit(Status.UNAVAILABLE) from None
    with ctx.writing() as op:
        found = domain_proof_operations.checked(op, asked.name, is_published=asked.record_value in texts)
    tell(ctx, _row(found), _told(found))
    if found.missing_since is not None or found.proven_at is None:
        raise typer.Exit(Status.CHECK_FAILED)


@command(app, name="list", example="outgate domain-proof list")
def list_(ctx: CommandContext) -> None:
    """List the domains with their records and when they were found last."""
    with ctx.reading() as op:
        rows = [_row(one) for one in domain_proof_operations.list_proofs(op)]
    columns = {"domain": "domain", "state": "state", "record": "record", "checked_at": "checked"}
    table(ctx, rows, columns, nothing="no domain is proven")


@command(app, example="outgate domain-proof remove dominiopartner.example")
def remove(ctx: CommandContext, domain: Name) -> None:
    """Forget a domain's proof with all grants of addresses in it, and these addresses with their gateways.

    Addresses that users have confirmed by themselves stay.
    """
    with ctx.writing() as op:
        found = domain_proof_operations.remove(op, domain)
    tell(ctx, {"domain": found.name}, f"{found.name} is no longer proven, and what was granted in it is taken away")


def _record(domain: ProvenDomain) -> str:
    return f'{domain.record_name}. TXT "{domain.record_value}"'


def _told(domain: ProvenDomain) -> str:
    if domain.proven_at is None:
        return f"the record is not there yet; publish:\n\n{_record(domain)}"
    if domain.suspended_from is not None:
        return (
            f"the record is not there any more; from {iso(domain.suspended_from)} on {domain.name} can't be used"
            f" until it is back:\n\n{_record(domain)}"
        )
    return f"{domain.name} is proven; grant addresses: outgate address-grant add '*@{domain.name}' --user USER"


def _row(domain: ProvenDomain) -> JsonObject:
    state = "proven" if domain.proven_at is not None else "begun"
    return {
        "domain": domain.name,
        "state": state if domain.missing_since is None else "missing",
        "record": _record(domain),
        "record_name": domain.record_name,
        "record_value": domain.record_value,
        "proven_at": iso(domain.proven_at),
        "checked_at": iso(domain.checked_at),
        "missing_since": iso(domain.missing_since),
        "suspended_from": iso(domain.suspended_from),
    }
