"""Names to addresses: a gateway's host, a domain's mail exchangers (RFC 5321 section 5.1, RFC 7505).

What a user named is resolved once, all of its addresses are checked, and only these are connected to: a name that has
another address a moment later (DNS rebinding) gains nothing. Whether DNSSEC secures an answer is the nameserver's word
(its AD bit, RFC 6840 section 5.8), which counts only where it comes by a way that nobody else is on. Knows no message
and no outcome.
"""

import asyncio
import random
import socket
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from itertools import zip_longest
from typing import Final, Literal

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.nameserver
import dns.resolver
from dns.rdata import Rdata
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TLSA import TLSA

from outgate.egress.guard import Guard, is_address, plain
from outgate.frozen import frozen

# Who owns a domain decides how many exchangers and addresses it has; we, how many are looked up, and tried.
EXCHANGERS: Final = 10
ADDRESSES: Final = 5
OF_EACH: Final = 2  # of several exchangers; so at least three of them are tried

Dane = Literal["local", "trusted", "off"]  # whose word on DNSSEC counts: nameservers of this machine, all, nobody's
_NOT_LOCAL: Final = (
    "a nameserver is not on this machine, and what it says of DNSSEC could be anybody's on the way; run a validating"
    ' resolver here (as unbound), or set delivery.dane = "trusted" if the way to it is safe'
)


@frozen
class Host:
    """A host to try: the name that its certificate must bear, and one of its addresses.

    `tlsa_names`: where DNSSEC secures the way to it, the names at which its TLSA records may be (RFC 7672 section
    2.2.3).
    """

    name: str
    address: str
    tlsa_names: tuple[str, ...] = ()


@frozen
class MailExchangers:
    """The names of a domain's mail exchangers, best first. `secure`: DNSSEC says so."""

    names: tuple[str, ...]
    secure: bool = False


@frozen
class Unresolved:
    """Why there is nothing to connect to. `status` is an enhanced status code (RFC 3463): 4.x.x may be otherwise later.

    `forbidden` says that the guard refused what was found, `bogus` that its DNSSEC signatures do not hold.
    """

    status: str
    reason: str
    forbidden: bool = False
    bogus: bool = False


@frozen
class NamedAddresses:
    """What a name has: addresses, and `tlsa_names` as in Host."""

    addresses: tuple[str, ...]
    tlsa_names: tuple[str, ...] = ()


@frozen
class FoundTlsa:
    """The TLSA records (RFC 6698) that DNSSEC secures, and the name of the host that they were found for."""

    name: str
    records: tuple[TLSA, ...]


class Bogus(dns.exception.DNSException):
    """There is an answer, and its signatures do not hold (RFC 4033 section 5)."""


