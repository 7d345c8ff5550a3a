"""Dots and line ends, checked by the standard library's SMTP client and by going line by line."""

import smtplib

from hypothesis import given
from hypothesis import strategies as st

from outgate.smtp.content import ContentCheck, DotReader, DotWriter

WIRE = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"\0", b"b" * 9, b"\xff"]), max_size=40).map(
    b"".join
)
CLEAN = st.lists(st.sampled_from([b"\r\n", b".", b"a", b"..", b"\r\n."]), max_size=40).map(b"".join)


def cut(data: bytes, marks: list[int]) -> list[bytes]:
    ends = sorted({min(mark, len(data)) for mark in marks} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(CLEAN, st.lists(st.integers(0, 60)))
def test_what_was_stuffed_comes_out_as_it_was(content: bytes, marks: list[int]) -> None:
    writer = DotWriter()
    wire = b"".join(map(writer.feed, cut(content, marks))) + writer.end()
    whole = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    assert wire == smtplib._quote_periods(whole) + b".\r\n"  # type: ignore[attr-defined] # the independent checker
    reader = DotReader()
    read = b""
    for piece in cut(wire + b"QUIT\r\n", marks):
        if reader.done:
            break
        released, _ = reader.feed(piece)
        read += released
    assert reader.done
    assert read == whole


@given(WIRE, st.lists(st.integers(0, 60)))
def test_faults_are_those_that_lines_show(content: bytes, marks: list[int]) -> None:
    check = ContentCheck(max_line=10, max_size=1000)
    for piece in cut(content, marks):
        check.feed(piece)
    check.end()
    lines = content.split(b"\r\n")
    bad = any(b"\r" in line or b"\n" in line or b"\0" in line or len(line) > 10 for line in lines)
    assert (check.fault is not None) is bad
    if not bad:
        assert check.eight_bit is not content.isascii()
        assert check.size == len(content)


@given(st.lists(st.integers(0, 14), min_size=1, max_size=20), st.lists(st.integers(0, 250)))
def test_the_first_long_line_is_named(lengths: list[int], marks: list[int]) -> None:
    check = ContentCheck(max_line=10, max_size=1000)
    for piece in cut(b"".join(b"x" * length + b"\r\n" for length in lengths), marks):
        check.feed(piece)
    number = next((number for number, length in enumerate(lengths, 1) if length > 10), None)
    assert (check.fault is not None) is (number is not None)
    if check.fault:
        assert check.fault.lines[0].startswith(f"Line {number} ")
