"""`outgate sendas`: the From addresses of an account. Their gateways are in sendas_gateway."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from outgate import wiring
from outgate.advisor.ask import Names
from outgate.advisor.strict_policy import StrictPolicy, strict_policy
from outgate.cli.output import JsonObject, JsonValue, record, table, tell
from outgate.cli.password_input import PasswordFile, PasswordStdin
from outgate.cli.shell import CommandContext, command
from outgate.commands import gateway_options
from outgate.mail.addresses import canonical
from outgate.model import SendAs
from outgate.operations import confirmation_operations, gateway_operations, send_as_operations
from outgate.operations.account_lookup import entry_of
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import Denied
from outgate.operations.gateway_trial import described
from outgate.operations.resources import send_as_row
from outgate.operations.send_as_operations import NewAddress

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

    Where mail from it would leave without its domain's own server, and the domain asks recipients to refuse that or put
    it into junk (DMARC), a warning says so.
    """
    if not host and (port or username or password_file or password_stdin):
        raise typer.BadParameter("--port, --username and a password are of a gateway: say which by --host")
    gateway = (
        gateway_options.gateway_settings(host, port, security, username, password_file, password_stdin)
        if host
        else None
    )
    wanted = NewAddress(address, name, reply_to, not not_an_alias, grant, default, gateway)
    probe = None if no_probe else gateway_options.probe(ctx)
    entry = send_as_operations.save(ctx, account, wanted, confirmation(ctx), probe)
    row = send_as_row(canonical(account), entry)
    pending = f"; enter the code that is mailed to it: outgate sendas verify {row['account']} {entry.address} CODE"
    text = f"added {entry.address} to {row['account']}{'' if entry.verified else pending}{_waits(ctx, entry)}"
    warning = None if no_probe else _strict_policy(ctx, account, entry)
    told = f"{text}\nwarning: {warning.sentence}" if warning else text
    tell(ctx, row | {"warning": warning.sentence if warning else None}, told)


@command(app, name="list", example="outgate sendas list alice@example.com")
def list_(ctx: CommandContext, account: AccountName) -> None:
    """List the From addresses of an account, the primary first."""
    with ctx.reading() as op:
        owner = send_as_operations.account(op, account)
    rows = [send_as_row(owner.primary, entry) for entry in owner.send_as.values()]
    columns = {
        "address": "address",
        "name": "name",
        "verification_status": "status",
        "is_default": "default",
        "gateway": "gateway",
    }
    _table(ctx, rows, columns)


@command(app, example="outgate sendas show alice@example.com alice@dominiopartner.example")
def show(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Show a From address of an account. Passwords of gateways are never shown."""
    with ctx.reading() as op:
        owner = send_as_operations.account(op, account)
    record(ctx, send_as_row(owner.primary, entry_of(owner, address)))


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
    with ctx.writing() as op:
        entry = send_as_operations.edit(
            op, account, address, display_name=name, reply_to=reply_to, treat_as_alias=alias
        )
    tell(ctx, send_as_row(canonical(account), entry), f"changed {entry.address}")


@command(app, name="default", example="outgate sendas default alice@example.com alice@dominiopartner.example")
def default_(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Make a confirmed address the account's default."""
    with ctx.writing() as op:
        entry = send_as_operations.edit(op, account, address, make_default=True)
    tell(ctx, send_as_row(canonical(account), entry), f"{entry.address} is the default of {account}")


@command(app, example="outgate sendas delete alice@example.com alice@dominiopartner.example")
def delete(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Delete a From address with its gateway and its confirmation."""
    with ctx.writing() as op:
        entry = send_as_operations.remove(op, account, address)
    tell(ctx, send_as_row(canonical(account), entry), f"deleted {entry.address} from {account}")


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
    with ctx.writing() as op:
        entry = send_as_operations.transfer(op, account, address, to, confirmation(ctx))
    pending = "" if entry.verified else ", who must enter the code that is mailed to it"
    tell(ctx, send_as_row(canonical(to), entry), f"{entry.address} belongs to {to} now{pending}{_waits(ctx, entry)}")


@command(app, example="outgate sendas list-all --ou /Sales")
def list_all(
    ctx: CommandContext,
    unit: Annotated[
        str | None,
        typer.Option("--ou", help="Only users of this unit and those below it", metavar="PATH", show_default=False),
    ] = None,
) -> None:
    """List the From addresses of all users, with their gateways."""
    with ctx.reading() as op:
        found = send_as_operations.every(op, unit)
    rows = [{**send_as_row(user, entry), "ou": path} for user, path, entry in found]
    columns = {
        "account": "user",
        "ou": "unit",
        "address": "address",
        "verification_status": "status",
        "gateway": "gateway",
    }
    _table(ctx, rows, columns)


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
    with ctx.writing() as op:
        entry = confirmation_operations.verify(op, account, address, code)
    tell(ctx, send_as_row(canonical(account), entry), f"{account} can send as {entry.address} now")


@command(app, example="outgate sendas resend alice@example.com alice@dominiopartner.example")
def resend(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Mail a new code to an address that is not confirmed yet; the former code is void."""
    with ctx.writing() as op:
        entry = confirmation_operations.resend(op, account, address, confirmation(ctx))
    tell(
        ctx, send_as_row(canonical(account), entry), f"a new code is on its way to {entry.address}{_waits(ctx, entry)}"
    )


@command(app, example="outgate sendas test alice@example.com alice@dominiopartner.example")
def test(ctx: CommandContext, account: AccountName, address: Address) -> None:
    """Try an address's gateway by the way of real delivery: connect, TLS, log in. Hands no message over."""
    entry = gateway_operations.try_out(
        ctx, account, address, gateway_options.probe(ctx), wiring.stored_token(ctx.installation())
    )
    value = {**send_as_row(canonical(account), entry), "works": True}
    tell(ctx, value, f"{described(entry.gateway)} works")


def _strict_policy(ctx: CommandContext, account: str, entry: SendAs) -> StrictPolicy | None:
    """What the DNS says against it; whoever may not read what that depends on is not warned."""
    if entry.own_domain:
        return None
    try:
        with ctx.reading() as op:
            basis = send_as_operations.advice_basis(op, account)
    except Denied:
        return None
    names = Names(ctx.installation().config.delivery.nameservers)
    return asyncio.run(strict_policy(names, basis.organisation, basis.account, entry))


def _waits(ctx: CommandContext, entry: SendAs) -> str:
    """That the code of an address does not leave yet, if no server runs."""
    return "" if entry.verified else ctx.only_with_server()


def confirmation(ctx: CommandContext) -> Confirmation:
    """How codes are mailed here."""
    config = ctx.installation().config
    return Confirmation(config.hostname, config.web.public_url)


def _table(ctx: CommandContext, rows: Sequence[JsonObject], columns: Mapping[str, str]) -> None:
    """All of each row for programs; for people the gateway's host is enough."""
    shown = rows if ctx.json else [{**row, "gateway": _hosts(row)} for row in rows]
    table(ctx, shown, columns, nothing="there are no addresses")


def _hosts(row: JsonObject) -> JsonValue:
    """That of the gateway that goes before the other."""
    for key, said in (("gateway", "{}"), ("common_gateway", "{} (set by an administrator)")):
        if isinstance(gateway := row[key], Mapping):
            return said.format(gateway["host"])
    return None
