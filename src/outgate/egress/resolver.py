"""Names to addresses: a gateway's host, a domain's mail exchangers (RFC 5321 section 5.1, RFC 7505).

What a user named is resolved once, all of its addresses are checked, and only these are connected to: a name that has
another address a moment later (DNS rebinding) gains nothing. Knows no message and no outcome.
"""

import asyncio
import random
import socket
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
from dns.rdata import Rdata
from dns.rdtypes.ANY.MX import MX

from outgate.egress.guard import Guard, is_address, plain
from outgate.frozen import frozen

# Who owns a domain decides how many exchangers and addresses it has; we, how many are looked up, and tried.
EXCHANGERS: Final = 10
ADDRESSES: Final = 5
OF_EACH: Final = 2  # of several exchangers; so at least three of them are tried


@frozen
class Host:
    """A host to try: the name that its certificate must bear, and one of its addresses."""

    name: str
    address: str


@frozen
class Unresolved:
    """Why there is nothing to connect to. `status` is an enhanced status code (RFC 3463): 4.x.x may be otherwise later.

    `forbidden` says that the guard refused what was found.
    """

    status: str
    reason: str
    forbidden: bool = False


class Resolver:
    """Asks the nameservers of the configuration, or the system's."""

    def __init__(self, nameservers: Sequence[str], guard: Guard) -> None:
        self.guard = guard
        self._own = bool(nameservers)
        self._dns = dns.asyncresolver.Resolver(configure=not nameservers)
        self._dns.lifetime = 15.0
        self._dns.cache = dns.resolver.LRUCache(10_000)
        if nameservers:
            self._dns.nameservers = [nameserver(text) for text in nameservers]

    async def guarded(self, name: str, port: int | None = None) -> list[Host] | Unresolved:
        """The addresses of a host that a user named, each of them checked; one that is forbidden is left out.

        `port` is that of a user's gateway, to be on the list of `egress.ports`; other services have no such list.
        """
        port_reason = self.guard.refuses_port(port) if port is not None else None
        if reason := port_reason or self.guard.refuses_name(name):
            return _forbidden(name, reason)
        addresses = await self._addresses(plain(name))
        if isinstance(addresses, Unresolved):
            return addresses
        if reason := self.guard.refuses(name, addresses):
            return _forbidden(name, reason)
        return _some(plain(name), self.guard.allowed(name, addresses))

    async def host(self, name: str) -> list[Host] | Unresolved:
        """The addresses of a host that the administrator named, in the order to try: they are not checked."""
        addresses = await self._addresses(name)
        return addresses if isinstance(addresses, Unresolved) else _some(name, addresses)

    async def _addresses(self, name: str) -> list[str] | Unresolved:
        if is_address(name):
            return [name]
        try:
            addresses = await (self._by_dns(name) if self._own else self._by_system(name))
        except dns.resolver.NXDOMAIN:
            return Unresolved("4.4.3", f"the host {name} does not exist in the DNS")
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            return Unresolved("4.4.3", f"the host {name} could not be resolved: {_words(error)}")
        if not addresses:
            return Unresolved("4.4.3", f"the host {name} has no address")
        return addresses

    async def exchangers(self, domain: str) -> list[str] | Unresolved:
        """The names of a domain's mail exchangers (A-labels), best first, equal preferences shuffled."""
        try:
            answer = await self._dns.resolve(domain, "MX")
        except dns.resolver.NXDOMAIN:
            return Unresolved("5.1.2", f"the domain {domain} does not exist")
        except dns.resolver.NoAnswer:
            names = [domain]  # RFC 5321 section 5.1: the domain itself is then its exchanger
        except dns.exception.DNSException as error:
            return Unresolved("4.4.3", f"the mail exchangers of {domain} could not be found: {_words(error)}")
        else:
            names = _by_preference([record for record in answer if isinstance(record, MX)])
        if names == [""]:
            return Unresolved("5.1.10", f"the domain {domain} takes no mail (null MX, RFC 7505)")
        return names

    async def records(self, name: str, kind: str) -> list[Rdata] | Unresolved:
        """The records of one type (`SRV`, `MX`) that a name has, aliases followed; [] if there are none."""
        try:
            return list(await self._dns.resolve(name, kind))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.DNSException as error:
            return Unresolved("4.4.3", f"the {kind} records of {name} could not be found: {_words(error)}")

    async def reach(self, domain: str, names: Sequence[str]) -> list[Host] | Unresolved:
        """The checked addresses of those exchangers of a domain, in their order.

        An exchanger that is forbidden is left out; if no other is left, the domain takes no mail from us.
        """
        found = await asyncio.gather(*(self.guarded(name) for name in names[:EXCHANGERS]))
        good = [one for one in found if not isinstance(one, Unresolved)]
        if good:
            each = ADDRESSES if len(good) == 1 else OF_EACH
            return [host for one in good for host in one[:each]][:ADDRESSES]
        faults = [one for one in found if isinstance(one, Unresolved)]
        # As long as one of them may have an address later, the message waits for it.
        waits = [one for one in faults if not one.forbidden]
        if faults and not waits:
            return Unresolved("5.4.4", faults[0].reason, forbidden=True)
        return next(iter(waits), Unresolved("4.4.3", f"no mail exchanger of {domain} has an address"))

    async def literal(self, domain: str) -> list[Host] | Unresolved:
        """The checked address of a domain that is an address literal (RFC 5321 section 4.1.3)."""
        text = domain.strip("[]").removeprefix("IPv6:").removeprefix("ipv6:")
        if not is_address(text):
            return Unresolved("5.1.2", f"{domain} is no address literal")
        return await self.reach(domain, [text])

    async def _by_dns(self, name: str) -> list[str]:
        answer = await self._dns.resolve_name(name)
        addresses = list(answer.addresses())
        random.shuffle(addresses)  # spreads load
        return addresses

    async def _by_system(self, name: str) -> list[str]:
        """The system's way also knows /etc/hosts, which a host in the own network may need."""
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _some(name: str, addresses: Sequence[str]) -> list[Host]:
    """As many as are tried, both families by turns: who reaches only one of them reaches half of these at least."""
    first = ":" in addresses[0]
    families = ([one for one in addresses if (":" in one) is kind] for kind in (first, not first))
    mixed = [one for pair in zip_longest(*families) for one in pair if one is not None]
    return [Host(name, address) for address in mixed[:ADDRESSES]]


def _forbidden(name: str, reason: str) -> Unresolved:
    return Unresolved("4.4.4", f"the host {name[:255]!r} may not be connected to: {reason}", forbidden=True)


def _by_preference(records: Sequence[MX]) -> list[str]:
    shuffled = sorted(records, key=lambda record: (record.preference, random.random()))  # noqa: S311 -- spreads load
    return [
        record.exchange.to_text(omit_final_dot=True).lower() if len(record.exchange) > 1 else "" for record in shuffled
    ]


def nameserver(text: str) -> dns.nameserver.Nameserver:
    """A DNS server of `delivery.nameservers`, written as `address` or `address:port`."""
    host, separator, port = text.rpartition(":")
    if separator and port.isdigit() and not is_address(text):
        return dns.nameserver.Do53Nameserver(host.strip("[]"), int(port))
    return dns.nameserver.Do53Nameserver(text, 53)


def _words(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
