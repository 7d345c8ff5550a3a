"""`outgate user`: the organisation's users."""

from collections.abc import Callable
from typing import Annotated

import typer

from outgate.cli.options import Yes
from outgate.cli.output import JsonObject, record, table, tell
from outgate.cli.password_input import PasswordFile, PasswordStdin, read_password
from outgate.cli.shell import CommandContext, command
from outgate.directory.settings import in_words
from outgate.directory.users import Credentials, User
from outgate.iso_time import iso
from outgate.operations import (
    log_in_link_operations,
    log_in_operations,
    second_factor_operations,
    send_as_operations,
    session_operations,
    user_operations,
)
from outgate.operations.context import OperationContext
from outgate.operations.resources import effective_rows, send_as_row

app = typer.Typer(no_args_is_help=True, help="The users of the organisation, each with a primary address.")

Address = Annotated[str, typer.Argument(help="The user's primary address", metavar="ADDRESS", show_default=False)]
Unit = Annotated[str, typer.Option("--ou", help="Organisational unit, as in /Sales/Italy", metavar="PATH")]


@command(
    app,
    example="outgate user add alice@example.com --name 'Alice Rossi' --ou /Sales\n"
    "outgate user add bob@example.com --password-file bob.password",
)
def add(
    ctx: CommandContext,
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
    installation = ctx.installation()
    credentials = None
    if not no_password:
        password = read_password(password_file, password_stdin, f"Password for {address}", confirm=True)
        credentials = Credentials.derive(password, installation.config.log_in.scram_iterations)
    with ctx.writing() as op:
        user = user_operations.create(op, address, credentials, name=name, unit=unit)
    tell(ctx, _row(user), f"added the user {user.address} in {user.unit}")


@command(app, name="list", example="outgate user list --ou /Sales\noutgate --json user list")
def list_(
    ctx: CommandContext,
    unit: Annotated[
        str | None, typer.Option("--ou", help="Only the users of this unit", metavar="PATH", show_default=False)
    ] = None,
) -> None:
    """List the users, all or those of one organisational unit."""
    with ctx.reading() as op:
        rows = [_row(user) for user in user_operations.list_users(op, unit)]
    columns = {"address": "address", "name": "name", "ou": "unit", "suspended": "suspended"}
    table(ctx, rows, columns, nothing="there are no users; add one with: outgate user add ADDRESS")


@command(app, example="outgate user show alice@example.com")
def show(ctx: CommandContext, address: Address) -> None:
    """Show a user, the policy in force for them, and their From addresses."""
    with ctx.reading() as op:
        details = user_operations.show(op, address)
        account = send_as_operations.account(op, address)
    user = details.user
    value = _row(user) | {
        "groups": list(details.groups),
        "has_password": details.has_password,
        "ldap_id": user.external.id if user.external else None,
        "ldap_dn": user.external.dn if user.external else None,
        "policy": effective_rows(user.unit, details.policy),
        "send_as": [send_as_row(account.primary, entry) for entry in account.send_as.values()],
    }
    set_values = {name: in_words(one.value) for name, one in details.policy.items() if one.source is not None}
    record(ctx, value if ctx.json else value | {"send_as": list(account.send_as), "policy": set_values})


@command(
    app,
    example="outgate user password alice@example.com\n"
    "outgate user password alice@example.com --password-stdin < new.password",
)
def password(
    ctx: CommandContext, address: Address, password_file: PasswordFile = None, password_stdin: PasswordStdin = False
) -> None:
    """Give a user a new password."""
    installation = ctx.installation()
    with ctx.reading() as op:
        user = user_operations.show(op, address).user
    new = read_password(password_file, password_stdin, f"New password for {user.address}", confirm=True)
    credentials = Credentials.derive(new, installation.config.log_in.scram_iterations)
    with ctx.writing() as op:
        user_operations.set_password(op, user.address, credentials)
    tell(ctx, _row(user), f"{user.address} has a new password")


@command(app, example="outgate user edit alice@example.com --name 'Alice Rossi' --language it")
def edit(
    ctx: CommandContext,
    address: Address,
    name: Annotated[str | None, typer.Option("--name", help="The name in From", show_default=False)] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Of what is written to the user: en or it", show_default=False)
    ] = None,
) -> None:
    """Change a user's name or language; what is not given stays."""
    _change(ctx, address, lambda op, user: user_operations.edit(op, user, name=name, language=language), "is changed")


