"""The compared form of addresses, and the strict reading of address lists."""

import re
import unicodedata
from email.headerregistry import HeaderRegistry
from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outgate.mail.addresses import (
    AddressError,
    Mailbox,
    ascii_form,
    canonical,
    canonical_domain,
    decode_words,
    format_mailbox,
    needs_smtputf8,
    parse_mailboxes,
    without_tag,
)


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("alice+shop@example.com", "alice@example.com"),
        ("alice+shop+2026@example.com", "alice@example.com"),
        ("jörg+x@xn--bcher-kva.example", "jörg@xn--bcher-kva.example"),
        ("alice@example.com", None),
        ("alice+@example.com", None),
        ("+shop@example.com", None),
        ("a.+shop@example.com", None),
        ('"a..b+shop"@example.com', None),
    ],
)
def test_the_first_plus_begins_the_tag_of_a_plain_local_part(address: str, base: str | None) -> None:
    assert canonical(address) == address
    assert without_tag(address) == base


@pytest.mark.parametrize(
    ("address", "compared"),
    [
        ("Alice@Example.COM", "alice@example.com"),
        ('"alice"@example.com', "alice@example.com"),
        ('"al\\ice"@example.com', "alice@example.com"),
        ('"Alice..B"@example.com', '"alice..b"@example.com'),
        ("alice@Bücher.example", "alice@xn--bcher-kva.example"),
        ("alice@XN--BCHER-KVA.example", "alice@xn--bcher-kva.example"),
        ("alice@faß.example", "alice@xn--fa-hia.example"),
        ("JÖRG@example.com", "jörg@example.com"),
        ("jo\u0308rg@example.com", "jörg@example.com"),
        ("alice@[192.0.2.1]", "alice@[192.0.2.1]"),
        ("alice@[IPv6:2001:DB8:0::1]", "alice@[ipv6:2001:db8::1]"),
        ("a.b+tag=x@example.com", "a.b+tag=x@example.com"),
    ],
)
def test_the_compared_form(address: str, compared: str) -> None:
    assert canonical(address) == compared
    assert canonical(compared) == compared


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice",
        "@example.com",
        "alice@",
        "a@b@example.com",
        "alice.@example.com",
        ".alice@example.com",
        "a..b@example.com",
        "al ice@example.com",
        '"alice@example.com',
        'a"b"@example.com',
        '""@example.com',
        '" a"@example.com',
        *(f'"bob{special}evil"@example.com' for special in "@<>,;:()[] "),
        '"bob@example.com"@attacker.example',
        '"bob@example.com "@attacker.example',
        '"<bob@example.com>"@attacker.example',
        '"bob\\@example.com"@attacker.example',
        '"a\\"b"@example.com',
        '"a\\\\b"@example.com',
        "alice@example..com",
        "alice@example.com.",
        "alice@-example.com",
        "alice@exa mple.com",
        "alice@example.com\r\nBcc: x@y",
        "alice@xn--\u0661.example",
        "alice@a_b.example",
        "alice@[300.0.0.1]",
        "alice@[192.0.2.1",
        "ali\u200bce@example.com",
        "ali\u202ece@example.com",
        "ali\uff20ce@example.com",
        "ali\x00ce@example.com",
        '"a\nb"@example.com',
        "=?utf-8?q?bob=40example.com?=@partner.example",
        f"{'a' * 65}@example.com",
        f"alice@{'a' * 64}.example",
        f"alice@{'ab.' * 100}example",
    ],
)
def test_what_is_no_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(AddressError) as error:
        canonical(address)
    assert str(error.value).isprintable()


def test_no_character_beyond_ascii_is_compared_as_one_of_ascii() -> None:
    """Look-alikes stay distinct: what NFC or lower-casing would turn into US-ASCII is refused.

    Up to the end of plane 1; beyond it are only ideographs, which have neither case nor US-ASCII forms, and tags.
    """
    for code in range(0x80, 0x20000):
        try:
            compared = canonical(f"a{chr(code)}b@x.example")
        except AddressError:
            continue
        assert not compared.isascii(), f"U+{code:04X}"


