"""Which error has which code: the names under which every face tells of what went wrong."""

import os
from enum import StrEnum
from typing import Final

from outgate.directory import errors
from outgate.directory.source import SourceUnavailable
from outgate.mail.addresses import AddressError
from outgate.mail.header_check import MessageFault
from outgate.mailbox.user_mailbox import MailboxUnavailable
from outgate.store.engine import StoreError
from outgate.store.keyfile import KeyFileError
from outgate.store.vault import SealBroken


class ErrorCode(StrEnum):
    """What a program learns of an error."""

    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    INVALID = "invalid"
    NOT_ALLOWED = "not_allowed"
    UNAVAILABLE = "unavailable"
    CHECK_FAILED = "check_failed"


class CheckFailed(Exception):
    """What was tried does not work; the text says why."""


_CODES: Final[tuple[tuple[tuple[type[Exception], ...], ErrorCode], ...]] = (
    ((CheckFailed,), ErrorCode.CHECK_FAILED),
    ((errors.NotFound,), ErrorCode.NOT_FOUND),
    ((errors.AlreadyExists,), ErrorCode.ALREADY_EXISTS),
    ((errors.NotAllowed,), ErrorCode.NOT_ALLOWED),
    ((errors.DirectoryError, AddressError, MessageFault), ErrorCode.INVALID),
    ((StoreError, KeyFileError, SealBroken, SourceUnavailable, MailboxUnavailable, OSError), ErrorCode.UNAVAILABLE),
)


def code_of(error: Exception) -> ErrorCode | None:
    """The code of an error that people are told about; None for one that is a bug."""
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), None)


def text_of(error: Exception) -> str:
    """The error in words, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else os.strerror(error.errno or 0)
    return "; ".join(str(error).splitlines())
