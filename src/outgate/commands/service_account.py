"""`outgate service-account`: programs that act for users by the API."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from outgate.api.surfaces import SURFACES
from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.errors import AlreadyExists, Invalid
from outgate.directory.service_accounts import NewKey, ServiceAccount
from outgate.iso_time import iso
from outgate.operations import propagation, service_account_operations
from outgate.operations.context import OperationContext

app = typer.Typer(
    no_args_is_help=True,
    help="Service accounts: programs that act for users by the API, each with its own keys and scopes it was granted.",
)

_PREFIX = "https://www.googleapis.com/auth/"

Name = Annotated[str, typer.Argument(help="The service account's name", metavar="NAME", show_default=False)]
Which = Annotated[
    str, typer.Argument(help="The service account's name, address or client id", metavar="NAME", show_default=False)
]
KeyFile = Annotated[
    Path,
    typer.Option(
        "--key-file", help="Where to write the key, for Google's libraries; - is standard output", allow_dash=True
    ),
]


@command(app, name="list", example="outgate service-account list")
def list_(ctx: CommandContext) -> None:
    """List the service accounts with their keys and what they were granted."""
    with ctx.reading() as op:
        rows = [_row(one) for one in service_account_operations.list_accounts(op)]
    columns = {"name": "name", "client_id": "client id", "created_at": "created", "keys": "keys", "scopes": "scopes"}
    table(ctx, rows, columns, nothing="there are no service accounts")


@command(app, example="outgate service-account create mail-tool --key-file mail-tool.json")
def create(ctx: CommandContext, name: Name, key_file: KeyFile) -> None:
    """Make a service account, and write its first key to a file. The key can't be had again.

    It may do nothing until scopes are granted to it.
    """
    token_uri = _token_uri(ctx)
    with _new_key(ctx, key_file) as (op, out):
        made, key = service_account_operations.create(op, name, ctx.installation().config.hostname)
        _write(out, made, key, token_uri)
    _tell(ctx, key_file, made, f"made the service account {made.email}, client id {made.client_id}")


@command(app, example="outgate service-account rotate mail-tool --key-file mail-tool-2.json")
def rotate(ctx: CommandContext, name: Which, key_file: KeyFile) -> None:
    """Write a further key. The former ones are good until they are revoked."""
    token_uri = _token_uri(ctx)
    with _new_key(ctx, key_file) as (op, out):
        found, key = service_account_operations.rotate(op, name)
        _write(out, found, key, token_uri)
    _tell(ctx, key_file, found, f"{found.email} has the new key {key.key_id}")


@command(
    app,
    example="outgate service-account revoke mail-tool --key 3f1c9ad0\noutgate service-account revoke mail-tool --all",
)
def revoke(
    ctx: CommandContext,
    name: Which,
    key: Annotated[
        str | None, typer.Option("--key", help="The key's id, or as much of it as only one has", metavar="ID")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="The service account itself, with all it has")] = False,
) -> None:
    """Revoke a key, or take the whole service account away. Tokens that were had by it end at once."""
    if everything == (key is not None):
        raise typer.BadParameter("say which key to revoke (--key ID), or --all")
    if everything:
        with ctx.writing() as op:
            removed = service_account_operations.remove(op, name)
        tell(ctx, _row(removed), f"took the service account {removed.email} away")
        return
    with ctx.writing() as op:
        found = service_account_operations.revoke_key(op, name, _whole_key(ctx, name, key or ""))
    tell(ctx, _row(found), f"revoked a key of {found.email}; {len(found.keys)} are left")


@command(
    app,
    example="outgate service-account grant mail-tool --scope gmail.settings.sharing --scope gmail.send\n"
    "outgate service-account grant mail-tool --none",
)
def grant(
    ctx: CommandContext,
    name: Which,
    scopes: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help=f"A scope that is served here; {_PREFIX} may be left out. Give it again for more",
            metavar="SCOPE",
        ),
    ] = None,
    nothing: Annotated[bool, typer.Option("--none", help="Take all scopes away")] = False,
) -> None:
    """Say what a service account may do as any user: these scopes and no others (domain-wide delegation).

    Its tokens end; it gets new ones of what it may do now.
    """
    if nothing == bool(scopes):
        raise typer.BadParameter("say which scopes to grant (--scope SCOPE), or --none")
    with ctx.writing() as op:
        found = service_account_operations.grant(op, name, [_scope(one) for one in scopes or ()])
    told = "\n".join(f"  {one}" for one in found.scopes) or "  nothing"
    tell(ctx, _row(found), f"{found.email} may do as any user:\n{told}")


def _whole_key(ctx: CommandContext, name: str, begin: str) -> str:
    with ctx.reading() as op:
        accounts = service_account_operations.list_accounts(op)
    held = [key for one in accounts if name in (one.name, one.email, one.client_id) for key in one.keys]
    found = [key for key in held if begin and key.startswith(begin)]
    if len(found) > 1:
        raise Invalid(f"{len(found)} keys begin with {begin[:80]}; give more of the key's id")
    return found[0] if found else begin


def _scope(text: str) -> str:
    """One that is served, whole, of how people write it: `gmail.send`, `mail.google.com`. Raises Invalid."""
    known = {_short(scope): scope for surface in SURFACES for scope in surface.scopes}
    if _short(text) not in known:
        raise Invalid(
            "'{scope}' is not a scope that is served here; these are: {known}", scope=text[:80], known=", ".join(known)
        )
    return known[_short(text)]


def _short(scope: str) -> str:
    return scope.removeprefix(_PREFIX).removeprefix("https://").removesuffix("/")


def _token_uri(ctx: CommandContext) -> str:
    url = ctx.installation().config.web.public_url
    if not url:
        raise Invalid("programs must know where this server is: set web.public_url in outgate.toml first")
    return f"{url.rstrip('/')}/token"


@contextmanager
def _new_key(ctx: CommandContext, file: Path) -> Iterator[tuple[OperationContext, TextIO]]:
    """A transaction that makes a key, and where to write it before the key counts."""
    with _created(file) as out, ctx.writing_one_of_many() as op:
        yield op, out
    ctx.tell_behind(propagation.wait(ctx.installation().engine))  # what ends here takes no file away


@contextmanager
def _created(file: Path) -> Iterator[TextIO]:
    """The key's file, made before there is a key: if it can't be, nothing else is; and if nothing is, nor is it.

    Raises AlreadyExists, Invalid.
    """
    if file == Path("-"):
        yield sys.stdout
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise AlreadyExists(f"{file} is there already; give another name for the key's file") from None
    except OSError as error:
        raise Invalid(f"{file} can't be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w") as out:
            yield out
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _write(out: TextIO, account: ServiceAccount, key: NewKey, token_uri: str) -> None:
    """In the form that Google's libraries read."""
    text = json.dumps(
        {
            "type": "service_account",
            "project_id": "outgate",
            "private_key_id": key.key_id,
            "private_key": key.private_key,
            "client_email": account.email,
            "client_id": account.client_id,
            "auth_uri": f"{token_uri.removesuffix('/token')}/authorize",
            "token_uri": token_uri,
        },
        indent=2,
    )
    out.write(f"{text}\n")
    out.flush()


def _tell(ctx: CommandContext, file: Path, account: ServiceAccount, text: str) -> None:
    if file != Path("-"):
        tell(ctx, _row(account), f"{text}\nits key is in {file}, which nobody but you may read; it is not shown again")


def _row(account: ServiceAccount) -> JsonObject:
    return {
        "name": account.name,
        "email": account.email,
        "client_id": account.client_id,
        "created_at": iso(account.created_at),
        "keys": list(account.keys),
        "scopes": list(account.scopes),
    }
