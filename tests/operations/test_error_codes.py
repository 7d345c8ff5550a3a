"""Which error has which code, and that every code has an exit status."""

import pytest

from outgate.cli.failure import status_of
from outgate.cli.status import Status
from outgate.directory.errors import AlreadyExists, DirectoryError, Invalid, NotAllowed, NotFound
from outgate.mail.addresses import AddressError
from outgate.mailbox.user_mailbox import MailboxUnavailable
from outgate.operations.error_codes import CheckFailed, ErrorCode, code_of, text_of
from outgate.store.engine import StoreError
from outgate.store.vault import SealBroken


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound(""), ErrorCode.NOT_FOUND),
        (AlreadyExists(""), ErrorCode.ALREADY_EXISTS),
        (NotAllowed(""), ErrorCode.NOT_ALLOWED),
        (Invalid(""), ErrorCode.INVALID),
        (DirectoryError(""), ErrorCode.INVALID),
        (AddressError(""), ErrorCode.INVALID),
        (CheckFailed(""), ErrorCode.CHECK_FAILED),
        (StoreError(""), ErrorCode.UNAVAILABLE),
        (SealBroken(""), ErrorCode.UNAVAILABLE),
        (MailboxUnavailable(""), ErrorCode.UNAVAILABLE),
        (OSError(), ErrorCode.UNAVAILABLE),
        (KeyError(""), None),
    ],
)
def test_an_error_has_its_code(error: Exception, code: ErrorCode | None) -> None:
    assert code_of(error) == code
    assert status_of(error) == (Status[code.name] if code else None)


def test_every_code_is_the_name_of_a_status() -> None:
    assert {code.value for code in ErrorCode} <= {status.name.lower() for status in Status}


def test_an_error_is_told_on_one_line() -> None:
    assert text_of(NotFound("first\nsecond")) == "first; second"
    assert text_of(FileNotFoundError(2, "No such file", "/somewhere")) == "/somewhere: No such file"
    assert text_of(OSError(28, "No space left on device")) == "No space left on device"
