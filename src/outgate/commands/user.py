"""`outgate user`: the organisation's users."""

from typing import Annotated, Any

import typer

from outgate.commands.command import Here, command
from outgate.commands.output import iso, record, table, tell
from outgate.commands.password import PasswordFile, PasswordStdin, read_password

app = typer.Typer(no_args_is_help=True, help="The users of the organisation, each with a primary address.")

Address = Annotated[str, typer.Argument(help="The user's primary address", metavar="ADDRESS", show_default=False)]
Unit = Annotated[str, typer.Option("--ou", help="Organisational unit, as in /Sales/Italy", metavar="PATH")]


@command(
    app,
    example="outgate user add alice@example.com --name 'Alice Rossi' --ou /Sales\n"
    "outgate user add bob@example.com --password-file bob.password",
)
def add(
    here: Here,
    address: Address,
    name: Annotated[str, typer.Option("--name", help="The name in From")] = "",
    unit: Unit = "/",
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="Nobody logs in until a password is set")] = False,
) -> None:
    """Add a user: who logs in with this address and sends mail as it.

    The address must be in one of the organisation's domains. The password is asked for, twice, unless it comes from a
    file or from standard input.
    """
    from outgate.control import users
    from outgate.directory.users import Credentials

    place = here.place()
    credentials = None
    if not no_password:
        password = read_password(password_file, password_stdin, f"Password for {address}", confirm=True)
        credentials = Credentials.derive(password, place.config.log_in.scram_iterations)
    with here.acting() as act:
        user = users.create(act, address, credentials, name=name, unit=unit)
    tell(here, _row(user), f"added the user {user.address} in {user.unit}")


@command(app, name="list", example="outgate user list --ou /Sales\noutgate --json user list")
def list_(
    here: Here,
    unit: Annotated[
        str | None, typer.Option("--ou", help="Only the users of this unit", metavar="PATH", show_default=False)
    ] = None,
) -> None:
    """List the users, all or those of one organisational unit."""
    from outgate.control import users

    with here.looking() as act:
        rows = [_row(user) for user in users.list_users(act, unit)]
    columns = {"address": "address", "name": "name", "ou": "unit", "suspended": "suspended"}
    table(here, rows, columns, nothing="there are no users; add one with: outgate user add ADDRESS")


@command(app, example="outgate user show alice@example.com")
def show(here: Here, address: Address) -> None:
    """Show a user, the policy in force for them, and their From addresses."""
    from outgate.commands.rows import policy_rows, send_as_row
    from outgate.control import users
    from outgate.directory import accounts, policy
    from outgate.directory.settings import in_words

    with here.looking() as act:
        user = users.show(act, address)
        account = accounts.load(act.connection, user.id)
        log_in = accounts.login(act.connection, user.address)
        policies = policy.load(act.connection)
    assert account
    value = _row(user) | {
        "has_password": bool(log_in and log_in.password_hash),
        "ldap_id": user.external.id if user.external else None,
        "ldap_dn": user.external.dn if user.external else None,
        "policy": policy_rows(policies, account.unit),
        "send_as": [send_as_row(account.primary, entry) for entry in account.send_as.values()],
    }
    shown = {
        name: in_words(one["value"]) for name, one in value["policy"].items() if one["inherited_from"] != "the default"
    }
    record(here, value if here.json else value | {"send_as": list(account.send_as), "policy": shown})


@command(
    app,
    example="outgate user password alice@example.com\n"
    "outgate user password alice@example.com --password-stdin < new.password",
)
def password(
    here: Here, address: Address, password_file: PasswordFile = None, password_stdin: PasswordStdin = False
) -> None:
    """Give a user a new password."""
    from outgate.control import users
    from outgate.directory.users import Credentials

    place = here.place()
    with here.looking() as act:
        user = users.show(act, address)
    new = read_password(password_file, password_stdin, f"New password for {user.address}", confirm=True)
    credentials = Credentials.derive(new, place.config.log_in.scram_iterations)
    with here.acting() as act:
        users.set_password(act, user.address, credentials)
    tell(here, _row(user), f"{user.address} has a new password")


@command(app, example="outgate user edit alice@example.com --name 'Alice Rossi' --language it")
def edit(
    here: Here,
    address: Address,
    name: Annotated[str | None, typer.Option("--name", help="The name in From", show_default=False)] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Of what is written to the user: en or it", show_default=False)
    ] = None,
) -> None:
    """Change a user's name or language; what is not given stays."""
    from outgate.control import users

    _change(here, address, lambda act, user: users.edit(act, user, name=name, language=language), "is changed")


@command(app, example="outgate user suspend bob@example.com")
def suspend(here: Here, address: Address) -> None:
    """Suspend a user: neither log-in nor sending from now on. Mail to the user is still delivered.

    The passwords of the user's gateways are erased, and must be entered again if the user is resumed.
    """
    from outgate.control import users

    _change(here, address, users.suspend, "is suspended; the passwords of their gateways are erased")


@command(app, example="outgate user resume bob@example.com")
def resume(here: Here, address: Address) -> None:
    """Undo `suspend`."""
    from outgate.control import users

    _change(here, address, users.resume, "is no longer suspended")


@command(app, example="outgate user unlock alice@example.com")
def unlock(here: Here, address: Address) -> None:
    """Forget a user's failed log-ins, so that they may try again. The server knows of it within two seconds."""
    from outgate.control import log_in

    with here.acting() as act:
        count = log_in.unlock_user(act, address)
    done = f"unlocked {address}" if count else f"there were no failed log-ins of {address}"
    tell(here, {"address": address, "failures": count}, done)


@command(app, example="outgate user move alice@example.com /Sales/Italy")
def move(
    here: Here, address: Address, unit: Annotated[str, typer.Argument(help="The unit's path", metavar="PATH")]
) -> None:
    """Put a user in another organisational unit, whose policy is theirs from now on, for mail that waits as well."""
    from outgate.control import users

    _change(here, address, lambda act, user: users.move(act, user, unit), f"is in {unit} now")


@command(app, example="outgate user remove bob@example.com")
def remove(here: Here, address: Address) -> None:
    """Delete a user with all their From addresses and gateways. The log of their messages stays."""
    from outgate.control import users

    with here.acting() as act:
        user = users.remove(act, address)
    tell(here, _row(user), f"removed the user {user.address}")


def _change(here: Here, address: str, change: Any, outcome: str) -> None:
    """Make a change to a user and show what it came to."""
    with here.acting() as act:
        user = change(act, address)
    tell(here, _row(user), f"{user.address} {outcome}")


def _row(user: Any) -> dict[str, Any]:
    return {
        "address": user.address,
        "name": user.name,
        "ou": user.unit,
        "suspended": user.suspended,
        "language": user.language,
        "created_at": iso(user.created_at),
    }
