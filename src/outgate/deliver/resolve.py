"""Names to addresses: a gateway's host, a domain's mail exchangers (RFC 5321 section 5.1, RFC 7505)."""

import asyncio
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
from dns.rdtypes.ANY.MX import MX

from outgate.deliver.outcome import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Host:
    """A host to try: the name that its certificate must bear, and one of its addresses."""

    name: str
    address: str


class Resolver:
    """Asks the nameservers of the configuration, or the system's."""

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        self._own = bool(nameservers)
        self._dns = dns.asyncresolver.Resolver(configure=not nameservers)
        self._dns.lifetime = 15.0
        self._dns.cache = dns.resolver.LRUCache(10_000)
        if nameservers:
            self._dns.nameservers = [_nameserver(text) for text in nameservers]

    async def host(self, name: str) -> list[Host] | Outcome:
        """All addresses of one host, in the order to try; an Outcome if it has none."""
        if _is_address(name):
            return [Host(name, name)]
        try:
            addresses = await (self._by_dns(name) if self._own else self._by_system(name))
        except dns.resolver.NXDOMAIN:
            return Outcome(Verdict.RETRY, f"4.4.3 the host {name} does not exist in the DNS")
        except (dns.exception.DNSException, OSError) as error:
            return Outcome(Verdict.RETRY, f"4.4.3 the host {name} could not be resolved: {_words(error)}")
        if not addresses:
            return Outcome(Verdict.RETRY, f"4.4.3 the host {name} has no address")
        return [Host(name, address) for address in addresses]

    async def exchangers(self, domain: str) -> list[Host] | Outcome:
        """The addresses of a domain's mail exchangers, best first, equal preferences shuffled."""
        if domain.startswith("["):
            return _literal(domain)
        try:
            answer = await self._dns.resolve(domain, "MX")
        except dns.resolver.NXDOMAIN:
            return Outcome(Verdict.FAILED, f"5.1.2 the domain {domain} does not exist")
        except dns.resolver.NoAnswer:
            names = [domain]  # RFC 5321 section 5.1: the domain itself is then its exchanger
        except dns.exception.DNSException as error:
            return Outcome(Verdict.RETRY, f"4.4.3 the mail exchangers of {domain} could not be found: {_words(error)}")
        else:
            names = _by_preference([record for record in answer if isinstance(record, MX)])
        if names == [""]:
            return Outcome(Verdict.FAILED, f"5.1.10 the domain {domain} takes no mail (null MX, RFC 7505)")
        return await self._hosts(domain, names)

    async def _hosts(self, domain: str, names: Sequence[str]) -> list[Host] | Outcome:
        found = await asyncio.gather(*(self.host(name) for name in names))
        hosts = [host for one in found if not isinstance(one, Outcome) for host in one]
        if hosts:
            return hosts
        return next((one for one in found if isinstance(one, Outcome)), _no_exchanger(domain))

    async def _by_dns(self, name: str) -> list[str]:
        answer = await self._dns.resolve_name(name)
        return list(answer.addresses())

    async def _by_system(self, name: str) -> list[str]:
        """The system's way also knows /etc/hosts, which a host in the own network may need."""
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _by_preference(records: Sequence[MX]) -> list[str]:
    shuffled = sorted(records, key=lambda record: (record.preference, random.random()))  # noqa: S311 -- spreads load
    return [record.exchange.to_text(omit_final_dot=True) if len(record.exchange) > 1 else "" for record in shuffled]


def _literal(domain: str) -> list[Host] | Outcome:
    """An address literal (RFC 5321 section 4.1.3)."""
    text = domain.strip("[]").removeprefix("IPv6:").removeprefix("ipv6:")
    if _is_address(text):
        return [Host(text, text)]
    return Outcome(Verdict.FAILED, f"5.1.2 {domain} is no address literal")


def _no_exchanger(domain: str) -> Outcome:
    return Outcome(Verdict.RETRY, f"4.4.3 no mail exchanger of {domain} has an address")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _nameserver(text: str) -> dns.nameserver.Nameserver:
    host, separator, port = text.rpartition(":")
    if separator and port.isdigit() and not _is_address(text):
        return dns.nameserver.Do53Nameserver(host.strip("[]"), int(port))
    return dns.nameserver.Do53Nameserver(text, 53)


def _words(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
