"""Exit statuses, and which error has which: the one list of both."""

import os
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


class CheckFailed(Exception):
    """What was tried does not work; the text says why."""


def status_of(error: Exception) -> Status | None:
    """The status of an error that people are told about; None for one that is a bug."""
    # Imported here: nothing of this is needed as long as nothing fails.
    from outgate.accept.tls import CertificateError
    from outgate.config import ConfigError
    from outgate.directory import errors
    from outgate.directory.source import SourceUnavailable
    from outgate.extras import MissingExtra
    from outgate.mail.addresses import AddressError
    from outgate.mail.header_check import MessageFault
    from outgate.store.engine import StoreError
    from outgate.store.keyfile import KeyFileError
    from outgate.store.vault import SealBroken
    from outgate.wiring import InstallationError

    unavailable = (
        *(InstallationError, ConfigError, StoreError, KeyFileError, SealBroken, CertificateError),
        *(SourceUnavailable, MissingExtra, OSError),
    )
    for kinds, status in (
        ((CheckFailed,), Status.CHECK_FAILED),
        ((errors.NotFound,), Status.NOT_FOUND),
        ((errors.AlreadyExists,), Status.ALREADY_EXISTS),
        ((errors.NotAllowed,), Status.NOT_ALLOWED),
        ((errors.DirectoryError, AddressError, MessageFault), Status.INVALID),
        (unavailable, Status.UNAVAILABLE),
    ):
        if isinstance(error, kinds):
            return status
    return None


def text_of(error: Exception) -> str:
    """The error in words, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else os.strerror(error.errno or 0)
    return "; ".join(str(error).splitlines())
