"""`outgate domain`: the organisation's own domains and their DKIM keys."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from outgate import clock
from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.dns_records import dns_records, zone_text
from outgate.directory.errors import Invalid
from outgate.directory.organisation import Domain
from outgate.mail import dkim
from outgate.mail_program.program_records import program_records
from outgate.mail_program.program_servers import servers_of
from outgate.operations import domain_operations

app = typer.Typer(
    no_args_is_help=True,
    help="The organisation's own domains: their mail is signed with DKIM, and mail to them is delivered locally.",
)

Name = Annotated[str, typer.Argument(help="The domain's name", metavar="DOMAIN", show_default=False)]
Selector = Annotated[
    str | None,
    typer.Option("--selector", help="DKIM selector; else one with the current month", show_default=False),
]


@command(app, example="outgate domain add example.org")
def add(
    ctx: CommandContext,
    domain: Name,
    selector: Selector = None,
    no_dkim: Annotated[bool, typer.Option("--no-dkim", help="Make no DKIM key")] = False,
) -> None:
    """Add a domain of the organisation, with a DKIM key, and show the DNS records to publish.

    Users can then have addresses in it. Mail to it is delivered to local mailboxes.
    """
    pem = None if no_dkim else dkim.generate("rsa")
    with ctx.writing() as op:
        domain_operations.add(op, domain)
        if pem:
            selector = selector or domain_operations.default_selector(clock.now())
            domain_operations.set_signing_key(op, domain, selector, pem, dkim.dns_record(pem))
        added = domain_operations.show(op, domain)
    _tell_records(ctx, added, f"added the domain {added.name}; publish in the DNS")


@command(app, name="list", example="outgate domain list")
def list_(ctx: CommandContext) -> None:
    """List the organisation's domains, the primary first."""
    with ctx.reading() as op:
        rows = [_row(each) for each in domain_operations.list_domains(op)]
    columns = {"name": "domain", "is_primary": "primary", "dkim_selector": "DKIM selector"}
    table(ctx, rows, columns, nothing="there are no domains")


@command(app, example="outgate domain show example.com")
def show(ctx: CommandContext, domain: Name) -> None:
    """Show a domain with the DNS records that should be published for it."""
    with ctx.reading() as op:
        found = domain_operations.show(op, domain)
    _tell_records(ctx, found, f"{found.name}{' (primary)' if found.is_primary else ''}; to publish in the DNS")


@command(app, example="outgate domain remove example.org")
def remove(ctx: CommandContext, domain: Name) -> None:
    """Remove a domain that no address uses. The primary domain can't be removed."""
    with ctx.writing() as op:
        domain_operations.remove(op, domain)
    tell(ctx, {"name": domain}, f"removed the domain {domain}")


@command(
    app,
    name="dkim",
    example="outgate domain dkim example.com --selector s2027\n"
    "outgate domain dkim example.com --selector s2027 --key-file s2027.pem",
)
def dkim_(
    ctx: CommandContext,
    domain: Name,
    selector: Selector = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="An RSA or Ed25519 key in PEM, to use in place of a new one", metavar="FILE"),
    ] = None,
) -> None:
    """Sign a domain's mail with a new DKIM key from now on, and show its DNS record.

    Until the record is published recipients can't check signatures. To publish first, make the key yourself
    (openssl genrsa 2048) and bring it with --key-file once its record is visible. Leave the old record in place for a
    few days: mail that was signed with it is still on its way.
    """
    pem = dkim.generate("rsa") if key_file is None else _key(key_file)
    selector = selector or domain_operations.default_selector(clock.now())
    with ctx.writing() as op:
        domain_operations.set_signing_key(op, domain, selector, pem, dkim.dns_record(pem))
        signed = domain_operations.show(op, domain)
    _tell_records(ctx, signed, f"{signed.name} is signed with a new key from now on; publish in the DNS")


def _key(file: Path) -> bytes:
    pem = file.read_bytes()
    try:
        dkim.load(pem)
    except ValueError as error:
        raise Invalid(f"{file}: {error}") from None
    return pem


def _row(domain: Domain) -> JsonObject:
    return {
        "name": domain.name,
        "is_primary": domain.is_primary,
        "dkim_selector": domain.dkim_selector,
        "dkim_record": domain.dkim_record,
    }


def _tell_records(ctx: CommandContext, domain: Domain, text: str) -> None:
    """A domain with the records that should be published for it."""
    config = ctx.installation().config
    records, for_programs = dns_records(domain, config.hostname), program_records(servers_of(config), domain.name)
    dns = {"dns": [asdict(one) for one in records], "dns_for_programs": [asdict(one) for one in for_programs]}
    found_by = f"\n\nAnd for mail programs to find the servers:\n\n{zone_text(for_programs)}" if for_programs else ""
    tell(ctx, _row(domain) | dns, f"{text}:\n\n{zone_text(records)}{found_by}")
