"""`outgate secrets`: the keys that stored passwords and DKIM keys are sealed with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outgate.cli.output import JsonObject, record, table, tell
from outgate.cli.shell import CommandContext, command

if TYPE_CHECKING:
    from outgate.installation import Installation
    from outgate.secretscan.encodings import Secret
    from outgate.secretscan.search import Search, Searched

app = typer.Typer(
    no_args_is_help=True, help="The key file: what gateways' passwords and DKIM keys are encrypted with at rest."
)


@command(app, example="outgate secrets status")
def status(ctx: CommandContext) -> None:
    """Show where the keys come from, their ids, which is in use, and how much each has sealed. Never the keys."""
    from outgate.installation import KEY_FILE
    from outgate.store import keysource, sealed
    from outgate.store.engine import read

    installation = ctx.installation()
    source = keysource.source(ctx.data / KEY_FILE, command=installation.config.secret_key_command)
    keys = list(source.read())
    with read(installation.engine) as connection:
        counted = sealed.count_by_key(connection)
    record(
        ctx,
        {
            "source": source.name,
            "current": keys[-1],
            "keys": keys,
            "rotation_unfinished": len(keys) > 1,
            "sealed_by_key": {key_id: counted.pop(key_id, 0) for key_id in keys} | counted,
        },
    )


@command(app, example="outgate secrets rotate")
def rotate(ctx: CommandContext) -> None:
    """Make a new key, seal everything anew with it, and remove the old one.

    Keys that come from the environment or a command are yours to change: with two of them, everything is sealed anew
    with the last one. A server that is running goes on. Codes that wait to be entered lapse: have them sent again
    (`outgate sendas resend`). Safe to interrupt: run it again. Make a new copy of the key file afterwards.
    """
    from outgate.installation import KEY_FILE
    from outgate.operations import domain_operations
    from outgate.store import rotation

    _require(ctx, "secrets.rotate")
    installation = ctx.installation()
    done = rotation.rotate(installation.engine, ctx.data / KEY_FILE, command=installation.config.secret_key_command)
    with ctx.writing() as op:
        domain_operations.rotated(op, done.key_id, done.resealed)
    value: JsonObject = {"current": done.key_id, "resealed": done.resealed}
    tell(ctx, value, f"the key is {done.key_id} now; {done.resealed} secrets were sealed anew")


@command(
    app,
    example="outgate secrets audit --log /var/log/outgate.log\n"
    "outgate secrets audit --secret-file passwords-of-test-users --json",
)
def audit(
    ctx: CommandContext,
    log: Annotated[list[Path] | None, typer.Option(help="A log file to look into")] = None,
    secret_file: Annotated[list[Path] | None, typer.Option(help="More secrets to look for, one a line")] = None,
    pid: Annotated[list[int] | None, typer.Option(help="A process of the server; else all of them are found")] = None,
) -> None:
    """Look for every known secret in the database, its files, logs, and the memory of the running server.

    Known are gateways' passwords, DKIM keys, the keys of the vault, the password for LDAP and what `--secret-file`
    names; each raw, in base64, hex, UTF-16, URL-encoded, in JSON and in SASL PLAIN. Shows places and counts, never a
    secret. Ends with 8 when something was found. The memory can be read by root. See docs/secrets.md.
    """
    from outgate.cli.status import CheckFailed
    from outgate.installation import LOCK_FILE
    from outgate.operations import domain_operations
    from outgate.secretscan import scan, scan_targets
    from outgate.secretscan.search import Search

    _require(ctx, "secrets.audit")
    installation = ctx.installation()
    search = Search(_known(ctx, installation, secret_file or []))
    pids = pid or scan_targets.holders(ctx.data / LOCK_FILE)
    try:
        searched = list(scan.look(installation.engine, search, log or [], pids))
    except scan_targets.NotReadable as error:
        raise CheckFailed(str(error)) from None
    _show(ctx, search, searched, [] if pids else ["memory: no server is running"])
    found = sum(finding.count for one in searched for finding in one.findings)
    with ctx.writing() as op:
        domain_operations.searched(op, found)
    if found:
        raise CheckFailed(f"secrets were found in the open, {found} times")


def _require(ctx: CommandContext, operation: str) -> None:
    """Both are recorded when they are done; whether they may be is to be known before."""
    from outgate.operations import targets
    from outgate.operations.operation import OPERATIONS

    with ctx.reading() as op:
        op.require(OPERATIONS[operation], targets.organisation(op.connection))


def _known(ctx: CommandContext, installation: "Installation", files: list[Path]) -> list["Secret"]:
    from outgate.installation import KEY_FILE
    from outgate.secretscan import sources
    from outgate.store import keysource
    from outgate.store.engine import read

    settings = installation.config
    source = keysource.source(ctx.data / KEY_FILE, command=settings.secret_key_command)
    with read(installation.engine) as connection:
        secrets = [*sources.of_keys(source.read()), *sources.of_vault(connection, installation.vault)]
    if settings.ldap.bind_password_file:
        # The server needs it for every search, so its memory may have it.
        path = settings.path(settings.ldap.bind_password_file)
        secrets += sources.of_file(path, "ldap.bind_password_file", in_memory=False)
    for path in files:
        secrets += sources.of_file(path, path.name)
    return secrets


def _show(ctx: CommandContext, search: "Search", searched: list["Searched"], not_searched: list[str]) -> None:
    rows: list[JsonObject] = [
        {
            "place": one.place,
            "bytes": one.size,
            "found": sum(finding.count for finding in one.findings),
            "findings": [
                {"secret": f.secret, "form": f.form, "count": f.count, "offsets": f.offsets} for f in one.findings
            ],
        }
        for one in searched
    ]
    if ctx.json:
        tell(ctx, {"places": rows, "too_short": search.too_short, "not_searched": not_searched}, "")
        return
    table(ctx, rows, {"place": "place", "bytes": "bytes", "found": "found", "findings": "what and where"}, nothing="")
    for name in search.too_short:
        typer.echo(f"not looked for, since it is too short: {name}")
    for words in not_searched:
        typer.echo(f"not looked at: {words}")
