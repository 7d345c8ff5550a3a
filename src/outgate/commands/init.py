"""`outgate init`: a data directory, with everything in it that a server needs."""

import getpass
import os
import socket
import sys
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from outgate import clock, node_id
from outgate.accept.self_signed import self_signed
from outgate.cli.output import JsonObject, tell
from outgate.cli.shell import CommandContext, command
from outgate.commands.configuration import configuration
from outgate.directory import domain_keys, organisation
from outgate.directory.dns_records import dns_records, zone_text
from outgate.directory.errors import AlreadyExists
from outgate.directory.roles import SUPER_ADMIN
from outgate.installation import KEY_FILE, make_database, open_installation
from outgate.iso_time import iso
from outgate.mail.addresses import canonical_domain
from outgate.operations import domain_operations, log_in_link_operations, role_operations, user_operations
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.operations.log_in_link_operations import LogInLink
from outgate.record import audit_trail
from outgate.store import keyfile
from outgate.store.engine import read, write

Settings = dict[str, object]  # as in outgate.toml: sections are dictionaries

_DATABASE = "outgate.db"

app = typer.Typer()


@command(
    app,
    example="outgate --data /var/lib/outgate init example.com --hostname mail.example.com\n"
    "outgate --data /tmp/try init example.com --set submission.starttls_port=2587 --set submission.tls_port=2465",
)
def init(
    ctx: CommandContext,
    domain: Annotated[
        str, typer.Argument(help="The organisation's primary domain", metavar="DOMAIN", show_default=False)
    ],
    hostname: Annotated[
        str, typer.Option("--hostname", help="The server's name in the DNS; else this machine's", show_default=False)
    ] = "",
    database_url: Annotated[
        str,
        typer.Option("--database-url", help="postgresql://… without its password; else SQLite in the data directory"),
    ] = "",
    mailbox: Annotated[
        str,
        typer.Option(
            "--mailbox",
            metavar="WHERE",
            help="Where mail to the own domains goes: maildir, lmtp:/path/to/socket, lmtp://host:port or"
            " smtp://host:port; asked for on a terminal",
            show_default=False,
        ),
    ] = "",
    administrator: Annotated[
        str,
        typer.Option(
            "--administrator",
            metavar="ADDRESS",
            help="Who may do everything: made a user, with a link for the first log-in on the pages; asked for on a"
            " terminal",
            show_default=False,
        ),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting for outgate.toml, lists as in 'egress.ports=[25, 587]'; may be given several times",
        ),
    ] = None,
) -> None:
    """Make the data directory: configuration, key file, certificate, database, and the organisation with its domain.

    Prints what to do next, with the DNS records to publish. Refuses to run twice; if it fails it leaves nothing behind.
    """
    name = canonical_domain(domain)
    chosen = parse_settings(settings or [])
    _choose_mailbox(chosen, mailbox)
    chosen["hostname"] = hostname or str(chosen.get("hostname") or _own_hostname(name))
    if database_url:
        chosen["database_url"] = database_url
    _refuse_password(str(chosen.get("database_url", "")))
    administrator = _chosen_administrator(administrator, name)
    if administrator:
        _switch_pages_on(chosen)
    link = make(ctx.data, name, chosen, administrator)
    _tell_next(ctx, name, link)


def _choose_mailbox(chosen: Settings, mailbox: str) -> None:
    """As --mailbox or --set say, else as is answered on a terminal, else Maildirs."""
    local = chosen.get("local", {})
    if not isinstance(local, dict) or "mailbox" in local:
        return
    if not mailbox and _on_terminal():
        typer.echo(_MAILBOXES, err=True)
        mailbox = typer.prompt("Where are the mailboxes", default="maildir", err=True)
    if mailbox:
        chosen["local"] = {**local, "mailbox": mailbox}


