"""Cases that only generated input would reach: fixed, so that they are always tried."""

import pytest

from outgate.mail.addresses import is_role
from outgate.mail.attachments import _fields
from outgate.mail.mime_fields import TwoReadings


@pytest.mark.parametrize(
    ("address", "role"),
    [("postmaster@example.com", True), ("abuse@example.com", True), ("postmistress@example.com", False)],
)
def test_the_addresses_that_every_domain_must_have_are_known(address: str, role: bool) -> None:
    assert is_role(address) is role


@pytest.mark.parametrize("text", ["Content-X\r\n", "Content-Type : text/plain\r\n", "no field at all\r\n"])
def test_a_line_of_a_parts_header_that_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(TwoReadings):
        _fields(text)
