"""A header is made to name all recipients, and a message that would go to others is refused."""

import pytest

from outgate.mail.blind_copies import NotAddressable, addressed

HEADER = b"From: a@example.com\r\nTo: Bob <BOB@Example.com>, team: carol@example.com;\r\nCc: dave@example.com\r\n\r\n"
NAMED = ["bob@example.com", "carol@example.com", "dave@example.com"]


@pytest.mark.parametrize(
    ("header", "recipients", "field"),
    [
        (HEADER, NAMED, b""),
        (HEADER, [*NAMED, "Erin@example.com"], b"Bcc: Erin@example.com\r\n"),
        (HEADER, [*NAMED, "Erin@example.com", "erin@EXAMPLE.com"], b"Bcc: erin@EXAMPLE.com\r\n"),
        (
            b"To: undisclosed-recipients:;\r\n",
            ["x@example.com", "y@example.com"],
            b"Bcc: x@example.com, y@example.com\r\n",
        ),
        (b"To:\r\nCc: \r\n\r\n", ["x@bücher.example"], b"Bcc: x@xn--bcher-kva.example\r\n"),
        (b"From: a@example.com", ["jörg@example.com"], "Bcc: jörg@example.com\r\n".encode()),
    ],
    ids=["all named", "one more", "one more, twice", "nobody named", "empty fields", "not in US-ASCII"],
)
def test_who_is_not_named_is_put_into_bcc(header: bytes, recipients: list[str], field: bytes) -> None:
    header = header if header.endswith(b"\r\n") else header + b"\r\n"
    assert addressed(header, recipients) == field + header


def test_a_long_field_is_folded() -> None:
    many = [f"recipient-number-{number}@recipient.example" for number in range(400)]
    field = addressed(b"From: a@example.com\r\n\r\n", many).removesuffix(b"From: a@example.com\r\n\r\n")
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert field.replace(b"\r\n", b"").removeprefix(b"Bcc: ").split(b", ") == [one.encode() for one in many]


@pytest.mark.parametrize(
    ("header", "recipients", "reason"),
    [
        (HEADER, NAMED[:2], "dave@example.com is not among those that this message is for"),
        (b"To: " + b", ".join(b"p%d@x.example" % n for n in range(7)) + b"\r\n", ["q@x.example"], "and others is not"),
        (b"Resent-To: b@example.com\r\nTo: b@example.com\r\n", ["b@example.com"], "sent again"),
        (b"To: <b@example.com\r\n", ["b@example.com"], "its To field can't be read"),
    ],
    ids=["one too many", "many too many", "resent", "unreadable"],
)
def test_what_would_go_to_others_is_refused(header: bytes, recipients: list[str], reason: str) -> None:
    with pytest.raises(NotAddressable, match=reason):
        addressed(header, recipients)
