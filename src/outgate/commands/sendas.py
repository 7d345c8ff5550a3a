"""`outgate sendas`: the From addresses of an account. Their gateways are in sendas_gateway."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outgate.cli.output import record, table, tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options

if TYPE_CHECKING:
    from outgate.operations.confirmation import Confirmation

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
    ctx: CommandContext,
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
    port: gateway_options.Port = None,
    security: gateway_options.Security = "starttls",
    username: gateway_options.Username = "",
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    no_probe: gateway_options.NoProbe = False,
) -> None:
    """Add a From address to an account, with its gateway if --host is given.

    A message with a nine-digit code goes to the address, by the running server; the address can be used once the code
    is entered with `outgate sendas verify`. A gateway is tried first: nothing is saved if it can't be used.
    """
    from outgate.operations import send_as_operations

    wanted = gateway_options.server(host, port, security, username, password_file, password_stdin) if host else None
    owner = find_account(ctx, account)
    if wanted and not no_probe and _may_have_gateway(ctx, owner, address):
        gateway_options.try_out(ctx, wanted)
    with ctx.writing() as op:
        if grant:
            send_as_operations.grant(op, account, address)
            entry = send_as_operations.edit(
                op,
                account,
                address,
                display_name=name,
                reply_to=reply_to,
                treat_as_alias=not not_an_alias,
                make_default=default,
            )
            if wanted:
                send_as_operations.set_gateway(op, account, address, wanted)
        else:
            entry = send_as_operations.add(
                op,
                account,
                address,
                _confirmation(ctx),
                display_name=name,
                reply_to=reply_to,
                treat_as_alias=not not_an_alias,
                gateway=wanted,
                make_default=default,
            )
    pending = f"; enter the code that is mailed to it: outgate sendas verify {owner.primary} {entry.address} CODE"
    told = f"added {entry.address} to {owner.primary}{'' if entry.verified else pending}"
    tell(ctx, _row(ctx, owner.primary, entry.address), told)


@command(app, name="list", example="outgate sendas list alice@example.com")
def list_(ctx: CommandContext, account: AccountName) -> None:
    """List the From addresses of an account, the primary first."""
    from outgate.operations.resources import send_as_row

    owner = find_account(ctx, account)
    rows = [send_as_row(owner.primary, entry) for entry in owner.send_as.values()]
    shown = rows if ctx.json else [row | {"gateway": (row["gateway"] or {}).get("host")} for row in rows]
    columns = {
        "address": "address",
        "name": "name",
        "verification_status": "status",
        "is_default": "default",
        "gateway": "gateway",
    }
    table(ctx, shown, columns, nothing="there are no addresses")


@command(app, example="outgate sendas show alice@example.com alice@dominiopartner.example")
def show(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Show a From address of an account. Passwords of gateways are never shown."""
    record(ctx, _row(ctx, account, address))


