"""Exit statuses: the codes of errors (operations.error_codes) as numbers, and what only a command line has."""

from enum import IntEnum


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
    # Imported here: nothing of this is needed as long as nothing fails.
    from outgate.accept.tls import CertificateError
    from outgate.config import ConfigError
    from outgate.operations.error_codes import code_of
    from outgate.wiring import InstallationError

    if isinstance(error, InstallationError | ConfigError | CertificateError):
        return Status.UNAVAILABLE
    code = code_of(error)
    return Status[code.name] if code else None
