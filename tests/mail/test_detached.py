"""Files that are taken out of a message: the largest, no more than need be, and the rest byte for byte."""

import base64

import pytest

from outgate.mail import detached as module
from outgate.mail.detached import NotDetachable, detached

HEAD = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n"
TEXT = b"--x\r\n\r\nHello\r\n"
END = b"--x--\r\nepilogue\r\n"


def file(content: bytes, name: str = "a.bin", fields: bytes = b"") -> bytes:
    return (
        b"--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=" + name.encode()
        + b"\r\nContent-Transfer-Encoding: base64\r\n" + fields + b"\r\n"
        + base64.encodebytes(content).replace(b"\n", b"\r\n")
    )  # fmt: skip


SMALL, LARGE = file(b"s" * 100, "s.pdf"), file(b"l" * 1000, "l.pdf")


def test_the_largest_go_first_and_what_fits_stays() -> None:
    raw = HEAD + TEXT + LARGE + SMALL + END
    found = detached(raw, len(raw) - 1)
    assert found.rest == HEAD + TEXT + SMALL + END
    (one,) = found.files
    assert (one.name, one.media_type, one.size, b"".join(one.pieces(raw))) == (
        "l.pdf",
        "application/pdf",
        1000,
        b"l" * 1000,
    )
    both = detached(raw, len(HEAD + TEXT + END))
    assert (both.rest, [each.name for each in both.files]) == (HEAD + TEXT + END, ["l.pdf", "s.pdf"])
    assert detached(raw, len(raw)).files == ()


def test_a_file_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 3)
    raw = HEAD + TEXT + file(bytes(range(50))) + END
    (one,) = detached(raw, len(HEAD + TEXT + END)).files
    assert (one.size, b"".join(one.pieces(raw)), max(map(len, one.pieces(raw))) <= 9) == (50, bytes(range(50)), True)


def test_a_file_without_a_name_has_one_and_one_of_a_long_name_too() -> None:
    part = LARGE.replace(b"; filename=l.pdf", b"")
    named = LARGE.replace(b"filename=l.pdf", b"filename*=utf-8''%C3%9Cbersicht.pdf")
    for written, name in ((part, "attachment"), (named, "Übersicht.pdf")):
        (one,) = detached(HEAD + TEXT + written + END, 200).files
        assert one.name == name


@pytest.mark.parametrize(
    "part",
    [
        LARGE.replace(b"attachment", b"inline"),
        LARGE.replace(b"base64", b"7bit"),
        LARGE.replace(b"application/pdf", b"message/rfc822"),
        LARGE.replace(b"application/pdf", b"a/b; x=1; x=2"),
        LARGE.replace(b"Content-Type:", b"Content Type:"),
        LARGE.replace(b"bGxs", b"!!!!"),
        LARGE.replace(b"bGxs", b"bGx", 1),
        file(b""),
        b"--x\r\n" + b"y" * 1000 + b"\r\n",
    ],
)
def test_what_is_no_plain_file_stays_where_it_is(part: bytes) -> None:
    with pytest.raises(NotDetachable, match="it still has"):
        detached(HEAD + TEXT + part + END, 100)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"From: a\r\n\r\n" + b"x" * 300, "no text with files"),
        (HEAD.replace(b"mixed", b"signed") + TEXT + LARGE + END, "no text with files"),
        (HEAD.replace(b"; boundary=x", b"") + TEXT + LARGE + END, "no text with files"),
        (HEAD.replace(b"boundary=x", b"boundary=x; boundary=y") + TEXT + LARGE + END, "one way"),
        (b"DKIM-Signature: v=1\r\n" + HEAD + TEXT + LARGE + END, "DKIM"),
        (b"no field\r\n" + HEAD + TEXT + LARGE + END, "header"),
        (HEAD + TEXT + LARGE, "ends within"),
        (HEAD + TEXT * 600 + END, "too many parts"),
        (HEAD + LARGE + END, "it still has"),  # a message must have a part
        (b"x", "header can't be read"),
    ],
)
def test_why_nothing_is_taken_out_is_said(raw: bytes, why: str) -> None:
    with pytest.raises(NotDetachable, match=why):
        detached(raw, 0)
