"""What the decisions need to know of a submitted header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.mail.header_check import MessageFault, examine, split_message

FROM = b"From: Alice <Alice@Partner.Example>\r\n"


def test_from_and_sender_are_in_compared_form() -> None:
    examined = examine(FROM + b"Sender: BOB@example.com\r\nReceived: x\r\nReceived: y\r\n")
    assert examined.header_from == ("alice@partner.example",)
    assert examined.sender == "bob@example.com"
    assert examined.received_count == 2
    assert not examined.has_utf8


def test_the_empty_line_at_the_end_is_optional() -> None:
    assert examine(FROM) == examine(FROM + b"\r\n")


def test_all_from_addresses_are_named_in_order() -> None:
    examined = examine(b"From: Alice <a@x>, team: b@y, c@z;\r\n")
    assert examined.header_from == ("a@x", "b@y", "c@z")


@pytest.mark.parametrize("text", [b"Sender: nobody\r\n", b"Sender: a@x, b@y\r\n"])
def test_a_sender_that_is_not_one_address_counts_as_none(text: bytes) -> None:
    assert examine(FROM + text).sender is None


@pytest.mark.parametrize("name", ["From", "Sender", "Date", "Message-ID", "To", "Cc", "Subject", "Reply-To"])
def test_fields_that_occur_once_may_not_occur_twice(name: str) -> None:
    once = f"{name}: a@x\r\n".encode()
    header = once if name == "From" else FROM + once
    assert examine(header)
    with pytest.raises(MessageFault, match=f"more than one {name} field"):
        examine(header + once.lower())


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (b"", "has no From field"),
        (b"\r\n", "has no From field"),
        (b"Subject: x\r\n", "has no From field"),
        (b"From: \r\n", "From field can't be read"),
        (b"From: a@x b@y\r\n", "From field can't be read"),
        (b"From: nobody:;\r\n", "names no address"),
        (FROM + b"X: \xff\r\n", "not valid UTF-8"),
        (FROM + b"X: \x00\r\n", "NUL"),
        (FROM + b"no field\r\n", "line 2"),
        (b"From : a@x\r\n", "white space before the colon"),
        (b"From\r\n : a@x\r\n", "line 1"),
        (FROM + b"\r\n\r\n", "line 2"),
        (b" From: b@y\r\n" + FROM, "line 1"),
    ],
)
def test_faults_are_named(header: bytes, fault: str) -> None:
    with pytest.raises(MessageFault, match=fault) as error:
        examine(header)
    assert error.value.status == "5.6.0"


def test_utf8_in_the_header_is_known() -> None:
    assert examine("From: Jörg <jörg@bücher.example>\r\n".encode()).header_from == ("jörg@xn--bcher-kva.example",)
    assert examine(FROM + "Subject: grüß\r\n".encode()).has_utf8


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_examined_or_refused(before: bytes, after: bytes) -> None:
    try:
        examined = examine(before + FROM + after)
    except MessageFault as fault:
        assert str(fault).isprintable()  # noqa: PT017 -- either way is right, but the text must be fit for a reply
    else:
        assert examined.header_from


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        (b"", None),
        (b"\r", None),
        (b"\r\n", 2),
        (b"\r\nbody", 2),
        (b"A: b\r\n", None),
        (b"A: b\r\n\r", None),
        (b"A: b\r\n\r\n", 8),
        (b"A: b\r\n\r\nbody\r\n\r\n", 8),
        (b"A: b\n\nbody", None),
    ],
)
def test_the_header_ends_at_the_first_empty_line(prefix: bytes, end: int | None) -> None:
    assert split_message(prefix) == end