def _chosen_administrator(administrator: str, domain: str) -> str:
    """As the option says, else as is answered on a terminal; empty is nobody yet."""
    if administrator or not _on_terminal():
        return administrator
    question = f"The first administrator's address in {domain} (empty: nobody yet)"
    return str(typer.prompt(question, default="", show_default=False, err=True)).strip()


def _switch_pages_on(chosen: Settings) -> None:
    """The first administrator logs in there; by the server's name, unless --set says otherwise."""
    web = chosen.setdefault("web", {})
    if isinstance(web, dict):
        web.setdefault("public_url", f"https://{chosen['hostname']}")


def _on_terminal() -> bool:
    return sys.stdin.isatty()


_MAILBOXES = """\
Mail to your own domains, and every report of a message that came back, goes to
your users' mailboxes. Where are they?
  lmtp:/path/to/socket  on this machine, as Dovecot has them
                        (lmtp:/var/run/dovecot/lmtp)
  lmtp://host:port      the same by TCP
  smtp://host:port      on your mail server for what comes in
  maildir               nowhere yet: Outgate keeps them as Maildirs in the data
                        directory, which no mail program sees until a server
                        such as Dovecot is pointed there"""


def make(data: Path, domain: str, settings: Settings, administrator: str = "") -> LogInLink | None:
    """Make the data directory; on any error everything that was made is removed again.

    Returns the link for the first log-in of the administrator, if one is named.
    """
    _refuse_existing(data)
    with ExitStack() as undo:
        _make_folder(data, undo)
        _make_files(data, settings, undo)
        for suffix in ("", "-wal", "-shm"):
            undo.callback((data / f"{_DATABASE}{suffix}").unlink, missing_ok=True)
        link = _make_organisation(data, domain, administrator)
        for folder in (data / "tls", data, data.parent):
            keyfile.sync_folder(folder)
        undo.pop_all()
    return link


def parse_settings(pairs: Sequence[str]) -> Settings:
    """`section.key=value` as nested dictionaries; values as in TOML, anything else is a string."""
    settings: Settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        *sections, name = key.split(".")
        if not equals or not name or not all(sections):
            raise typer.BadParameter(f"--set takes KEY=VALUE, as in submission.tls_port=2465, not '{pair}'")
        target = settings
        for section in sections:
            found = target.setdefault(section, {})
            if not isinstance(found, dict):
                raise typer.BadParameter(f"'{section}' is both a setting and a section in what --set gives")
            target = found
        target[name] = _value(text)
    return settings


def _value(text: str) -> object:
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value


def _refuse_password(database_url: str) -> None:
    """As for all passwords: others see the command line."""
    if ":" in database_url.partition("//")[2].partition("@")[0] and "@" in database_url:
        raise typer.BadParameter(
            "the database URL has a password, which others can read on a command line: leave it out and keep it in"
            " ~/.pgpass, or set OUTGATE_DATABASE_URL in the environment"
        )


def _own_hostname(domain: str) -> str:
    name = socket.getfqdn()
    return name if "." in name and not name.startswith("localhost") else f"mail.{domain}"


def _refuse_existing(data: Path) -> None:
    for name in ("outgate.toml", KEY_FILE, _DATABASE, "tls"):
        if (data / name).exists():
            raise AlreadyExists(
                f"{data / name} exists already, and nothing is overwritten; choose an empty directory."
                f" If an init was broken off here, remove {data} first"
            )


def _make_folder(data: Path, undo: ExitStack) -> None:
    if not data.exists():
        data.mkdir(mode=0o700, parents=True)
        undo.callback(data.rmdir)
    data.chmod(0o700)  # what waits in the database is people's mail


def _make_files(data: Path, settings: Settings, undo: ExitStack) -> None:
    _write(data / "outgate.toml", configuration(settings).encode(), undo)
    undo.callback((data / KEY_FILE).unlink, missing_ok=True)
    keyfile.create(data / KEY_FILE)
    undo.callback((data / node_id.FILE).unlink, missing_ok=True)
    node_id.node_id(data)
    (data / "tls").mkdir(mode=0o700)
    undo.callback((data / "tls").rmdir)
    certificate, key = self_signed(str(settings["hostname"]), clock.now())
    _write(data / "tls" / "cert.pem", certificate, undo)
    _write(data / "tls" / "key.pem", key, undo)


