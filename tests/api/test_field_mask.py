"""The parameter `fields`: read, and applied to an answer."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.api.field_mask import BadMask, parse, select

ANSWER = {"sendAs": [{"sendAsEmail": "a", "smtpMsa": {"host": "h", "port": 25}}], "next": "n"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("next", {"next": "n"}),
        ("*", ANSWER),
        ("sendAs/sendAsEmail", {"sendAs": [{"sendAsEmail": "a"}]}),
        (
            "sendAs(sendAsEmail,smtpMsa/host),next",
            {"sendAs": [{"sendAsEmail": "a", "smtpMsa": {"host": "h"}}], "next": "n"},
        ),
        ("sendAs(smtpMsa(port))", {"sendAs": [{"smtpMsa": {"port": 25}}]}),
        ("unknown", {}),
    ],
)
def test_a_mask_leaves_what_it_names(text: str, left: object) -> None:
    assert select(ANSWER, parse(text)) == left


@pytest.mark.parametrize(
    "text",
    ["a(", "a)", "(a)", ",", "a,", "a/", "a b;", "a(b", "/", "a()", "(" * 50, "a/" * 50 + "a", "a," * 2000 + "a"],
)
def test_what_is_no_mask_is_refused(text: str) -> None:
    with pytest.raises(BadMask):
        parse(text)


@given(st.text(alphabet="ab,()/*", max_size=30))
def test_any_text_is_a_mask_or_refused(text: str) -> None:
    with suppress(BadMask):
        select(ANSWER, parse(text))
