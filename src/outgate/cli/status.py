"""Exit statuses, and how an error is told. Knows no room: `outgate --help` needs it."""

import json
from enum import IntEnum

import typer

from outgate.printable import printable_lines


class Status(IntEnum):
    """What a script learns from `$?`. The names are the codes of errors in --json mode, in lower case."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_FOUND = 3
    ALREADY_EXISTS = 4
    INVALID = 5
    NOT_ALLOWED = 6
    UNAVAILABLE = 7
    CHECK_FAILED = 8
    NOT_IN_FORCE = 9


MEANING = {
    Status.OK: "done",
    Status.UNEXPECTED: "an unexpected error, which is a bug: `outgate --traceback COMMAND` shows where",
    Status.USAGE: "the command line is wrong",
    Status.NOT_FOUND: "there is no such thing",
    Status.ALREADY_EXISTS: "it is there already",
    Status.INVALID: "what was given is not well-formed, or contradicts the state of things",
    Status.NOT_ALLOWED: "policy, or the nature of the thing, forbids it",
    Status.UNAVAILABLE: "data directory, configuration, key file, certificate, database, LDAP or port can't be used",
    Status.CHECK_FAILED: "a check failed: a gateway that was tried, or the demonstration",
    Status.NOT_IN_FORCE: "saved, but mail that was decided before is still being handed over and can't be called back",
}


def tell_error(status: Status, text: str, *, as_json: bool) -> None:
    """One line on standard error; an object in --json mode."""
    if as_json:
        typer.echo(json.dumps({"error": {"code": status.name.lower(), "message": text}}), err=True)
    else:
        typer.echo(f"outgate: {printable_lines(text)}", err=True)
