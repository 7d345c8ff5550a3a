"""`outgate secrets`: the keys that stored passwords and DKIM keys are sealed with."""

from pathlib import Path
from typing import Annotated

import typer

from outgate.cli.output import JsonObject, record, table, tell
from outgate.cli.shell import CommandContext, command
from outgate.installation import KEY_FILE, LOCK_FILE
from outgate.operations import secret_operations
from outgate.operations.error_codes import CheckFailed
from outgate.operations.secret_operations import SearchResult
from outgate.secretscan import scan_targets, sources
from outgate.secretscan.encodings import Secret
from outgate.store import keysource, rotation
from outgate.store.keysource import KeySource

app = typer.Typer(
    no_args_is_help=True, help="The key file: what gateways' passwords and DKIM keys are encrypted with at rest."
)


@command(app, example="outgate secrets status")
def status(ctx: CommandContext) -> None:
    """Show where the keys come from, their ids, which is in use, and how much each has sealed. Never the keys."""
    with ctx.reading() as op:
        counted = secret_operations.count_by_key(op)
    source = _key_source(ctx)
    keys = list(source.read())
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
    installation = ctx.installation()
    command_line = installation.config.secret_key_command
    done = secret_operations.rotate(
        ctx, lambda: rotation.rotate(installation.engine, ctx.data / KEY_FILE, command=command_line)
    )
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
    pids = pid or scan_targets.holders(ctx.data / LOCK_FILE)
    given = _given(ctx, secret_file or [])
    result = secret_operations.search(ctx, ctx.installation().engine, given, log or [], pids)
    _show(ctx, result, [] if pids else ["memory: no server is running"])
    if result.found:
        raise CheckFailed(f"secrets were found in the open, {result.found} times")


def _key_source(ctx: CommandContext) -> KeySource:
    return keysource.source(ctx.data / KEY_FILE, command=ctx.installation().config.secret_key_command)


def _given(ctx: CommandContext, files: list[Path]) -> list[Secret]:
    """What files name: the vault's own keys, the password for LDAP, and what else is to be looked for."""
    settings = ctx.installation().config
    secrets = list(sources.of_keys(_key_source(ctx).read()))
    if settings.ldap.bind_password_file:
        # The server needs it for every search, so its memory may have it.
        path = settings.path(settings.ldap.bind_password_file)
        secrets += sources.of_file(path, "ldap.bind_password_file", in_memory=False)
    for path in files:
        secrets += sources.of_file(path, path.name)
    return secrets


def _show(ctx: CommandContext, result: SearchResult, not_searched: list[str]) -> None:
    rows: list[JsonObject] = [
        {
            "place": one.place,
            "bytes": one.size,
            "found": sum(finding.count for finding in one.findings),
            "findings": [
                {"secret": f.secret, "form": f.form, "count": f.count, "offsets": f.offsets} for f in one.findings
            ],
        }
        for one in result.places
    ]
    if ctx.json:
        tell(ctx, {"places": rows, "too_short": result.too_short, "not_searched": not_searched}, "")
        return
    table(ctx, rows, {"place": "place", "bytes": "bytes", "found": "found", "findings": "what and where"}, nothing="")
    for name in result.too_short:
        typer.echo(f"not looked for, since it is too short: {name}")
    for words in not_searched:
        typer.echo(f"not looked at: {words}")
