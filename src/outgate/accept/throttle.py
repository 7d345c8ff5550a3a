"""Counts wrong passwords by account and network, so that guessing is slow. In memory, by the limits library."""

from ipaddress import ip_address, ip_network

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from outgate.config import LogIn


def network_of(peer: str) -> str:
    """The network that one guesser is likely to hold: /24 of IPv4, /64 of IPv6."""
    address = ip_address(peer.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))


class Throttle:
    """Whether a log-in may be tried, and what became of it."""

    def __init__(self, settings: LogIn) -> None:
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._by_account: RateLimitItem = parse(settings.failures_per_account)
        self._by_network: RateLimitItem = parse(settings.failures_per_network)

    def allows(self, username: str, peer: str) -> bool:
        """False when there were too many wrong passwords for this account from this network, or from this network."""
        network = network_of(peer)
        return bool(
            self._window.test(self._by_account, username.lower(), network)
            and self._window.test(self._by_network, network)
        )

    def failed(self, username: str, peer: str) -> None:
        """Count a wrong password."""
        network = network_of(peer)
        self._window.hit(self._by_account, username.lower(), network)
        self._window.hit(self._by_network, network)
