"""`outgate domain dkim`: the keys that a domain's mail is signed with, and how new ones follow them."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from outgate import clock
from outgate.advisor.ask import Names
from outgate.advisor.findings import Dkim
from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.cli.status import Status
from outgate.commands.domain import Name, key_rows
from outgate.directory.dns_records import key_record, zone_text
from outgate.directory.domain_keys import KeyPlace, KeyRecord, KeysSettled, KeyStage, NewDkimKey
from outgate.directory.errors import Invalid
from outgate.directory.organisation import Domain
from outgate.key_look import look_for_keys
from outgate.mail import dkim
from outgate.operations import domain_operations

app = typer.Typer(
    no_args_is_help=True,
    help="A domain's DKIM keys: new ones sign when their records are in the DNS, and the former ones' records"
    " stay there for some days.",
)

_FOUND = {
    Dkim.PASS: "published",
    Dkim.KEY_MISSING: "not there",
    Dkim.KEY_DIFFERS: "another key is there",
    Dkim.UNKNOWN: "no answer",
}


@command(app, name="list", example="outgate domain dkim list example.com")
def list_(ctx: CommandContext, domain: Name) -> None:
    """List a domain's keys: which sign, which wait for their records, and whose records may be removed, and when."""
    with ctx.reading() as op:
        rows = key_rows(domain_operations.show(op, domain))
    columns = {"selector": "selector", "stage": "stage", "signs_from": "signs from", "removable_from": "removable from"}
    table(ctx, rows, columns, nothing="the domain has no key: its mail is not signed")


@command(app, example="outgate domain dkim rotate example.com")
def rotate(ctx: CommandContext, domain: Name) -> None:
    """Make new keys (RSA of 2048 bits and Ed25519) and show the records to publish for them.

    Mail is signed with the former keys until the DNS has all new records. The running server looks each quarter of an
    hour and changes over by itself; `outgate domain dkim check` looks at once. The former keys' records must stay for
    seven days more: mail that was signed with them is still on its way.
    """
    with ctx.reading() as op:  # before the work of making keys
        domain_operations.begin_rotation.require(op, domain, ())
        domain_operations.show(op, domain)
        made = domain_operations.new_keys(clock.now())
    with ctx.writing() as op:
        domain_operations.begin_rotation(op, domain, made)
        found = domain_operations.show(op, domain)
    text = f"publish in the DNS; {found.name} is signed with these keys as soon as all their records are seen there"
    _tell(ctx, found, f"{text}:\n\n{_records(found, found.waiting)}")


@command(app, example="outgate domain dkim check example.com")
def check(ctx: CommandContext, domain: Name) -> None:
    """Look for the records of a domain's keys in the DNS now: new keys sign from then on if all theirs are there.

    Without an answer all stays as it is. Of keys that were retired more than seven days ago it says whether their
    records may be removed; those whose records are gone are forgotten.
    """
    with ctx.reading() as op:
        domain_operations.settle_keys.require(op, domain, published=(), gone=())
        asked = domain_operations.show(op, domain)
    names = Names(ctx.installation().config.delivery.nameservers)

    async def settled(published: frozenset[KeyPlace], gone: frozenset[KeyPlace]) -> KeysSettled:
        with ctx.writing() as op:
            return domain_operations.settle_keys(op, asked.name, published=published, gone=gone)

    look = asyncio.run(look_for_keys(names, asked, clock.now(), settled))
    with ctx.reading() as op:
        now = domain_operations.show(op, asked.name)
    in_dns: JsonObject = {"in_dns": {selector: result.value for selector, result in look.found.items()}}
    looked = "\n".join(f"{selector}: {_FOUND[result]}" for selector, result in look.found.items())
    _tell(ctx, now, "\n\n".join(filter(None, (looked, _outcome(now, look.done)))), in_dns)
    if not look.is_answered:
        raise typer.Exit(Status.UNAVAILABLE)
    if now.waiting:
        raise typer.Exit(Status.CHECK_FAILED)


@command(app, example="outgate domain dkim cancel example.com")
def cancel(ctx: CommandContext, domain: Name) -> None:
    """Forget new keys that do not sign yet; the present ones go on."""
    with ctx.writing() as op:
        gone = domain_operations.cancel_rotation(op, domain)
        found = domain_operations.show(op, domain)
    _tell(ctx, found, f"forgot {', '.join(gone)}; remove their records if they are published")


@command(
    app,
    name="set",
    example="outgate domain dkim set example.com --selector s2027 --key-file s2027.pem",
)
def set_(
    ctx: CommandContext,
    domain: Name,
    selector: Annotated[
        str | None,
        typer.Option("--selector", help="DKIM selector; else a new one with the current month", show_default=False),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="An RSA or Ed25519 key in PEM, to use in place of a new one", metavar="FILE"),
    ] = None,
) -> None:
    """Sign a domain's mail with one key at once, whether or not its record is in the DNS.

    For a key that was lost or stolen, and for one of your own (openssl genrsa 2048). Until its record is published
    recipients can't check signatures; `outgate domain dkim rotate` waits for that.
    """
    name = selector or domain_operations.new_selector(clock.now())
    key = domain_operations.new_key(name) if key_file is None else _brought(name, key_file)
    with ctx.writing() as op:
        domain_operations.set_signing_key(op, domain, key)
        found = domain_operations.show(op, domain)
    text = f"{found.name} is signed with this key from now on; publish in the DNS"
    _tell(ctx, found, f"{text}:\n\n{_records(found, found.signing)}")


def _brought(selector: str, file: Path) -> NewDkimKey:
    pem = file.read_bytes()
    try:
        return NewDkimKey(selector, dkim.dns_record(pem), pem)
    except ValueError as error:
        raise Invalid(f"{file}: {error}") from None


def _outcome(domain: Domain, done: KeysSettled) -> str:
    """What came of a look, and what is still to do."""
    if done.begun:
        return (
            f"{domain.name} is signed with {', '.join(done.begun)} from now on\n\n"
            f"{_records(domain, domain.keys_in(KeyStage.RETIRED))}"
        ).strip()
    if domain.waiting:
        return f"signed as before until these are published:\n\n{_records(domain, domain.waiting)}"
    late = [one for one in domain.retired if one.is_removable(clock.now())]
    return f"these records may be removed:\n\n{_records(domain, late)}" if late else "nothing waits"


def _records(domain: Domain, keys: tuple[KeyRecord, ...] | list[KeyRecord]) -> str:
    return zone_text([key_record(domain.name, one) for one in keys])


def _tell(ctx: CommandContext, domain: Domain, text: str, more: JsonObject | None = None) -> None:
    row: JsonObject = {"name": domain.name, "dkim_keys": key_rows(domain)}
    tell(ctx, row | (more or {}), text)
