"""`outgate secrets`: the keys that stored passwords and DKIM keys are sealed with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outgate.commands.command import Here, command
from outgate.commands.output import record, table, tell

if TYPE_CHECKING:
    from outgate.leaks.forms import Secret
    from outgate.leaks.search import Search, Searched
    from outgate.wiring import Place

app = typer.Typer(
    no_args_is_help=True, help="The key file: what gateways' passwords and DKIM keys are encrypted with at rest."
)


@command(app, example="outgate secrets status")
def status(here: Here) -> None:
    """Show where the keys come from, their ids, which is in use, and how much each has sealed. Never the keys."""
    from outgate.store import keysource, sealed
    from outgate.store.engine import read
    from outgate.wiring import KEY_FILE

    place = here.place()
    source = keysource.source(here.data / KEY_FILE, command=place.config.secret_key_command)
    keys = list(source.read())
    with read(place.engine) as connection:
        counted = sealed.count_by_key(connection)
    record(
        here,
        {
            "source": source.name,
            "current": keys[-1],
            "keys": keys,
            "rotation_unfinished": len(keys) > 1,
            "sealed_by_key": {key_id: counted.pop(key_id, 0) for key_id in keys} | counted,
        },
    )


@command(app, example="outgate secrets rotate")
def rotate(here: Here) -> None:
    """Make a new key, seal everything anew with it, and remove the old one.

    Keys that come from the environment or a command are yours to change: with two of them, everything is sealed anew
    with the last one. A server that is running goes on. Codes that wait to be entered lapse: have them sent again
    (`outgate sendas resend`). Safe to interrupt: run it again. Make a new copy of the key file afterwards.
    """
    from outgate.control import domains
    from outgate.store import rotation
    from outgate.wiring import KEY_FILE

    _require(here, "secrets.rotate")
    place = here.place()
    done = rotation.rotate(place.engine, here.data / KEY_FILE, command=place.config.secret_key_command)
    with here.acting() as act:
        domains.rotated(act, done.key_id, done.resealed)
    value = {"current": done.key_id, "resealed": done.resealed}
    tell(here, value, f"the key is {done.key_id} now; {done.resealed} secrets were sealed anew")


@command(
    app,
    example="outgate secrets audit --log /var/log/outgate.log\n"
    "outgate secrets audit --secret-file passwords-of-test-users --json",
)
def audit(
    here: Here,
    log: Annotated[list[Path] | None, typer.Option(help="A log file to look into")] = None,
    secret_file: Annotated[list[Path] | None, typer.Option(help="More secrets to look for, one a line")] = None,
    pid: Annotated[list[int] | None, typer.Option(help="A process of the server; else all of them are found")] = None,
) -> None:
    """Look for every known secret in the database, its files, logs, and the memory of the running server.

    Known are gateways' passwords, DKIM keys, the keys of the vault, the password for LDAP and what `--secret-file`
    names; each raw, in base64, hex, UTF-16, URL-encoded, in JSON and in SASL PLAIN. Shows places and counts, never a
    secret. Ends with 8 when something was found. The memory can be read by root. See docs/secrets.md.
    """
    from outgate.commands.status import CheckFailed
    from outgate.control import domains
    from outgate.leaks import audit, places
    from outgate.leaks.search import Search
    from outgate.wiring import LOCK_FILE

    _require(here, "secrets.audit")
    place = here.place()
    search = Search(_known(here, place, secret_file or []))
    pids = pid or places.holders(here.data / LOCK_FILE)
    try:
        searched = list(audit.look(place.engine, search, log or [], pids))
    except places.NotReadable as error:
        raise CheckFailed(str(error)) from None
    _show(here, search, searched, [] if pids else ["memory: no server is running"])
    found = sum(finding.count for one in searched for finding in one.findings)
    with here.acting() as act:
        domains.searched(act, found)
    if found:
        raise CheckFailed(f"secrets were found in the open, {found} times")


def _require(here: Here, operation: str) -> None:
    """Both are recorded when they are done; whether they may be is to be known before."""
    from outgate.control import targets
    from outgate.control.operation import OPERATIONS

    with here.looking() as act:
        act.require(OPERATIONS[operation], targets.organisation(act.connection))


def _known(here: Here, place: "Place", files: list[Path]) -> list["Secret"]:
    from outgate.leaks import known
    from outgate.store import keysource
    from outgate.store.engine import read
    from outgate.wiring import KEY_FILE

    settings = place.config
    source = keysource.source(here.data / KEY_FILE, command=settings.secret_key_command)
    with read(place.engine) as connection:
        secrets = [*known.of_keys(source.read()), *known.of_vault(connection, place.vault)]
    if settings.ldap.bind_password_file:
        # The server needs it for every search, so its memory may have it.
        path = settings.path(settings.ldap.bind_password_file)
        secrets += known.of_file(path, "ldap.bind_password_file", in_memory=False)
    for path in files:
        secrets += known.of_file(path, path.name)
    return secrets


def _show(here: Here, search: "Search", searched: list["Searched"], not_searched: list[str]) -> None:
    rows = [
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
    if here.json:
        tell(here, {"places": rows, "too_short": search.too_short, "not_searched": not_searched}, "")
        return
    table(here, rows, {"place": "place", "bytes": "bytes", "found": "found", "findings": "what and where"}, nothing="")
    for name in search.too_short:
        typer.echo(f"not looked for, since it is too short: {name}")
    for words in not_searched:
        typer.echo(f"not looked at: {words}")
