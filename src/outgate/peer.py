"""What is counted as one peer: many addresses are usually one guesser's. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def network_of(peer: str) -> str:
    """The network that one peer is likely to hold: /24 of IPv4, /64 of IPv6. Raises ValueError."""
    address = _address(peer)
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))


def holder_of(peer: str) -> str:
    """Who is taken to be one where a whole office may stand behind an address: the IPv4 address, or the /64 of IPv6.

    Raises ValueError.
    """
    address = _address(peer)
    return str(address) if address.version == 4 else network_of(peer)


def plain(peer: str) -> str:
    """The address without its zone, and as IPv4 if it is one that a socket of IPv6 shows. Raises ValueError."""
    return str(_address(peer))


def is_within(peer: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether the address is in one of them. Raises ValueError."""
    address = _address(peer)
    return any(address in network for network in networks)


def _address(peer: str) -> IPv4Address | IPv6Address:
    address = ip_address(peer.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