@command(app, example="outgate user suspend bob@example.com")
def suspend(ctx: CommandContext, address: Address) -> None:
    """Suspend a user: neither log-in nor sending from now on. Mail to the user is still delivered.

    The passwords of the user's gateways are erased, and must be entered again if the user is resumed.
    """
    _change(ctx, address, user_operations.suspend, "is suspended; the passwords of their gateways are erased")


@command(app, example="outgate user resume bob@example.com")
def resume(ctx: CommandContext, address: Address) -> None:
    """Undo `suspend`."""
    _change(ctx, address, user_operations.resume, "is no longer suspended")


@command(app, example="outgate user unlock alice@example.com")
def unlock(ctx: CommandContext, address: Address) -> None:
    """Forget a user's failed log-ins, so that they may try again. The server knows of it within two seconds."""
    with ctx.writing() as op:
        count = log_in_operations.unlock_user(op, address)
    done = f"unlocked {address}" if count else f"there were no failed log-ins of {address}"
    tell(ctx, {"address": address, "failures": count}, done)


@command(app, name="log-out", example="outgate user log-out alice@example.com")
def log_out(ctx: CommandContext, address: Address) -> None:
    """Log a user out of the pages, in all browsers. Mail programs are not concerned."""
    with ctx.writing() as op:
        count = session_operations.end_all_sessions(op, address)
    tell(ctx, {"address": address, "sessions": count}, f"logged {address} out of {count} browsers")


@command(app, name="log-in-link", example="outgate user log-in-link alice@example.com")
def log_in_link(ctx: CommandContext, address: Address) -> None:
    """Make a link by which a user logs in to the pages once, without the password, within a day.

    For a first log-in, or who has lost the password. It is shown once, ends a link made before, and ends with a new
    password or a suspension. A second factor is asked for as ever. Be sure that it is the user who gets it.
    """
    public_url = ctx.installation().config.web.public_url
    with ctx.writing() as op:
        link = log_in_link_operations.make_link(op, address, public_url)
    value: JsonObject = {"address": link.user.address, "url": link.url, "ends_at": iso(link.ends_at)}
    tell(ctx, value, f"{link.user.address} logs in once by this, until {iso(link.ends_at)}:\n{link.url}")


@command(app, name="reset-second-factor", example="outgate user reset-second-factor alice@example.com")
def reset_second_factor(ctx: CommandContext, address: Address) -> None:
    """Take second factor, recovery codes and passkeys from a user who has lost them, and log them out of the pages.

    The password alone logs in again. Be sure that it is the user who asks.
    """
    with ctx.writing() as op:
        before = second_factor_operations.reset(op, address)
    was_on = before.second_factor is not None and not before.second_factor.waits
    value: JsonObject = {"address": address, "second_factor": was_on, "passkeys": len(before.passkeys)}
    had = f"{'a second factor' if was_on else 'no second factor'} and {len(before.passkeys)} passkeys"
    tell(ctx, value, f"{address} had {had}, and logs in with the password alone now")


@command(app, example="outgate user move alice@example.com /Sales/Italy")
def move(
    ctx: CommandContext, address: Address, unit: Annotated[str, typer.Argument(help="The unit's path", metavar="PATH")]
) -> None:
    """Put a user in another organisational unit, whose policy is theirs from now on, for mail that waits as well."""
    _change(ctx, address, lambda op, user: user_operations.move(op, user, unit), f"is in {unit} now")


@command(app, example="outgate user remove bob@example.com")
def remove(ctx: CommandContext, address: Address, yes: Yes = False) -> None:
    """Delete a user with all their From addresses and gateways. The log of their messages stays.

    On a terminal it asks first.
    """
    ctx.confirm(f"Delete {address} with all their From addresses, gateways and passwords?", yes)
    with ctx.writing() as op:
        user = user_operations.remove(op, address)
    tell(ctx, _row(user), f"removed the user {user.address}")


def _change(ctx: CommandContext, address: str, change: Callable[[OperationContext, str], User], outcome: str) -> None:
    """Make a change to a user and show what it came to."""
    with ctx.writing() as op:
        user = change(op, address)
    tell(ctx, _row(user), f"{user.address} {outcome}")


def _row(user: User) -> JsonObject:
    return {
        "address": user.address,
        "name": user.name,
        "ou": user.unit,
        "suspended": user.suspended,
        "language": user.language,
        "created_at": iso(user.created_at),
    }