@given(st.text(max_size=20), st.sampled_from(["example.com", "Bücher.example", "x.Example"]))
def test_the_compared_form_is_its_own_compared_form(local: str, domain: str) -> None:
    try:
        compared = canonical(f"{local}@{domain}")
    except AddressError:
        return
    assert canonical(compared) == compared
    assert unicodedata.is_normalized("NFC", compared)


def test_a_domain_is_compared_as_a_labels() -> None:
    assert canonical_domain("Dominio.EXAMPLE") == "dominio.example"
    assert canonical_domain("münchen.example") == "xn--mnchen-3ya.example"
    for name in ("", "a b", "-", "[192.0.2.1]", "x" * 300, "ü" * 300):
        with pytest.raises(AddressError):
            canonical_domain(name)


def test_only_a_local_part_beyond_ascii_needs_smtputf8() -> None:
    assert needs_smtputf8("jörg@example.com")
    assert not needs_smtputf8("joerg@bücher.example")
    assert ascii_form("Joerg@bücher.example") == "Joerg@xn--bcher-kva.example"
    assert ascii_form("jörg@bücher.example") is None
    assert ascii_form("alice@example.com") == "alice@example.com"


@pytest.mark.parametrize(
    ("value", "mailboxes"),
    [
        (b"alice@example.com", [("", "alice@example.com")]),
        (b" <alice@example.com> ", [("", "alice@example.com")]),
        (b"Alice Owner <alice@example.com>", [("Alice Owner", "alice@example.com")]),
        (b"Alice  B. Owner<alice@example.com>", [("Alice B. Owner", "alice@example.com")]),
        (b'"a@x.example" <b@y.example>', [("a@x.example", "b@y.example")]),
        (b'"Owner, Alice" <a@x>, bob@y', [("Owner, Alice", "a@x"), ("", "bob@y")]),
        (b'"say \\"hi\\"" <a@x>', [('say "hi"', "a@x")]),
        (b"a@x <A@X>", [("a@x", "A@X")]),
        (b"<a@x>, b@y", [("", "a@x"), ("", "b@y")]),
        (b"alice@example.com (Alice Owner)", [("Alice Owner", "alice@example.com")]),
        (b"(at home) alice@example.com", [("at home", "alice@example.com")]),
        (b"Team: a@x, Bob <b@y>;, c@z", [("", "a@x"), ("Bob", "b@y"), ("", "c@z")]),
        (b"undisclosed-recipients:;", []),
        (b"undisclosed-recipients: ;", []),
        (b"=?utf-8?q?J=C3=B6rg?= =?utf-8?b?IE3DvGxsZXI=?= <j@x>", [("Jörg Müller", "j@x")]),
        (b'"=?iso-8859-1?q?J=F6rg?=" <j@x>', [("Jörg", "j@x")]),
        (b"=?no-such-charset?q?J?= <j@x>", [("=?no-such-charset?q?J?=", "j@x")]),
        ("Jörg <jörg@bücher.example>".encode(), [("Jörg", "jörg@bücher.example")]),
        (b'"john..doe"@example.com', [("", '"john..doe"@example.com')]),
        (b"a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
        (
            b"Alice\r\n <alice@example.com>,\r\n\tbob@example.com",
            [("Alice", "alice@example.com"), ("", "bob@example.com")],
        ),
        (b"O'Brien <o'brien@example.com>", [("O'Brien", "o'brien@example.com")]),
    ],
)
def test_address_lists_are_read(value: bytes, mailboxes: list[tuple[str, str]]) -> None:
    assert parse_mailboxes(value) == [Mailbox(*pair) for pair in mailboxes]


AMBIGUOUS = [
    b"",
    b" ",
    b"alice",
    b"<>",
    b"a@x b@y",
    b"a@x <b@y>",
    b"a@x.example, <b@y",
    b"<a@x> <b@y>",
    b"<a@x> b@y",
    b"<a@x>b",
    b"a@x,,b@y",
    b"a@x,",
    b",a@x",
    b"a@x;b@y",
    b"a@x; b@y",
    b'"a <a@x>',
    b'a" <a@x>',
    b"(a <a@x>",
    b"a) <a@x>",
    b"a@x (b@y)",
    b"a@x (<b>)",
    b"a@x (one (two))",
    b'a@x ("), b@y (")',
    b"a(b)@x",
    b"a@(b)x",
    b"<a@x (b)>",
    b"a @ x",
    b"a. b@x",
    b"a@b@x",
    b"<@r:a@x>",
    b"<@r,@s:a@x>",
    b"a@x <b@y>, c@z",
    b"Bob, <alice@example.com>",
    b"Smith, Alice <alice@example.com>",
    b"A: B: a@x;;",
    b"A: a@x",
    b"A: a@x; b@y",
    b": a@x;",
    b'"<b@y>": a@x;',
    b"<a@x>: b@y;",
    b"a@x: b@y;",
    b'"<b@y>" <a@x>',
    b'"b@y>" <a@x>',
    b"=?utf-8?q?b=40y_=3Cb=40y=3E?= <a@x>",
    b"=?utf-8?b?YkB5AA==?= <a@x>",
    b"=?utf-8?q?b=0Ac?= <a@x>",
    b"=?utf-8?q?bob=40y?=@x.example",
    b"=?utf-8?q?a,b?= <a@x>",
    b"=?utf-8?q?a@b?= <a@x>",
    b"a@x\r\nb@y",
    b"a@x\rb@y",
    b"a@x\nb@y",
    b"a@x\x00",
    b"a\x01b <a@x>",
    "a\u0085b <a@x>".encode(),
    "a\u2028b <a@x>".encode(),
    b"J\xf6rg <j@x>",
    b"a[b] <a@x>",
    b"a\\b <a@x>",
    b". <a@x>",
    b".a b <a@x>",
    b"a@x..y",
    b"a@[x",
    b"a@x>",
    b"a <<a@x>>",
    b"a <a@x",
    b"a@x\xef\xbc\x8cb@y",
    b"a\xef\xbc\xa0y@x.example",
]


@pytest.mark.parametrize("value", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused(value: bytes) -> None:
    with pytest.raises(AddressError) as error:
        parse_mailboxes(value)
    assert str(error.value).isprintable()


def by_headerregistry(text: str) -> list[str]:
    """The stdlib's modern parser as another reader."""
    header: Any = HeaderRegistry()("to", text)
    return [address.addr_spec for address in header.addresses]


def by_getaddresses(text: str) -> list[str]:
    """The stdlib's old parser as another reader; it finds an address in nearly anything."""
    return [address for _, address in getaddresses([text]) if address]


ADDRESS = st.sampled_from(
    ["a@x", "b@y.example", '"c d"@x', '"a@b"@x', "ö@x", "e@bücher.example", "f@[192.0.2.1]", "a+b=c@x", "g@", "@h", "i"]
)
PIECE = st.sampled_from(
    [
        *'<>()[],:;@\\" .=?\t',
        *("\r\n ", "Alice", "Bob", '"Owner, A"', '"x@y"', "(x)", "é", "=?utf-8?q?a=40b?=", "=?utf-8?b?PGFAYj4=?="),
    ]
)
NAME = st.sampled_from(["", "Alice ", '"Owner, A" ', '"x@y" ', '"(" ', "A. B ", "(x) ", "=?utf-8?q?a=40b?= ", "team: "])
MAILBOX = st.one_of(ADDRESS, st.tuples(NAME, st.just("<"), ADDRESS, st.sampled_from([">", "> (x)", ">;"])).map("".join))
NEARLY_LISTS = st.lists(st.one_of(MAILBOX, MAILBOX, PIECE), min_size=1, max_size=4).flatmap(
    lambda parts: st.lists(st.sampled_from([", ", ",", ", ", " ", ""]), min_size=len(parts), max_size=len(parts)).map(
        lambda between: "".join([part + gap for part, gap in zip(parts, [*between[:-1], ""], strict=True)])
    )
)


@given(st.one_of(NEARLY_LISTS, st.lists(st.one_of(ADDRESS, PIECE), max_size=9).map("".join)))
@example('"a@x" <b@y>')
@example("a@x (c) <b@y>")
@example("a (<b@y>) <c@z>")
def test_no_accepted_list_shows_another_reader_another_address(text: str) -> None:
    """Where the strict parser accepts, two independent parsers see exactly the same addresses, in the same order.

    A name that repeats the address bare counts as that address once more with some readers; that does no harm.
    """
    try:
        ours = [canonical(mailbox.address) for mailbox in parse_mailboxes(text.encode())]
    except AddressError:
        return
    unfolded = text.replace("\r\n", "")
    for reader in (by_headerregistry, by_getaddresses):
        if reader is by_getaddresses and "[" in unfolded:
            continue  # up to Python 3.11.2 it finds nothing at all in an address literal
        theirs = [canonical(address) for address in reader(unfolded)]
        assert theirs == ours or set(theirs) == set(ours), reader.__name__


@given(st.lists(st.one_of(ADDRESS, PIECE, st.text(max_size=4)), max_size=12).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        mailboxes = parse_mailboxes(text.encode("utf-8", "surrogatepass"))
    except AddressError:
        return
    for mailbox in mailboxes:
        assert canonical(mailbox.address)


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=80)


@given(NAMES, st.sampled_from(["a@x.example", '"c..d"@x.example', "jörg@bücher.example"]))
def test_a_written_mailbox_reads_back(name: str, address: str) -> None:
    written = format_mailbox(name, address)
    if "@" in name and ("<" in name or ">" in name):
        return  # written correctly, but the strict reader refuses such names
    [mailbox] = parse_mailboxes(written.encode())
    assert mailbox.address == address
    assert mailbox.display_name.split() == name.split() or decode_words(name) != name
    assert all(len(word) <= 75 for word in written.split() if word.startswith("=?"))


def test_a_mailbox_with_a_line_break_is_not_written() -> None:
    with pytest.raises(AddressError):
        format_mailbox("Alice\r\nBcc: bob@example.com", "alice@example.com")
    with pytest.raises(AddressError):
        format_mailbox("Alice", "alice@example.com\r\nBcc: bob@example.com")
    assert format_mailbox("Owner, Alice", "a@x") == '"Owner, Alice" <a@x>'
    assert re.fullmatch(r"=\?utf-8\?\S+\?= <j@x>", format_mailbox("Jörg", "j@x"))


@pytest.mark.parametrize(
    ("written", "advised"),
    [
        (b"Rossi, Alice <alice@example.com>", 'put it in quotes, as in "Rossi, Alice" <alice@example.com>'),
        (b"Rossi, Dr. Alice  <alice@example.com>", 'as in "Rossi, Dr. Alice" <alice@example.com>'),
        ("Müller, Jörg <j@example.com>".encode(), 'as in "Müller, Jörg" <j@example.com>'),
        (b"=?utf-8?Q?Rossi,_Alice?= <alice@example.com>", "must be written as =2C"),
    ],
)
def test_a_name_with_a_bare_comma_is_refused_with_what_to_do(written: bytes, advised: str) -> None:
    with pytest.raises(AddressError) as fault:
        parse_mailboxes(written)
    assert advised in str(fault.value)


@pytest.mark.parametrize("written", [b"a@x.example, <", b"a, b", b'"x, y" z, <a@b.example>', b"g: a, b; <a@b.example>"])
def test_other_faults_keep_their_words(written: bytes) -> None:
    with pytest.raises(AddressError) as fault:
        parse_mailboxes(written)
    assert "comma" not in str(fault.value)


def test_long_lists_take_no_longer_than_their_length() -> None:
    """Patterns that go back and forth would take minutes here."""
    for value in (b" " * 200_000 + b"x", b"a" * 200_000, b"(" * 200_000, b'"' + b"\\" * 200_000, b"a@x, " * 40_000):
        with pytest.raises(AddressError):
            parse_mailboxes(value)
    assert len(parse_mailboxes(b", ".join([b"Alice <a@x>"] * 20_000))) == 20_000
