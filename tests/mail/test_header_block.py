"""Splitting header blocks into fields."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outgate.mail.headers import Field, HeaderError, format_date, split_fields, value


def test_fields_keep_their_bytes_and_order() -> None:
    block = b"Subject: a\r\n b\r\n\tc\r\nX-Empty:\r\nSUBJECT:again\r\n"
    assert split_fields(block) == [
        Field(b"subject", b"Subject: a\r\n b\r\n\tc\r\n"),
        Field(b"x-empty", b"X-Empty:\r\n"),
        Field(b"subject", b"SUBJECT:again\r\n"),
    ]
    assert [value(field) for field in split_fields(block)] == [b"a b\tc", b"", b"again"]
    assert split_fields(b"") == []


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (b" Subject: a\r\n", "line 1 of the header continues no field"),
        (b"A: b\r\nSubject : a\r\n", "line 2 of the header has white space before the colon"),
        (b"A: b\r\n c\r\nFrom\r\n : a\r\n", "line 3 of the header is not a header field"),
        (b"A: b\r\nno colon here\r\n", "line 2 of the header is not a header field"),
        ("Bétreff: a\r\n".encode(), "line 1 of the header is not a header field"),
        (b"A: b\r\n\r\nC: d\r\n", "line 2 of the header is not a header field"),
        (b"A: b", "line 1 of the header is not a header field"),
        (b": b\r\n", "line 1 of the header is not a header field"),
        (b"A: b\r\nC: d\nE: f\r\n", "line 2 has a bare CR or LF"),
        (b"A: b\rC: d\r\n", "line 1 has a bare CR or LF"),
        (b"A: b\n", "line 1 has a bare CR or LF"),
        (b"A: b\r\n\nC: d\r\n", "line 2 has a bare CR or LF"),
        (b"A: b\r\r\n", "line 1 has a bare CR or LF"),
    ],
)
def test_lines_that_are_no_field_are_refused_by_number(block: bytes, fault: str) -> None:
    with pytest.raises(HeaderError) as error:
        split_fields(block)
    assert fault in str(error.value)


PIECE = st.sampled_from(
    [b"From: a@x", b"Subject", b":", b" ", b"\t", b"\r\n", b"\r", b"\n", b"x", b"\xc3\xa9", b"\xff", b"\x00"]
)


@given(st.one_of(st.lists(PIECE).map(b"".join), st.binary()))
@example(b"A: b\r\n c\r\n")
@example(b"A: b\n\r\n")
def test_what_is_accepted_is_given_back_byte_for_byte(block: bytes) -> None:
    try:
        fields = split_fields(block)
    except HeaderError:
        return
    assert b"".join([field.raw for field in fields]) == block
    for field in fields:
        assert field.raw.lower().startswith(field.name + b":")
        assert field.raw.count(b"\r") == field.raw.count(b"\n") == field.raw.count(b"\r\n")
        assert b"\r" not in value(field)
        assert b"\n" not in value(field)


def test_dates_are_in_utc() -> None:
    assert format_date(0) == "Thu, 01 Jan 1970 00:00:00 +0000"


def test_a_long_line_without_a_colon_is_refused_at_once() -> None:
    with pytest.raises(HeaderError):
        split_fields(b"a" * 300_000 + b"\r\n")
