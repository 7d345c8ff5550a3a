"""`outgate sendas`: the From addresses of an account. Their gateways are in sendas_gateway."""

from typing import Annotated, Any

import typer

from outgate.commands import gateway
from outgate.commands.command import Here, command
from outgate.commands.output import record, table, tell
from outgate.commands.password import PasswordFile, PasswordStdin

app = typer.Typer(
    no_args_is_help=True,
    help="The addresses that an account sends mail as: its primary address, and others that it has proven to own.",
)

AccountName = Annotated[
    str, typer.Argument(help="The account's primary address", metavar="ACCOUNT", show_default=False)
]
Address = Annotated[str, typer.Argument(help="The From address", metavar="ADDRESS", show_default=False)]


@command(
    app,
    example="outgate sendas add alice@example.com alice@dominiopartner.example --name 'Alice Rossi'\n"
    "outgate sendas add alice@example.com alice@dominiopartner.example --host smtp.dominiopartner.example"
    " --username alice --password-file partner.password\n"
    "outgate sendas add alice@example.com sales@example.com --grant",
)
def add(
    here: Here,
    account: AccountName,
    address: Address,
    name: Annotated[str, typer.Option("--name", help="The name in From; else the primary address's")] = "",
    reply_to: Annotated[str, typer.Option("--reply-to", help="Address for Reply-To")] = "",
    not_an_alias: Annotated[
        bool, typer.Option("--not-an-alias", help="Mail to it does not count as one's own")
    ] = False,
    grant: Annotated[
        bool,
        typer.Option(
            "--grant", "--verified", help="Without proof of ownership: only in the organisation's own domains"
        ),
    ] = False,
    default: Annotated[bool, typer.Option("--default", help="Make it the default; only with --grant")] = False,
    host: Annotated[str, typer.Option("--host", help="The gateway: the address's own SMTP server")] = "",
    port: gateway.Port = None,
    security: gateway.Security = "starttls",
    username: gateway.Username = "",
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    no_probe: gateway.NoProbe = False,
) -> None:
    """Add a From address to an account, with its gateway if --host is given.

    A message with a nine-digit code goes to the address, by the running server; the address can be used once the code
    is entered with `outgate sendas verify`. A gateway is tried first: nothing is saved if it can't be used.
    """
    from outgate import clock
    from outgate.commands.confirmation import send_code
    from outgate.sendas import addresses, gateways
    from outgate.store.engine import write

    place = here.place()
    wanted = gateway.server(host, port, security, username, password_file, password_stdin) if host else None
    owner = find_account(here, account)
    if wanted and not no_probe and _may_have_gateway(here, owner, address):
        gateway.try_out(place, wanted)
    now = clock.now()
    with write(place.engine) as connection:
        entry = addresses.add(
            connection,
            owner.id,
            address,
            now,
            display_name=name,
            reply_to=reply_to,
            treat_as_alias=not not_an_alias,
            granted_by_administrator=grant,
        )
        if wanted:
            gateways.set_gateway(connection, place.vault, owner.id, entry.address, wanted, now)
        if default:
            addresses.edit(connection, owner.id, entry.address, make_default=True)
        if not entry.verified:
            send_code(connection, place.vault, place.config.hostname, owner, entry.address, now)
    pending = f"; enter the code that is mailed to it: outgate sendas verify {owner.primary} {entry.address} CODE"
    told = f"added {entry.address} to {owner.primary}{'' if entry.verified else pending}"
    tell(here, _row(here, owner.primary, entry.address), told)


@command(app, name="list", example="outgate sendas list alice@example.com")
def list_(here: Here, account: AccountName) -> None:
    """List the From addresses of an account, the primary first."""
    from outgate.commands.rows import send_as_row

    owner = find_account(here, account)
    rows = [send_as_row(owner.primary, entry) for entry in owner.send_as.values()]
    shown = rows if here.json else [row | {"gateway": (row["gateway"] or {}).get("host")} for row in rows]
    columns = {
        "address": "address",
        "name": "name",
        "verification_status": "status",
        "is_default": "default",
        "gateway": "gateway",
    }
    table(here, shown, columns, nothing="there are no addresses")


@command(app, example="outgate sendas show alice@example.com alice@dominiopartner.example")
def show(here: Here, account: AccountName, address: Address) -> None:
    """Show a From address of an account. Passwords of gateways are never shown."""
    record(here, _row(here, account, address))


