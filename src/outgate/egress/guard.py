"""May this server connect to that address for a user? Pure: settings in, reasons out; asks no DNS and opens no socket.

Without it a user who names a gateway has the server knock at doors that only the server can reach (CWE-918). What is
refused are all ranges that are not the public internet's by the IANA special-purpose registries (RFC 6890), and the
organisation's own; what is allowed of these, the administrator names.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from outgate.config import EgressSettings
from outgate.mail.addresses import AddressError, canonical_domain

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_KNOWN: Final = 4096  # names and addresses of which is remembered what they are: a few are asked for again and again

# The first that matches is named, so the narrower ones come first.
_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("168.63.129.16/32", "a cloud's metadata service"),
        ("169.254.169.254/32", "link-local, a cloud's metadata service"),
        ("0.0.0.0/8", "unspecified (RFC 791)"),
        ("10.0.0.0/8", "private (RFC 1918)"),
        ("100.64.0.0/10", "shared by a carrier's customers (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        ("169.254.0.0/16", "link-local (RFC 3927)"),
        ("172.16.0.0/12", "private (RFC 1918)"),
        ("192.0.0.0/24", "reserved for protocols (RFC 6890)"),
        ("192.0.2.0/24", "for documentation (RFC 5737)"),
        ("192.88.99.0/24", "6to4 relays (RFC 7526)"),
        ("192.168.0.0/16", "private (RFC 1918)"),
        ("198.18.0.0/15", "for benchmarks (RFC 2544)"),
        ("198.51.100.0/24", "for documentation (RFC 5737)"),
        ("203.0.113.0/24", "for documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("255.255.255.255/32", "broadcast (RFC 919)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
        ("::/128", "unspecified (RFC 4291)"),
        ("::1/128", "loopback (RFC 4291)"),
        ("::/96", "an IPv4-compatible address (RFC 4291)"),
        ("64:ff9b:1::/48", "local NAT64 (RFC 8215)"),
        ("100::/64", "discard-only (RFC 6666)"),
        ("2001:2::/48", "for benchmarks (RFC 5180)"),
        ("2001:db8::/32", "for documentation (RFC 3849)"),
        ("2001::/23", "reserved for protocols (RFC 2928)"),
        ("2002::/16", "6to4 (RFC 7526)"),
        ("3fff::/20", "for documentation (RFC 9637)"),
        ("fc00::/7", "unique local (RFC 4193)"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)
_GLOBAL_UNICAST = ip_network("2000::/3")  # all of IPv6 that has been given out (RFC 4291 section 2.4)
# Here the IPv4 address within is all there is to judge: v4-mapped (RFC 4291), NAT64 (RFC 6052).
_MAPPED, _NAT64 = ip_network("::ffff:0:0/96"), ip_network("64:ff9b::/96")
_TRANSLATED = (_MAPPED, _NAT64)
# RFC 6761, RFC 6762; .internal is ICANN's (2024), .home.arpa RFC 8375's; the others are what networks call themselves.
_PRIVATE_NAMES = frozenset(
    ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "arpa")
)


class Guard:
    """The settings of `egress` as answers: each method says why not, in words for the record, or None."""

    def __init__(self, settings: EgressSettings) -> None:
        self._own = [ip_network(text) for text in settings.own_networks]
        self._allowed = [ip_network(text) for text in settings.allowed_networks.values()]
        self._ports = settings.ports

    def allowed(self, name: str, addresses: Sequence[str]) -> list[str]:
        """Those of a host's addresses that may be connected to; a bad one among them is left out."""
        if self.refuses_name(name):
            return []
        return [text for text in addresses if self._refuses_of(name, text) is None]

    def refuses(self, name: str, addresses: Sequence[str]) -> str | None:
        """Why a host may not be connected to at all, by its name and all its addresses."""
        if reason := self.refuses_name(name):
            return reason
        reasons = [self._refuses_of(name, text) for text in addresses]
        return None if None in reasons or not reasons else reasons[0]

    def _refuses_of(self, name: str, address: str) -> str | None:
        if reason := self.refuses_address(address):
            return reason
        if _is_private(name) and not _in(ip_address(address), self._allowed):
            return f"{name} is a name of a private network"
        return None

    def refuses_port(self, port: int) -> str | None:
        """Why a user's gateway may not be at this port."""
        return f"port {port} is not on the list egress.ports" if self._ports and port not in self._ports else None

    def refuses_name(self, name: str) -> str | None:
        """Why a name can't be a host's: it is none, or an address in disguise. An address as it is written is fine."""
        return names_no_host(name)

    def refuses_address(self, address: str | Address) -> str | None:
        """Why an address may not be connected to. A text that is no address is refused, and so is one with a zone."""
        known = _address(address) if isinstance(address, str) else address
        if known is None:
            return "it is not an address"
        if isinstance(known, IPv6Address) and known.scope_id:
            return f"{known} is link-local"
        return self._refuses(known)

    def _refuses(self, address: Address) -> str | None:
        if _in(address, self._own):
            return f"{address} is in the organisation's own networks"
        for inner in _embedded(address):
            if reason := self._refuses(inner):
                return f"{address} leads to another address: {reason}"
        if _in(address, self._allowed) or _in(address, _TRANSLATED):
            return None
        for network, what in _SPECIAL:
            if address in network:
                return f"{address} is {what}"
        if address.version == 6 and address not in _GLOBAL_UNICAST:
            return f"{address} is not an address of the internet"
        return None


@lru_cache(_KNOWN)
def names_no_host(name: str) -> str | None:
    """As Guard.refuses_name, which no setting changes."""
    if _address(name):
        return None
    try:
        known = plain(name)
    except AddressError:
        return "it is not the name of a host"
    # No top-level domain is a number (RFC 3696 section 2): inet_aton(3) reads such a name as an address.
    numbers = (text for text in (known, _in_ascii_digits(name)) if _is_number(text.rpartition(".")[2]))
    return next((f"{text} is an address in disguise" for text in numbers), None)


def _embedded(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that a packet to this IPv6 address ends up at, or passes."""
    if isinstance(address, IPv4Address):
        return []
    if address.sixtofour:  # RFC 3056
        return [address.sixtofour]
    if address.teredo:  # RFC 4380: server and client
        return list(address.teredo)
    isatap = (int(address) >> 32) & 0xFCFFFFFF == 0x5EFE  # RFC 5214 section 6.1
    return [IPv4Address(int(address) & 0xFFFFFFFF)] if isatap or _in(address, _TRANSLATED) else []


def _in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


@lru_cache(_KNOWN)
def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_address(text: str) -> bool:
    """Whether it is an IP address, not a name."""
    return _address(text) is not None


@lru_cache(_KNOWN)
def plain(name: str) -> str:
    """A host's name in the one form in which it is looked up, an address as it is. Raises AddressError."""
    return name if _address(name) else canonical_domain(name.removesuffix("."))


def _is_private(name: str) -> bool:
    return plain(name).rpartition(".")[2] in _PRIVATE_NAMES


def _in_ascii_digits(name: str) -> str:
    """The name with the digits of all scripts as 0 to 9: some are letters to IDNA, and numbers to other code."""
    text = "".join(str(unicodedata.digit(char)) if char.isdigit() else char for char in name.removesuffix("."))
    return re.sub("[\u3002\uff0e\uff61]", ".", text.lower())  # what UTS #46 takes for dots


def _is_number(label: str) -> bool:
    """As the URL standard has it: digits alone, or hexadecimal after 0x."""
    return label.isdigit() or (label[:2] == "0x" and not label[2:].strip("0123456789abcdef"))
