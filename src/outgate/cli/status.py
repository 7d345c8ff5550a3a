"""Exit statuses: the codes of errors (operations.error_codes) as numbers, what only a command line has, and how an
error is told.
"""

import json
from enum import IntEnum
from typing import NoReturn

import typer


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
}


def status_of(error: Exception) -> Status | None:
    """The status of an error that people are told about; None for one that is a bug.

    What keeps the program from starting is the command line's own; of all else the operations say what it is.
    """
    # Imported here, since `outgate --help` needs the statuses and none of these.
    from outgate.accept.tls import CertificateError
    from outgate.config import ConfigError
    from outgate.installation import InstallationError
    from outgate.operations.error_codes import code_of

    if isinstance(error, InstallationError | ConfigError | CertificateError):
        return Status.UNAVAILABLE
    code = code_of(error)
    return Status[code.name] if code else None


def fail(error: Exception, *, as_json: bool) -> NoReturn:
    """Tell of an error and end with its status."""
    from outgate.operations.error_codes import text_of

    status = status_of(error)
    text = text_of(error) if status else f"unexpected error: {type(error).__name__}: {text_of(error)}"
    tell_error(status or Status.UNEXPECTED, text, as_json=as_json)
    raise typer.Exit(status or Status.UNEXPECTED)


def tell_error(status: Status, text: str, *, as_json: bool) -> None:
    """One line on standard error; an object in --json mode."""
    if as_json:
        typer.echo(json.dumps({"error": {"code": status.name.lower(), "message": text}}), err=True)
    else:
        typer.echo(f"outgate: {text}", err=True)
