"""How many failed log-ins an account and a network may have, and what is locked by them.

Failures are counted in the database (store.rates) under three keys each. Knows no password.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network

from sqlalchemy import Connection

from outgate.frozen import frozen
from outgate.store import rates
from outgate.store.rates import Event, Key


@frozen
class Locked:
    """An account, a network or both, with too many failures. What is empty means all."""

    account: str
    network: str
    until: float  # when one more try is allowed; seconds since the epoch


@frozen
class LogInLimits:
    """Rates as the `limits` library reads them, such as "10/10minutes"."""

    per_account: str  # from one network
    per_network: str
    per_account_anywhere: str

    def events(self, account: str, network: str, *, exempt: bool = False) -> tuple[Event, ...]:
        """What one failure counts as. In an exempt network it locks neither the network nor the account elsewhere."""
        here = (self.per_account, _key("account", account, network))
        if exempt:
            return (here,)
        anywhere = (self.per_account_anywhere, anywhere_key(account))
        return here, (self.per_network, _key("network", network)), anywhere

    def locked(self, connection: Connection, now: float) -> tuple[Locked, ...]:
        """What is locked now, on all nodes."""
        here = rates.spent(connection, self.per_account, _key("account"), now)
        anywhere = rates.spent(connection, self.per_account_anywhere, _key("anywhere"), now)
        networks = rates.spent(connection, self.per_network, _key("network"), now)
        return (
            *(Locked(key[-2], key[-1], now + left) for key, left in here.items()),
            *(Locked(key[-1], "", now + left) for key, left in anywhere.items()),
            *(Locked("", key[-1], now + left) for key, left in networks.items()),
        )


def anywhere_key(account: str) -> Key:
    """What failures for an account are counted under wherever they come from."""
    return _key("anywhere", account)


def unlock_account(connection: Connection, address: str) -> int:
    """Forget the failures for an account (in compared form); how many counts there were."""
    return rates.clear(connection, *_key("account", address)) + rates.clear(connection, *anywhere_key(address))


def unlock_network(connection: Connection, network: IPv4Network | IPv6Network) -> int:
    """Forget the failures from all networks that this one touches; how many counts there were."""
    count = 0
    for key in (*rates.keys(connection, *_key("network")), *rates.keys(connection, *_key("account"))):
        counted = ip_network(key[-1])
        if counted.version == network.version and counted.overlaps(network):
            count += rates.clear(connection, *key)
    return count


def _key(*of: str) -> Key:
    return ("log-in", *of)