def _write(path: Path, content: bytes, undo: ExitStack) -> None:
    undo.callback(path.unlink, missing_ok=True)
    path.touch(mode=0o600)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _make_organisation(data: Path, domain: str, administrator: str) -> LogInLink | None:
    """The last step, one transaction: on PostgreSQL an error leaves an empty schema."""
    make_database(data)
    installation, now = open_installation(data), clock.now()
    try:
        key = domain_operations.new_key(domain_operations.new_selector(now))
        with write(installation.engine) as connection:
            organisation.create(connection, domain, now)
            audit_trail.begin(connection, installation.vault)
            domain_keys.sign_with(connection, installation.vault, domain, key, now)
            if not administrator:
                return None
            op = OperationContext(connection, installation.vault, Actor.console(getpass.getuser()), now)
            return _make_administrator(op, administrator, installation.config.web.public_url)
    finally:
        installation.engine.dispose()


def _make_administrator(op: OperationContext, address: str, public_url: str) -> LogInLink:
    """A user who may do everything, without a password until they choose one."""
    user = user_operations.create(op, address, None)
    role_operations.assign(op, user.address, SUPER_ADMIN, "/")
    return log_in_link_operations.make_link(op, user.address, public_url)


def _tell_mailbox(mailbox: str) -> str:
    """What becomes of mail to the own domains."""
    if mailbox != "maildir":
        return f"Mail to the own domains, and reports of what came back, go to {mailbox}."
    return (
        "Mail to the own domains, and reports of what came back, go to Maildirs in the\n"
        "data directory that no mail program sees: set local.mailbox in outgate.toml to\n"
        "where your users' mailboxes are (docs/set-up.md)."
    )


def _tell_next(ctx: CommandContext, domain: str, link: LogInLink | None) -> None:
    installation = ctx.installation()
    hostname = installation.config.hostname
    with read(installation.engine) as connection:
        made = organisation.domains(connection)[0]
    records = dns_records(made, hostname)
    dns = [asdict(record) for record in records]
    first = {"address": link.user.address, "url": link.url, "ends_at": iso(link.ends_at)} if link else None
    value: JsonObject = {"data": str(ctx.data), "domain": domain, "hostname": hostname, "dns": dns, "log_in": first}
    steps = _next_steps(ctx.data, domain, hostname, zone_text(records), _first_user(ctx.data, domain, link))
    tell(ctx, value, f"{steps}\n\n{_tell_mailbox(installation.config.local.mailbox)}")


def _first_user(data: Path, domain: str, link: LogInLink | None) -> str:
    """How somebody comes to use it."""
    if link is None:
        return f"""\
3. Add a user:                  outgate --data {data} user add alice@{domain}
   who may do everything:       outgate --data {data} role assign alice@{domain} {SUPER_ADMIN}"""
    return f"""\
3. {link.user.address} logs in by this, once, until {iso(link.ends_at)}, and
   chooses a password (the pages need a proxy or web.tls: docs/pages.md):

   {link.url}
"""


def _next_steps(data: Path, domain: str, hostname: str, zone: str, first_user: str) -> str:
    return f"""\
made {data} for {domain}

1. Look through the settings:   {data}/outgate.toml
2. Run the server:              outgate --data {data} serve
   by systemd:                  outgate --data {data} systemd-unit --help
{first_user}
4. Publish these in the DNS, next to an address (A, AAAA) for
   {hostname} and the reverse of it:

{zone}

   An MX record says where mail *to* the domain goes. Outgate sends only: leave
   the one you have.
5. The certificate in {data}/tls is self-made. For mail programs
   to trust it, put one of a certificate authority in its place and send the
   server SIGHUP.

Keep a copy of {data}/secret.key apart from the backups of the
database: without it no stored password opens."""
