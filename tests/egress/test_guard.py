"""What the guard refuses and what it lets pass, without any DNS."""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from egress.hostile import V4_INSIDE, V6_INSIDE
from outgate.config import ConfigError, EgressSettings, load
from outgate.egress.guard import Guard

GUARD = Guard(EgressSettings())

# By hand from the IANA special-purpose registry, as a check on the guard's own table.
FORBIDDEN = [
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
    )
]


@pytest.mark.parametrize("address", [*V4_INSIDE, *V6_INSIDE])
def test_addresses_that_are_not_of_the_internet_are_refused(address: str) -> None:
    assert GUARD.refuses_address(address)
    assert GUARD.refuses(address, [address])


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
        *("128.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255"),
        *("2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
    ],
)
def test_addresses_of_the_internet_pass(address: str) -> None:
    assert GUARD.refuses_address(address) is None


@pytest.mark.parametrize("name", ["smtp.gmail.com", "SMTP.Example.COM", "mx1.xn--bcher-kva.example", "bücher.example"])
def test_ordinary_names_with_public_addresses_pass(name: str) -> None:
    assert GUARD.refuses(name, ["8.8.8.8", "2606:4700:4700::1111"]) is None


def test_a_forbidden_address_is_left_out_and_refuses_the_host_only_if_no_other_is_left() -> None:
    assert GUARD.refuses("smtp.example.com", ["8.8.8.8", "10.0.0.1"]) is None
    assert GUARD.allowed("smtp.example.com", ["8.8.8.8", "10.0.0.1"]) == ["8.8.8.8"]
    assert GUARD.refuses("smtp.example.com", ["10.0.0.1"])
    assert GUARD.allowed("smtp.example.com", ["10.0.0.1"]) == []
    assert GUARD.allowed("127.1", ["8.8.8.8"]) == []
    assert GUARD.refuses("smtp.example.com", ["10.0.0.1", "8.8.8.8"]) is None


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "x.local", "metadata.google.internal", "X.LOCAL."])
def test_a_private_name_is_refused_though_its_address_is_public(name: str) -> None:
    assert GUARD.refuses(name, ["8.8.8.8"])


def test_a_named_network_is_allowed_and_nothing_beside_it() -> None:
    guard = Guard(EgressSettings(allowed_networks={"partner": "10.9.0.0/16", "nearby": "fd00:9::/32"}))
    assert guard.refuses("smtp.partner.internal", ["10.9.1.1", "fd00:9::1"]) is None
    assert guard.refuses_address("::ffff:10.9.1.1") is None
    assert guard.refuses_address("10.10.0.1")
    assert guard.refuses("smtp.partner.internal", ["8.8.8.8"])
    assert guard.allowed("smtp.partner.internal", ["10.9.1.1", "8.8.8.8"]) == ["10.9.1.1"]


