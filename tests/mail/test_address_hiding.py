"""What goes of a field that tells of the hidden address, and what stays of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.mail.address_hiding import hiding
from outgate.mail.address_leak import _ENCODED, _folded, _readings, needle
from outgate.mail.headers import split_fields

HIDDEN = needle("alice@example.com")


def left(line: str) -> str | None:
    (field,) = split_fields(f"{line}\r\n".encode())
    found = hiding(field, HIDDEN)
    if found is None:
        return None
    assert found.name == field.name
    assert split_fields(found.raw) == [found]
    return " ".join(found.raw.decode().split())


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('Content-Type: application/pdf; name="Invoice (alice@example.com).pdf"', "Content-Type: application/pdf"),
        (
            'Content-Type: application/pdf; charset=utf-8; NAME="alice@example.com"; x="a;b"',
            'Content-Type: application/pdf; charset=utf-8; x="a;b"',
        ),
        ("Content-Type: a/b; name*=utf-8''alice%40example.com", "Content-Type: a/b"),
        ('Content-Disposition: attachment; filename="alice@example.com (1).pdf"', "Content-Disposition: attachment"),
        (
            'Content-Type: multipart/mixed; boundary="alice@example.com"',
            'Content-Type: multipart/mixed; boundary="alice@example.com"',
        ),
        (
            "Content-Transfer-Encoding: base64 (alice@example.com)",
            "Content-Transfer-Encoding: base64 (alice@example.com)",
        ),
        ("Content-Description: scan of alice@example.com", ""),
        ("References: <1@x.example> <wl-alice@example.com> <2@y.example>", "References: <1@x.example> <2@y.example>"),
        ("In-Reply-To: <wl-alice@example.com>", ""),
        ("References: <1@x.example>\r\n <alice=example.com@y.example>", "References: <1@x.example>"),
        (
            "List-Unsubscribe: <mailto:leave-alice=example.com@lists.example>, <https://lists.example/leave>",
            "List-Unsubscribe: <https://lists.example/leave>",
        ),
        (
            "List-Unsubscribe: <https://l.example/?u=alice%40example.com,x>, <mailto:l@l.example>",
            "List-Unsubscribe: <mailto:l@l.example>",
        ),
        ("List-Post: <mailto:alice@example.com>", ""),
        ("X-Note: alice@example.com", ""),
        ("References: <1@x.example>", "References: <1@x.example>"),
    ],
)
def test_what_stays_of_a_field(line: str, kept: str) -> None:
    assert (left(line) or "") == kept


PIECES = ["=?utf-8?q?", "?=", "%41", "+41", "\\x{41}", "+", "%", "\\", "=?", "=", "?", "{41}", "a", "É", " "]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_what_does_not_look_encoded_has_one_reading(text: str) -> None:
    """So it is looked at as it stands."""
    if not _ENCODED.search(text):
        assert set(_readings(text)) == {_folded(text)}
