"""`outgate program`: programs that users let act for them, on the users' own machines."""

from typing import Annotated

import typer

from outgate.cli.output import JsonObject, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.errors import Invalid
from outgate.directory.program_consents import ProgramConsent
from outgate.directory.programs import RegisteredProgram
from outgate.iso_time import iso
from outgate.operations import program_operations

app = typer.Typer(
    no_args_is_help=True,
    help="Programs that users let act for them by the API, after a page has asked them.",
)

Name = Annotated[str, typer.Argument(help="The program's name", metavar="NAME", show_default=False)]
User = Annotated[str, typer.Argument(help="The user's primary address", metavar="USER", show_default=False)]


@command(app, name="list", example="outgate program list")
def list_(ctx: CommandContext) -> None:
    """List the programs that users may let act for them."""
    with ctx.reading() as op:
        rows = [_row(one) for one in program_operations.list_programs(op)]
    columns = {"name": "name", "client_id": "client id", "redirect_uris": "led back to", "created_at": "registered"}
    table(ctx, rows, columns, nothing="there are no programs")


@command(app, example="outgate program register mail-tool --redirect-uri http://127.0.0.1/done")
def register(
    ctx: CommandContext,
    name: Name,
    redirect_uris: Annotated[
        list[str],
        typer.Option(
            "--redirect-uri",
            help="Where the program is led back to: https, or http on the user's own machine, there at any port. Give"
            " it again for more",
            metavar="URI",
        ),
    ],
) -> None:
    """Register a program. It has no secret: users are asked, and it shows by PKCE that it is the one that asked."""
    base = ctx.installation().config.web.public_url.rstrip("/")
    if not base:
        raise Invalid("web.public_url is not set: there is no page that could ask users")
    with ctx.writing() as op:
        made = program_operations.register(op, name, redirect_uris)
    row = _row(made) | {"auth_uri": f"{base}/authorize", "token_uri": f"{base}/token"}
    tell(ctx, row, f"registered {made.name}\n  client id: {made.client_id}\n  users are asked at {base}/authorize")


@command(app, example="outgate program remove mail-tool")
def remove(ctx: CommandContext, name: Name) -> None:
    """Take a program away. What users have let it do ends at once."""
    with ctx.writing() as op:
        removed = program_operations.remove(op, name)
    tell(ctx, _row(removed), f"took the program {removed.name} away")


@command(app, example="outgate program consents alice@example.com")
def consents(ctx: CommandContext, user: User) -> None:
    """List the programs that a user lets act for them."""
    with ctx.reading() as op:
        rows = [_consent_row(one) for one in program_operations.list_consents(op, user)]
    columns = {"id": "id", "program": "program", "scopes": "may", "created_at": "since", "used_at": "last token"}
    table(ctx, rows, columns, nothing=f"{user} lets no program act for them")


@command(app, example="outgate program end alice@example.com 3")
def end(
    ctx: CommandContext,
    user: User,
    consent: Annotated[int, typer.Argument(help="As `consents` shows it", metavar="ID", show_default=False)],
) -> None:
    """Let a program act for a user no more."""
    with ctx.writing() as op:
        ended = program_operations.end_consent(op, user, consent)
    tell(ctx, _consent_row(ended), f"{ended.program} acts for {user} no more")


def _row(one: RegisteredProgram) -> JsonObject:
    return {
        "name": one.name,
        "client_id": one.client_id,
        "redirect_uris": list(one.redirect_uris),
        "created_at": iso(one.created_at),
    }


def _consent_row(one: ProgramConsent) -> JsonObject:
    return {
        "id": one.id,
        "program": one.program,
        "scopes": list(one.scopes),
        "created_at": iso(one.created_at),
        "used_at": iso(one.used_at) if one.used_at else None,
    }