@command(app, example="outgate sendas edit alice@example.com alice@dominiopartner.example --name 'Alice (partner)'")
def edit(
    ctx: CommandContext,
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
    from outgate.operations import send_as_operations

    with ctx.writing() as op:
        send_as_operations.edit(op, account, address, display_name=name, reply_to=reply_to, treat_as_alias=alias)
    tell(ctx, _row(ctx, account, address), f"changed {address}")


@command(app, name="default", example="outgate sendas default alice@example.com alice@dominiopartner.example")
def default_(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Make a confirmed address the account's default."""
    from outgate.operations import send_as_operations

    with ctx.writing() as op:
        send_as_operations.edit(op, account, address, make_default=True)
    tell(ctx, _row(ctx, account, address), f"{address} is the default of {account}")


@command(app, example="outgate sendas delete alice@example.com alice@dominiopartner.example")
def delete(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Delete a From address with its gateway and its confirmation."""
    from outgate.operations import send_as_operations
    from outgate.operations.resources import send_as_row

    with ctx.writing() as op:
        entry = send_as_operations.remove(op, account, address)
    tell(ctx, send_as_row(account, entry), f"deleted {entry.address} from {account}")


@command(app, example="outgate sendas transfer bob@example.com sales@example.com alice@example.com")
def transfer(
    ctx: CommandContext,
    account: AccountName,
    address: Address,
    to: Annotated[str, typer.Argument(help="The user who gets it", metavar="USER", show_default=False)],
) -> None:
    """Give an address to another user.

    One of the organisation's own domains can be used there at once. One outside must be proven anew by the code that is
    mailed to it, and comes without its gateway: that log-in was the former user's.
    """
    from outgate.operations import send_as_operations
    from outgate.operations.resources import send_as_row

    with ctx.writing() as op:
        entry = send_as_operations.transfer(op, account, address, to, _confirmation(ctx))
    pending = "" if entry.verified else ", who must enter the code that is mailed to it"
    tell(ctx, send_as_row(to, entry), f"{entry.address} belongs to {to} now{pending}")


@command(app, example="outgate sendas list-all --ou /Sales")
def list_all(
    ctx: CommandContext,
    unit: Annotated[
        str | None,
        typer.Option("--ou", help="Only users of this unit and those below it", metavar="PATH", show_default=False),
    ] = None,
) -> None:
    """List the From addresses of all users, with their gateways."""
    from outgate.operations import send_as_operations
    from outgate.operations.resources import send_as_row

    with ctx.reading() as op:
        rows = [
            send_as_row(user, entry) | {"ou": installation}
            for user, installation, entry in send_as_operations.every(op, unit)
        ]
    shown = rows if ctx.json else [row | {"gateway": (row["gateway"] or {}).get("host")} for row in rows]
    columns = {
        "account": "user",
        "ou": "unit",
        "address": "address",
        "verification_status": "status",
        "gateway": "gateway",
    }
    table(ctx, shown, columns, nothing="there are no addresses")


@command(app, example="outgate sendas verify alice@example.com alice@dominiopartner.example 123456789")
def verify(
    ctx: CommandContext,
    account: AccountName,
    address: Address,
    code: Annotated[str, typer.Argument(help="The nine digits that were mailed to it", show_default=False)],
) -> None:
    """Enter the code that was mailed to an address; from then on it can be used.

    A code is good once, for three days and five tries.
    """
    from outgate.operations import send_as_operations

    with ctx.writing() as op:
        send_as_operations.verify(op, account, address, code)
    tell(ctx, _row(ctx, account, address), f"{account} can send as {address} now")


@command(app, example="outgate sendas resend alice@example.com alice@dominiopartner.example")
def resend(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Mail a new code to an address that is not confirmed yet; the former code is void."""
    from outgate.operations import send_as_operations

    row = _row(ctx, account, address)
    with ctx.writing() as op:
        send_as_operations.resend(op, account, address, _confirmation(ctx))
    tell(ctx, row, f"a new code is on its way to {row['address']}")


@command(app, example="outgate sendas test alice@example.com alice@dominiopartner.example")
def test(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Try an address's gateway by the way of real delivery: connect, TLS, log in. Hands no message over."""
    from outgate.directory.errors import NotFound
    from outgate.operations import send_as_operations
    from outgate.sendas.gateways import open_password

    installation = ctx.installation()
    entry = find_entry(find_account(ctx, account), address)
    if entry.gateway is None:
        raise NotFound(f"{entry.address} has no gateway; set one with: outgate sendas gateway set")
    # Recorded, and refused to who may not, before anything is connected to.
    with ctx.writing_one_of_many() as op:
        send_as_operations.tested(op, account, entry.address, gateway_options.described(entry.gateway))
    gateway_options.probe(ctx, entry.gateway, open_password(installation.vault, entry.gateway))
    value = _row(ctx, account, address) | {"works": True}
    tell(ctx, value, f"{gateway_options.described(entry.gateway)} works")


def find_account(ctx: CommandContext, address: str) -> Any:
    """The model.Account with this primary address."""
    from outgate.operations import send_as_operations

    with ctx.reading() as op:
        return send_as_operations.account(op, address)


def find_entry(account: Any, address: str) -> Any:
    """The account's authorise.SendAs of this address. Raises NotFound and AddressError."""
    from outgate.directory.errors import NotFound
    from outgate.mail.addresses import canonical

    entry = account.send_as.get(canonical(address))
    if entry is None:
        raise NotFound(f"{address} is not an address of {account.primary}")
    return entry


def _row(ctx: CommandContext, account: str, address: str) -> dict[str, Any]:
    from outgate.operations.resources import send_as_row

    owner = find_account(ctx, account)
    return send_as_row(owner.primary, find_entry(owner, address))


def _confirmation(ctx: CommandContext) -> "Confirmation":
    from outgate.operations.confirmation import Confirmation

    config = ctx.installation().config
    return Confirmation(config.hostname, config.web.public_url)


def _may_have_gateway(ctx: CommandContext, account: Any, address: str) -> bool:
    """Whether saving the gateway could succeed: what policy forbids is refused before anything is connected to."""
    from outgate.directory.accounts import load_organisation
    from outgate.mail.addresses import canonical
    from outgate.store.engine import read

    with read(ctx.installation().engine) as connection:
        own = load_organisation(connection).domains
    return bool(account.policy.allow_external_smtp) and canonical(address).rpartition("@")[2] not in own
