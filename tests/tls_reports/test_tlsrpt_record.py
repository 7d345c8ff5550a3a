"""The record by which a domain asks for TLS reports (RFC 8460 section 3): strict, and open to what is not known yet."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outgate.tls_reports.tlsrpt_record import MOST, ReportPlace, places

WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", fullmatch=True)
EXTENSION = st.builds(
    "{}={}".format, WORD.filter(lambda name: name != "rua"), st.from_regex(r"[!-:<>-~]{1,20}", fullmatch=True)
)
LABEL = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
URL = st.builds("https://{}.example/{}".format, LABEL, st.from_regex(r"[a-z0-9/._~?&-]{0,20}", fullmatch=True))
ADDRESS = st.builds("{}@{}.example".format, LABEL, LABEL)
URI = URL | ADDRESS.map("mailto:{}".format)
SPACE = st.text(" \t", max_size=2)


@st.composite
def records(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A record by the grammar, and the URIs that it names."""
    uris = draw(st.lists(URI, min_size=1, max_size=8))
    listed = uris[0] + "".join(f"{draw(SPACE)},{draw(SPACE)}{uri}" for uri in uris[1:])
    fields = [*draw(st.lists(EXTENSION, max_size=3)), f"rua={listed}"]
    fields = draw(st.permutations(fields))
    written = "".join(f"{draw(SPACE)};{draw(SPACE)}{field}" for field in fields)
    return f"v=TLSRPTv1{written}{draw(st.sampled_from(['', ';', ' ; ']))}", uris


@settings(max_examples=40)
@given(records(), st.lists(st.text(max_size=30).filter(lambda text: not text.startswith("v=TLSRPTv1"))))
def test_what_fits_the_grammar_names_its_places_among_whatever_other_records(
    record: tuple[str, list[str]], others: list[str]
) -> None:
    text, uris = record
    found = places([*others, text])
    assert found is not None
    assert [str(one) for one in found] == list(dict.fromkeys(uris))[:MOST]


@given(st.lists(st.text() | st.text().map("v=TLSRPTv1;{}".format) | st.text().map("v=TLSRPTv1; rua={}".format)))
@example(["v=TLSRPTv1; rua=https://["])
@example(["v=TLSRPTv1; rua=mailto:%ff@peer.example"])
def test_whatever_a_domain_publishes_is_read_or_passed_over(texts: list[str]) -> None:
    """What comes out can be sent to: an address without what mail programs read as more than one, or an https URL."""
    found = places(texts)
    assert found is None or len(found) <= MOST
    for one in found or ():
        assert bool(one.address) != bool(one.url)
        assert one.url or re.fullmatch(r"[^\s<>,;:]+@[^\s<>,;:]+|\"[^\r\n]*\"@[^\s]+", one.address)
        assert one.url.lower().startswith("https://") or one.address


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["v=TLSRPTv1"],
        ["v=TLSRPTv1;"],
        ["v=TLSRPTv1; rua="],
        ["v=TLSRPTv1 rua=mailto:a@peer.example"],
        ["v=TLSRPTv2; rua=mailto:a@peer.example"],
        ["V=TLSRPTv1; rua=mailto:a@peer.example"],
        ["v=TLSRPTv1; rua=a@peer.example"],
        ["v=TLSRPTv1; rua=mailto:a@peer.example; broken"],
        ["v=TLSRPTv1; rua=mailto:a@peer.example; _x=1"],
        ["v=TLSRPTv1; rua=mailto:a@peer.example;; x=1"],
        ["v=TLSRPTv1; rua=mailto:a@peer.example", "v=TLSRPTv1; rua=mailto:b@peer.example"],
    ],
)
def test_a_domain_without_exactly_one_good_record_asks_for_nothing(texts: list[str]) -> None:
    assert places(texts) is None


@pytest.mark.parametrize(
    ("rua", "found"),
    [
        ("ftp://peer.example/", ()),
        ("mailto:a@peer.example,b@peer.example", None),
        ("mailto:a@peer.example?subject=x", (ReportPlace(address="a@peer.example"),)),
        ("mailto:a%21b@peer.example", (ReportPlace(address="a!b@peer.example"),)),
        ("mailto:a%0d%0aBcc:c@peer.example", ()),
        ("http://peer.example/,https://peer.example/x", (ReportPlace(url="https://peer.example/x"),)),
    ],
)
def test_only_an_address_and_https_are_places(rua: str, found: tuple[ReportPlace, ...] | None) -> None:
    assert places([f"v=TLSRPTv1; rua={rua}"]) == found
