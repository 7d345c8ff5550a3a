"""What is counted as one peer: many addresses are usually one guesser's. Pure."""

from ipaddress import ip_address, ip_network


def network_of(peer: str) -> str:
    """The network that one peer is likely to hold: /24 of IPv4, /64 of IPv6. Raises ValueError."""
    address = ip_address(peer.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))
