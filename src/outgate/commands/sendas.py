"""`outgate sendas`: the From addresses of an account. Their gateways are in sendas_gateway."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outgate.commands import gateway
from outgate.commands.command import Here, command
from outgate.commands.output import record, table, tell
from outgate.commands.password import PasswordFile, PasswordStdin

if TYPE_CHECKING:
    from outgate.control.confirmation import Confirmation

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
    from outgate.control import send_as

    wanted = gateway.server(host, port, security, username, password_file, password_stdin) if host else None
    owner = find_account(here, account)
    if wanted and not no_probe and _may_have_gateway(here, owner, address):
        gateway.try_out(here, wanted)
    with here.acting() as act:
        if grant:
            send_as.grant(act, account, address)
            entry = send_as.edit(
                act,
                account,
                address,
                display_name=name,
                reply_to=reply_to,
                treat_as_alias=not not_an_alias,
                make_default=default,
            )
            if wanted:
                send_as.set_gateway(act, account, address, wanted)
        else:
            entry = send_as.add(
                act,
                account,
                address,
                _confirmation(here),
                display_name=name,
                reply_to=reply_to,
                treat_as_alias=not not_an_alias,
                gateway=wanted,
                make_default=default,
            )
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
    from outgate.control import send_as

    with here.acting() as act:
        send_as.edit(act, account, address, display_name=name, reply_to=reply_to, treat_as_alias=alias)
    tell(here, _row(here, account, address), f"changed {address}")


@command(app, name="default", example="outgate sendas default alice@example.com alice@dominiopartner.example")
def default_(here: Here, account: AccountName, address: Address) -> None:
    """Make a confirmed address the account's default."""
    from outgate.control import send_as

    with here.acting() as act:
        send_as.edit(act, account, address, make_default=True)
    tell(here, _row(here, account, address), f"{address} is the default of {account}")


@command(app, example="outgate sendas delete alice@example.com alice@dominiopartner.example")
def delete(here: Here, account: AccountName, address: Address) -> None:
    """Delete a From address with its gateway and its confirmation."""
    from outgate.commands.rows import send_as_row
    from outgate.control import send_as

    with here.acting() as act:
        entry = send_as.remove(act, account, address)
    tell(here, send_as_row(account, entry), f"deleted {entry.address} from {account}")


@command(app, example="outgate sendas transfer bob@example.com sales@example.com alice@example.com")
def transfer(
    here: Here,
    account: AccountName,
    address: Address,
    to: Annotated[str, typer.Argument(help="The user who gets it", metavar="USER", show_default=False)],
) -> None:
    """Give an address to another user.

    One of the organisation's own domains can be used there at once. One outside must be proven anew by the code that is
    mailed to it, and comes without its gateway: that log-in was the former user's.
    """
    from outgate.commands.rows import send_as_row
    from outgate.control import send_as

    with here.acting() as act:
        entry = send_as.transfer(act, account, address, to, _confirmation(here))
    pending = "" if entry.verified else ", who must enter the code that is mailed to it"
    tell(here, send_as_row(to, entry), f"{entry.address} belongs to {to} now{pending}")


@command(app, example="outgate sendas list-all --ou /Sales")
def list_all(
    here: Here,
    unit: Annotated[
        str | None,
        typer.Option("--ou", help="Only users of this unit and those below it", metavar="PATH", show_default=False),
    ] = None,
) -> None:
    """List the From addresses of all users, with their gateways."""
    from outgate.commands.rows import send_as_row
    from outgate.control import send_as

    with here.looking() as act:
        rows = [send_as_row(user, entry) | {"ou": place} for user, place, entry in send_as.every(act, unit)]
    shown = rows if here.json else [row | {"gateway": (row["gateway"] or {}).get("host")} for row in rows]
    columns = {
        "account": "user",
        "ou": "unit",
        "address": "address",
        "verification_status": "status",
        "gateway": "gateway",
    }
    table(here, shown, columns, nothing="there are no addresses")


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
    from outgate.control import send_as

    with here.acting() as act:
        send_as.verify(act, account, address, code)
    tell(here, _row(here, account, address), f"{account} can send as {address} now")


@command(app, example="outgate sendas resend alice@example.com alice@dominiopartner.example")
def resend(here: Here, account: AccountName, address: Address) -> None:
    """Mail a new code to an address that is not confirmed yet; the former code is void."""
    from outgate.control import send_as

    row = _row(here, account, address)
    with here.acting() as act:
        send_as.resend(act, account, address, _confirmation(here))
    tell(here, row, f"a new code is on its way to {row['address']}")


@command(app, example="outgate sendas test alice@example.com alice@dominiopartner.example")
def test(here: Here, account: AccountName, address: Address) -> None:
    """Try an address's gateway by the way of real delivery: connect, TLS, log in. Hands no message over."""
    from outgate.control import send_as
    from outgate.directory.errors import NotFound
    from outgate.sendas.gateways import open_password

    place = here.place()
    entry = find_entry(find_account(here, account), address)
    if entry.gateway is None:
        raise NotFound(f"{entry.address} has no gateway; set one with: outgate sendas gateway set")
    # Recorded, and refused to who may not, before anything is connected to.
    with here.acting_on_many() as act:
        send_as.tested(act, account, entry.address, gateway.described(entry.gateway))
    gateway.probe(here, entry.gateway, open_password(place.vault, entry.gateway))
    value = _row(here, account, address) | {"works": True}
    tell(here, value, f"{gateway.described(entry.gateway)} works")


def find_account(here: Here, address: str) -> Any:
    """The authorise.Account with this primary address."""
    from outgate.control import send_as

    with here.looking() as act:
        return send_as.account(act, address)


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


def _confirmation(here: Here) -> "Confirmation":
    from outgate.control.confirmation import Confirmation

    config = here.place().config
    return Confirmation(config.hostname, config.web.public_url)


def _may_have_gateway(here: Here, account: Any, address: str) -> bool:
    """Whether saving the gateway could succeed: what policy forbids is refused before anything is connected to."""
    from outgate.directory.accounts import load_organisation
    from outgate.mail.addresses import canonical
    from outgate.store.engine import read

    with read(here.place().engine) as connection:
        own = load_organisation(connection).domains
    return bool(account.policy.allow_external_smtp) and canonical(address).rpartition("@")[2] not in own
