"""Which error has which exit status: the operations' codes (error_codes), and what only a command line meets."""

from typing import NoReturn

import typer

from outgate.accept.tls import CertificateError
from outgate.cli.status import Status, tell_error
from outgate.config import ConfigError
from outgate.extras import MissingExtra
from outgate.installation import InstallationError
from outgate.node_id import NodeIdError
from outgate.operations.error_codes import code_of, text_of


def status_of(error: Exception) -> Status | None:
    """The status of an error that people are told about; None for one that is a bug.

    What keeps the program from starting is the command line's own; of all else the operations say what it is.
    """
    if isinstance(error, InstallationError | ConfigError | CertificateError | MissingExtra | NodeIdError):
        return Status.UNAVAILABLE
    code = code_of(error)
    return Status[code.name] if code else None


def fail(error: Exception, *, as_json: bool) -> NoReturn:
    """Tell of an error and end with its status."""
    status = status_of(error)
    text = text_of(error) if status else f"unexpected error: {type(error).__name__}: {text_of(error)}"
    tell_error(status or Status.UNEXPECTED, text, as_json=as_json)
    raise typer.Exit(status or Status.UNEXPECTED)
