"""`outgate sendas gateway`: the SMTP server that delivers what is sent as an address."""

from typing import Annotated, Any

import typer

from outgate.commands import gateway
from outgate.commands.command import Here, command
from outgate.commands.output import tell
from outgate.commands.password import PasswordFile, PasswordStdin
from outgate.commands.sendas import AccountName, Address

app = typer.Typer(
    no_args_is_help=True, help="The gateway of a From address: its own SMTP server, which delivers what is sent as it."
)


@command(
    app,
    name="set",
    example="outgate sendas gateway set alice@example.com alice@dominiopartner.example"
    " --host smtp.dominiopartner.example --username alice",
)
def set_(
    here: Here,
    account: AccountName,
    address: Address,
    host: Annotated[str, typer.Option("--host", help="Name or IP address of the SMTP server", show_default=False)],
    port: gateway.Port = None,
    security: gateway.Security = "starttls",
    username: gateway.Username = "",
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    no_probe: gateway.NoProbe = False,
) -> None:
    """Set or replace the gateway of an external address, where policy allows it.

    It is tried first (connect, TLS, log in) and not saved if it can't be used. Mail that waits is decided again.
    """
    from outgate.control import send_as

    wanted = gateway.server(host, port, security, username, password_file, password_stdin)
    owner, entry = _find(here, account, address)
    # What policy forbids is refused below; nothing is connected to for it.
    if owner.policy.allow_external_smtp and not entry.own_domain and not no_probe:
        gateway.try_out(here, wanted)
    with here.acting() as act:
        send_as.set_gateway(act, account, entry.address, wanted)
    _tell(here, account, address, f"mail sent as {entry.address} goes through {gateway.described(wanted)}")


@command(app, example="outgate sendas gateway clear alice@example.com alice@dominiopartner.example")
def clear(here: Here, account: AccountName, address: Address) -> None:
    """Remove an address's gateway: the organisation's servers deliver from now on, mail that waits as well."""
    from outgate.control import send_as

    with here.acting() as act:
        send_as.clear_gateway(act, account, address)
    _tell(here, account, address, f"the organisation's servers deliver what is sent as {address}")


def _find(here: Here, account: str, address: str) -> tuple[Any, Any]:
    from outgate.commands.sendas import find_account, find_entry

    owner = find_account(here, account)
    return owner, find_entry(owner, address)


def _tell(here: Here, account: str, address: str, text: str) -> None:
    from outgate.commands.rows import send_as_row

    owner, entry = _find(here, account, address)
    tell(here, send_as_row(owner.primary, entry), text)