def test_own_networks_are_refused_where_they_are_public_and_even_where_they_are_allowed() -> None:
    guard = Guard(EgressSettings(own_networks=("8.8.8.0/24", "10.0.0.0/8"), allowed_networks={"all": "10.0.0.0/8"}))
    for address in ("8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "10.0.0.1"):
        assert "own networks" in (guard.refuses_address(address) or "")
    assert guard.refuses_address("8.8.9.8") is None


def test_ports_are_those_of_the_list_and_an_empty_list_is_all() -> None:
    assert GUARD.refuses_port(587) is None
    assert GUARD.refuses_port(22)
    assert Guard(EgressSettings(ports=())).refuses_port(22) is None


@pytest.mark.parametrize(
    "setting", ["own_networks = ['10.0.0.1/8']", "own_networks = ['inside']", "allowed_networks = {partner = '10/8/'}"]
)
def test_a_network_that_is_none_is_named(setting: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("data")
    (data / "outgate.toml").write_text(f"hostname = 'x.example'\n[egress]\n{setting}\n")
    with pytest.raises(ConfigError, match=rf"egress\.{setting.split(maxsplit=1)[0]}.*written as in 10\.9\.0\.0/16"):
        load(data)


# --- no textual form -------------------------------------------------------------------------------------------------

_DIGITS = st.sampled_from([0x30, 0xFF10, 0x1D7CE, 0x1D7D8, 0x660, 0x966])


@st.composite
def forbidden_v4(draw: st.DrawFn) -> IPv4Address:
    network = draw(st.sampled_from(FORBIDDEN))
    return network[draw(st.integers(0, network.num_addresses - 1))]


@st.composite
def a_number(draw: st.DrawFn, value: int) -> str:
    """In any base that C knows, with any number of zeros before it."""
    zeros = "0" * draw(st.integers(0, 3))
    base = draw(st.sampled_from(["o", "d", "x", "X"]))
    return {"o": f"0{zeros}{value:o}", "d": f"{value}", "x": f"0x{zeros}{value:x}", "X": f"0X{zeros}{value:X}"}[base]


@st.composite
def text_of_v4(draw: st.DrawFn) -> str:
    """inet_aton(3): one to four numbers, the last of which has all the bytes that are left."""
    value = int(draw(forbidden_v4()))
    leading = draw(st.integers(0, 3))
    parts = [value >> (24 - 8 * n) & 255 for n in range(leading)] + [value & ((1 << (32 - 8 * leading)) - 1)]
    text = ".".join(draw(a_number(part)) for part in parts)
    start = draw(_DIGITS)
    disguised = text.translate({0x30 + n: chr(start + n) for n in range(10)})
    return disguised + draw(st.sampled_from(["", "."]))


@st.composite
def text_of_v6(draw: st.DrawFn) -> str:
    """An IPv6 address that has a forbidden IPv4 address in it, written long, short, or with dots."""
    inner = int(draw(forbidden_v4()))
    value = draw(
        st.sampled_from(
            [
                *(
                    inner,
                    0xFFFF << 32 | inner,
                    0xFFFF << 48 | inner,
                    0x64FF9B << 96 | inner,
                    0x64FF9B0001 << 80 | inner,
                ),
                *(0x2002 << 112 | inner << 80, 0x20010000 << 96 | inner << 64, 0x2606 << 112 | 0x5EFE << 32 | inner),
            ]
        )
    )
    address = IPv6Address(value)
    high = address.exploded.rpartition(":")[0].rpartition(":")[0]
    dotted = f"{high}:{IPv4Address(value & 0xFFFFFFFF)}"
    text = draw(st.sampled_from([address.compressed, address.exploded, dotted]))
    return draw(st.sampled_from([text, text.upper(), f"{text}%lo", f"[{text}]"]))


@given(text_of_v4())
@example("2130706433")
@example("0x7f.1")
@example("0177.0.0.1")
def test_no_form_of_a_forbidden_ipv4_address_passes(text: str) -> None:
    try:
        plain = text.encode("idna").decode() if not text.isascii() else text  # what Python's socket does with it
        led_to = [socket.inet_ntoa(socket.inet_aton(plain.removesuffix(".")))]
    except (OSError, UnicodeError):
        led_to = ["8.8.8.8"]  # libc would not take it; a name server may
    assert GUARD.refuses(text, led_to)
    assert _literal(text) or GUARD.refuses_name(text)  # it is refused before any DNS is asked


@given(text_of_v6())
def test_no_form_of_a_forbidden_ipv4_address_within_ipv6_passes(text: str) -> None:
    assert GUARD.refuses(text, [text])


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
@example(IPv6Address("2002:808:808::1"))
@example(IPv6Address("2001:0:808:808::f7f7:f7f7"))
def test_what_passes_is_global_by_pythons_own_list(address: IPv4Address | IPv6Address) -> None:
    if GUARD.refuses_address(address) is None:
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_private


@given(st.text(max_size=40))
def test_any_text_gets_an_answer(text: str) -> None:
    GUARD.refuses(text, ["8.8.8.8"])
    GUARD.refuses_address(text)


def _literal(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
