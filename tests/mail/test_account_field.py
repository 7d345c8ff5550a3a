"""Whose message a server in front says it is, and that nobody else can say so."""

import pytest

from outgate.mail.account_field import without_account_field

NAME = b"x-account"
OWN = b"Received: from desk by front; date\r\n"
REST = b"From: alice@example.com\r\nSubject: x\r\n"


@pytest.mark.parametrize("end", [b"", b"\r\n"])
@pytest.mark.parametrize(
    ("above", "below", "account"),
    [
        (b"X-Account: alice@example.com\r\n", b"", "alice@example.com"),
        (b"x-ACCOUNT:\r\n <j\xc3\xb6rg@example.com>\r\n", b"X-Account: boss@example.com\r\n", "j\xf6rg@example.com"),
        (b"", b"X-Account: boss@example.com\r\n", ""),
        (b"X-Account: a@example.com\r\nX-Account: b@example.com\r\n", b"", ""),
        (b"", b"", ""),
    ],
)
def test_the_field_counts_above_the_servers_own_received_and_is_gone(
    above: bytes, below: bytes, account: str, end: bytes
) -> None:
    assert without_account_field(above + OWN + below + REST + end, NAME) == (OWN + REST + end, account)


def test_without_a_received_nobody_is_named() -> None:
    assert without_account_field(b"X-Account: boss@example.com\r\n" + REST, NAME) == (REST, "")


def test_a_header_that_can_not_be_read_stays_for_who_refuses_it() -> None:
    broken = b"X-Account: boss@example.com\r\nno field\r\n" + OWN
    assert without_account_field(broken, NAME) == (broken, "")