@command(app, example="outgate sendas edit alice@example.com alice@dominiopartner.example --name 'Alice (partner)'")
def edit(
    here: Here,
    account: AccountName,
    address: Address,
    name: Annotated[str | None, typer.Option("--name", help="The name in From", show_default=False)] = None,
    reply_to: Annotated[
        str | None, typer.Option("--reply-to", help="Address for Reply-To; '' for none", show_default=False)
    ] = None,
    alias: Annotated[
        bool | None,
        typer.Option("--alias/--not-an-alias", help="Mail to it counts as one's own", show_default=False),
    ] = None,
) -> None:
    """Change the name, the Reply-To or the treatment as an alias; what is not given stays."""
    from outgate.sendas import addresses
    from outgate.store.engine import write

    owner = find_account(here, account)
    with write(here.place().engine) as connection:
        addresses.edit(connection, owner.id, address, display_name=name, reply_to=reply_to, treat_as_alias=alias)
    tell(here, _row(here, account, address), f"changed {address}")


@command(app, name="default", example="outgate sendas default alice@example.com alice@dominiopartner.example")
def default_(here: Here, account: AccountName, address: Address) -> None:
    """Make a confirmed address the account's default."""
    from outgate.sendas import addresses
    from outgate.store.engine import write

    owner = find_account(here, account)
    with write(here.place().engine) as connection:
        addresses.edit(connection, owner.id, address, make_default=True)
    tell(here, _row(here, account, address), f"{address} is the default of {owner.primary}")


@command(app, example="outgate sendas delete alice@example.com alice@dominiopartner.example")
def delete(here: Here, account: AccountName, address: Address) -> None:
    """Delete a From address with its gateway and its confirmation."""
    from outgate import clock
    from outgate.queue import operations
    from outgate.sendas import addresses
    from outgate.store.engine import write

    row = _row(here, account, address)
    owner = find_account(here, account)
    with write(here.place().engine) as connection:
        addresses.remove(connection, owner.id, address)
        operations.hasten(connection, clock.now())
    tell(here, row, f"deleted {row['address']} from {owner.primary}")


@command(app, example="outgate sendas verify alice@example.com alice@dominiopartner.example 123456789")
def verify(
    here: Here,
    account: AccountName,
    address: Address,
    code: Annotated[str, typer.Argument(help="The nine digits that were mailed to it", show_default=False)],
) -> None:
    """Enter the code that was mailed to an address; from then on it can be used.

    A code is good once, for three days and five tries.
    """
    from outgate import clock
    from outgate.sendas import verification

    place, owner = here.place(), find_account(here, account)
    verification.confirm(place.engine, place.vault, owner.id, address, code, clock.now())
    tell(here, _row(here, account, address), f"{owner.primary} can send as {address} now")


@command(app, example="outgate sendas resend alice@example.com alice@dominiopartner.example")
def resend(here: Here, account: AccountName, address: Address) -> None:
    """Mail a new code to an address that is not confirmed yet; the former code is void."""
    from outgate import clock
    from outgate.commands.confirmation import send_code
    from outgate.store.engine import write

    place, owner = here.place(), find_account(here, account)
    row = _row(here, account, address)
    with write(place.engine) as connection:
        send_code(connection, place.vault, place.config.hostname, owner, row["address"], clock.now())
    tell(here, row, f"a new code is on its way to {row['address']}")


@command(app, example="outgate sendas test alice@example.com alice@dominiopartner.example")
def test(here: Here, account: AccountName, address: Address) -> None:
    """Try an address's gateway by the way of real delivery: connect, TLS, log in. Hands no message over."""
    from outgate.directory.errors import NotFound
    from outgate.sendas.gateways import open_password

    place = here.place()
    entry = find_entry(find_account(here, account), address)
    if entry.gateway is None:
        raise NotFound(f"{entry.address} has no gateway; set one with: outgate sendas gateway set")
    gateway.probe(place, entry.gateway, open_password(place.vault, entry.gateway))
    value = _row(here, account, address) | {"works": True}
    tell(here, value, f"{gateway.described(entry.gateway)} works")


def find_account(here: Here, address: str) -> Any:
    """The authorise.Account with this primary address."""
    from outgate.directory import accounts, users
    from outgate.store.engine import read

    with read(here.place().engine) as connection:
        return accounts.load(connection, users.find(connection, address).id)


def find_entry(account: Any, address: str) -> Any:
    """The account's authorise.SendAs of this address. Raises NotFound and AddressError."""
    from outgate.directory.errors import NotFound
    from outgate.mail.addresses import canonical

    entry = account.send_as.get(canonical(address))
    if entry is None:
        raise NotFound(f"{address} is not an address of {account.primary}")
    return entry


def _row(here: Here, account: str, address: str) -> dict[str, Any]:
    from outgate.commands.rows import send_as_row

    owner = find_account(here, account)
    return send_as_row(owner.primary, find_entry(owner, address))


def _may_have_gateway(here: Here, account: Any, address: str) -> bool:
    """Whether saving the gateway could succeed: what policy forbids is refused before anything is connected to."""
    from outgate.directory.accounts import load_organisation
    from outgate.mail.addresses import canonical
    from outgate.store.engine import read

    with read(here.place().engine) as connection:
        own = load_organisation(connection).domains
    return bool(account.policy.allow_external_smtp) and canonical(address).rpartition("@")[2] not in own
