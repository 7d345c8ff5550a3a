"""`outgate domain`: the organisation's own domains."""

from dataclasses import asdict
from typing import Annotated

import typer

from outgate import clock
from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.dns_records import dns_records, zone_text
from outgate.directory.organisation import Domain
from outgate.iso_time import iso
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
    wanted = selector or domain_operations.new_selector(clock.now())
    key = None if no_dkim else domain_operations.new_key(wanted)
    with ctx.writing() as op:
        domain_operations.add(op, domain)
        if key:
            domain_operations.set_signing_key(op, domain, key)
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


def _row(domain: Domain) -> JsonObject:
    """With its first key that signs; all of them are in `dkim_keys`."""
    first = domain.signing[0] if domain.signing else None
    return {
        "name": domain.name,
        "is_primary": domain.is_primary,
        "dkim_selector": first.selector if first else None,
        "dkim_record": first.record if first else None,
        "dkim_keys": key_rows(domain),
    }


def key_rows(domain: Domain) -> list[JsonObject]:
    """A domain's keys, for programs."""
    return [
        {
            "selector": one.selector,
            "stage": one.stage.value,
            "record": one.record,
            "created_at": iso(one.created_at),
            "signs_from": iso(one.signs_from),
            "retired_at": iso(one.retired_at),
            "removable_from": iso(one.removable_from),
        }
        for one in domain.keys
    ]


def _tell_records(ctx: CommandContext, domain: Domain, text: str) -> None:
    """A domain with the records that should be published for it."""
    config = ctx.installation().config
    records, for_programs = dns_records(domain, config.hostname), program_records(servers_of(config), domain.name)
    dns = {"dns": [asdict(one) for one in records], "dns_for_programs": [asdict(one) for one in for_programs]}
    found_by = f"\n\nAnd for mail programs to find the servers:\n\n{zone_text(for_programs)}" if for_programs else ""
    tell(ctx, _row(domain) | dns, f"{text}:\n\n{zone_text(records)}{found_by}")