class Resolver:
    """Asks the nameservers of the configuration, or the system's."""

    def __init__(self, nameservers: Sequence[str], guard: Guard, dane: Dane = "off") -> None:
        self.guard = guard
        self._own = bool(nameservers)
        self._dns = _resolver(nameservers, dns.flags.RD | dns.flags.AD)
        self._dns.cache = dns.resolver.LRUCache(10_000)
        self._unchecked = _resolver(nameservers, dns.flags.RD | dns.flags.CD)
        self._dane = dane
        self._trusted = dane == "trusted" or (dane == "local" and self._is_local)

    @property
    def _is_local(self) -> bool:
        return all(is_loopback(str(one)) for one in self._dns.nameservers)

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

    async def _addresses(self, name: str) -> Sequence[str] | Unresolved:
        if is_address(name):
            return [name]
        found = await self._resolved(name, self._by_dns(name) if self._own else self._by_system(name))
        return found if isinstance(found, Unresolved) else found.addresses

    async def _resolved(self, name: str, found: Awaitable[NamedAddresses]) -> NamedAddresses | Unresolved:
        try:
            known = await found
        except dns.resolver.NXDOMAIN:
            return Unresolved("4.4.3", f"the host {name} does not exist in the DNS")
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            return Unresolved("4.4.3", f"the host {name} could not be resolved: {_words(error)}")
        return known if known.addresses else Unresolved("4.4.3", f"the host {name} has no address")

    async def validates(self) -> str:
        """Why DANE can't be used, by asking for what is signed for sure: the root's nameservers. Empty if it can."""
        if not self._trusted:
            return _NOT_LOCAL if self._dane == "local" else "it is switched off (delivery.dane)"
        try:
            answer = await self._ask(".", "NS")
        except dns.exception.DNSException as error:
            return f"the nameservers do not answer for the root: {_words(error)}"
        return "" if self._is_secure(answer) else "the nameservers do not validate: the root's records came without AD"

    async def exchangers(self, domain: str) -> MailExchangers | Unresolved:
        """The names of a domain's mail exchangers (A-labels), equal preferences shuffled."""
        try:
            answer = await self._ask(domain, "MX")
        except dns.resolver.NXDOMAIN:
            return Unresolved("5.1.2", f"the domain {domain} does not exist")
        except dns.exception.DNSException as error:
            return Unresolved("4.4.3", f"the mail exchangers of {domain} could not be found: {_words(error)}")
        # RFC 5321 section 5.1: without any, the domain itself is its exchanger.
        names = _by_preference([record for record in answer.rrset or () if isinstance(record, MX)]) or [domain]
        if names == [""]:
            return Unresolved("5.1.10", f"the domain {domain} takes no mail (null MX, RFC 7505)")
        return MailExchangers(tuple(names), self._is_secure(answer))

    async def tlsa(self, port: int, names: Sequence[str]) -> FoundTlsa | Unresolved | None:
        """The TLSA records at the first of these names that has any, with the name; None if there are none that DNSSEC
        secures. Without an answer nobody knows, and the host must not be connected to (RFC 7672 section 2.1.2).
        """
        for name in names:
            owner = f"_{port}._tcp.{name}"
            try:
                answer = await self._ask(owner, "TLSA")
            except dns.resolver.NXDOMAIN:
                continue
            except dns.exception.DNSException as error:
                words = f"the TLSA records of {owner} could not be found: {_words(error)}"
                return Unresolved("4.4.3", words, bogus=isinstance(error, Bogus))
            records = [one for one in answer.rrset or () if isinstance(one, TLSA)]
            if records and self._is_secure(answer):
                return FoundTlsa(name, tuple(records))
        return None

    async def records(self, name: str, kind: str) -> list[Rdata] | Unresolved:
        """The records of one type (`SRV`, `MX`) that a name has, aliases followed; [] if there are none."""
        try:
            return list((await self._ask(name, kind)).rrset or ())
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.DNSException as error:
            return Unresolved("4.4.3", f"the {kind} records of {name} could not be found: {_words(error)}")

    async def reach(self, domain: str, names: Sequence[str]) -> list[Host] | Unresolved:
        """The checked addresses of those exchangers of a domain, in their order.

        An exchanger that is forbidden is left out; if no other is left, the domain takes no mail from us.
        """
        found = await asyncio.gather(*(self._exchanger(name) for name in names[:EXCHANGERS]))
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

    async def _exchanger(self, name: str) -> list[Host] | Unresolved:
        """The checked addresses of an exchanger. It is not asked of the system, which also knows names of its own."""
        if reason := self.guard.refuses_name(name):
            return _forbidden(name, reason)
        if is_address(name):
            found = NamedAddresses((name,))
        else:
            answer = await self._resolved(name, self._by_dns(plain(name)))
            if isinstance(answer, Unresolved):
                return answer
            found = answer
        if reason := self.guard.refuses(name, found.addresses):
            return _forbidden(name, reason)
        hosts = _some(plain(name), self.guard.allowed(name, found.addresses))
        return [replace(host, tlsa_names=found.tlsa_names) for host in hosts]

    async def _by_dns(self, name: str) -> NamedAddresses:
        """What the DNS says for either family; one that has no answer is left out if the other has one."""
        both = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"), return_exceptions=True)
        answers = [one for one in both if not isinstance(one, BaseException)]
        addresses = [record.address for answer in answers for record in answer.rrset or ()]
        for one in both:
            if isinstance(one, BaseException) and not addresses:
                raise one
        random.shuffle(addresses)  # spreads load
        return NamedAddresses(tuple(addresses), await self._tlsa_names(name, answers))

    async def _tlsa_names(self, name: str, answers: Sequence[dns.resolver.Answer]) -> tuple[str, ...]:
        """The name that aliases lead to comes first, if all of the way is secure; if it is not, the name itself counts,
        if that it is an alias is (RFC 7672 section 2.2.3).
        """
        meant = {answer.canonical_name.to_text().lower().removesuffix(".") for answer in answers}
        if all(self._is_secure(answer) for answer in answers):
            return (*(one for one in sorted(meant) if one != name), name)
        if not self._trusted or meant == {name}:
            return ()
        try:
            alias = await self._ask(name, "CNAME")
        except dns.exception.DNSException:
            return ()
        return (name,) if self._is_secure(alias) else ()

    async def _ask(self, name: str, kind: str) -> dns.resolver.Answer:
        """One question; without records of this kind the answer has no `rrset`. Raises DNSException, and Bogus."""
        try:
            return await self._dns.resolve(name, kind, raise_on_no_answer=False)
        except dns.resolver.NoNameservers:
            if self._trusted and await self._is_bogus(name, kind):
                raise Bogus from None
            raise

    async def _is_bogus(self, name: str, kind: str) -> bool:
        """Whether there is an answer for whoever does not check it (RFC 4035 section 3.2.2)."""
        try:
            await self._unchecked.resolve(name, kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return True
        except dns.exception.DNSException:
            return False
        return True

    def _is_secure(self, answer: dns.resolver.Answer) -> bool:
        return self._trusted and bool(answer.response.flags & dns.flags.AD)

    async def _by_system(self, name: str) -> NamedAddresses:
        """The system's way also knows /etc/hosts, which a host in the own network may need."""
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return NamedAddresses(tuple(dict.fromkeys(str(entry[4][0]) for entry in found)))


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


def is_loopback(nameserver: str) -> bool:
    """Whether a DNS server, as dnspython writes it, is on this machine: nobody else is on the way to it."""
    host = nameserver.removeprefix("Do53:").rpartition("@")[0] or nameserver
    return is_address(host) and ip_address(host).is_loopback


def _resolver(nameservers: Sequence[str], flags: int) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    resolver.lifetime = 15.0
    resolver.set_flags(dns.flags.Flag(flags))
    resolver.use_edns(0, 0, 1232)  # no fragments
    if nameservers:
        resolver.nameservers = [nameserver(text) for text in nameservers]
    return resolver


def _words(error: Exception) -> str:
    if isinstance(error, Bogus):
        return "its DNSSEC signatures do not hold"
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
