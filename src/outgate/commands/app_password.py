"""`outgate app-password`: passwords for single programs, in place of the user's own."""

from typing import Annotated

import typer

from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.application_passwords import ApplicationPassword, Scope
from outgate.iso_time import iso
from outgate.operations import app_password_operations

app = typer.Typer(
    no_args_is_help=True,
    help="Application passwords: one for each program that sends as a user, so that each can be revoked by itself.",
)

User = Annotated[str, typer.Argument(help="The user's primary address", metavar="ADDRESS", show_default=False)]
Name = Annotated[str, typer.Argument(help="What uses it, as in 'Office printer'", metavar="NAME", show_default=False)]


@command(
    app,
    example="outgate app-password create alice@example.com 'Office printer'\n"
    "outgate app-password create alice@example.com Import --scope api",
)
def create(
    ctx: CommandContext,
    address: User,
    name: Name,
    scope: Annotated[str, typer.Option("--scope", help="smtp or api: what it is good for", metavar="SCOPE")] = "smtp",
) -> None:
    """Make an application password. It is shown once; spaces and the case of letters don't matter."""
    if scope not in tuple(Scope):
        raise typer.BadParameter(f"the scope is smtp or api, not '{scope}'")
    with ctx.writing() as op:
        secret = app_password_operations.create_password(op, address, name, Scope(scope))
    value: JsonObject = {"address": address, "name": name, "scope": scope, "password": secret}
    tell(ctx, value, f"the application password '{name}' of {address}, for {scope}; it is not shown again:\n{secret}")


@command(app, name="list", example="outgate app-password list alice@example.com")
def list_(ctx: CommandContext, address: User) -> None:
    """List a user's application passwords, with when each was last used (to within some minutes)."""
    with ctx.reading() as op:
        rows = [_row(password) for password in app_password_operations.list_passwords(op, address)]
    columns = {"name": "name", "scope": "scope", "created_at": "created", "last_used_at": "last used"}
    table(ctx, rows, columns, nothing=f"{address} has no application passwords")


@command(app, example="outgate app-password revoke alice@example.com 'Office printer'")
def revoke(ctx: CommandContext, address: User, name: Name) -> None:
    """Revoke an application password: no log-in with it from now on, and nothing more from open sessions."""
    with ctx.writing() as op:
        revoked = app_password_operations.revoke_password(op, address, name)
    tell(ctx, _row(revoked), f"revoked the application password '{revoked.name}' of {address}")


def _row(password: ApplicationPassword) -> JsonObject:
    return {
        "name": password.name,
        "scope": password.scope.value,
        "created_at": iso(password.created_at),
        "last_used_at": None if password.last_used_at is None else iso(password.last_used_at),
    }
