"""Questions to the DNS by the configured nameservers. Nothing is connected to. Knows nothing of mail.

No answer (SERVFAIL, time-out) and the answer "there is none" are kept apart: the first raises NoAnswerNow.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rcode
import dns.resolver

from outgate.advisor.findings import Unanswered
from outgate.egress.resolver import nameserver

# What a thread asks with: name, type and seconds to wait, to the records' data.
AskFromThread = Callable[[str, str, float], list[Any]]


class NoAnswerNow(Exception):
    """The DNS gave no answer; `unanswered` says to what, and why."""

    def __init__(self, unanswered: Unanswered) -> None:
        super().__init__(f"{unanswered.name}: {unanswered.reason}")
        self.unanswered = unanswered


class Names:
    """Asks the nameservers given as `address` or `address:port`, or the system's; remembers answers for their TTL."""

    def __init__(self, nameservers: Sequence[str], seconds: float = 10.0) -> None:
        self._dns = dns.asyncresolver.Resolver(configure=not nameservers)
        self._dns.cache = dns.resolver.LRUCache(1000)
        self._dns.lifetime = seconds
        if nameservers:
            self._dns.nameservers = [nameserver(text) for text in nameservers]

    async def records(self, name: str, kind: str, seconds: float | None = None) -> list[Any]:
        """The data of a name's records (dnspython's rdata), aliases followed; [] if there are none.

        A name that can't exist, as one with an empty label, has none. Raises NoAnswerNow.
        """
        try:
            return list(await self._dns.resolve(name, kind, search=False, lifetime=seconds))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape, UnicodeError):
            return []
        except dns.exception.DNSException as error:
            raise NoAnswerNow(Unanswered(name, _words(error))) from None

    async def texts(self, name: str) -> list[str]:
        """The TXT records of a name, each in one piece. Raises NoAnswerNow."""
        return [b"".join(record.strings).decode("ascii", "replace") for record in await self.records(name, "TXT")]

    async def exists(self, name: str) -> bool:
        """Whether it has an address or a mail exchanger (RFC 9989 section 3.2.12). Raises NoAnswerNow."""
        return any(await asyncio.gather(*(self.records(name, kind) for kind in ("A", "AAAA", "MX"))))

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The IPv4 and IPv6 addresses of a host. Raises NoAnswerNow."""
        found = await asyncio.gather(self.records(host, "A"), self.records(host, "AAAA"))
        return tuple(record.address for records in found for record in records)

    def from_thread(self) -> AskFromThread:
        """For code that blocks, in a thread beside the running event loop: `records` that waits."""
        loop = asyncio.get_running_loop()

        def ask(name: str, kind: str, seconds: float) -> list[Any]:
            coming = asyncio.run_coroutine_threadsafe(self.records(name, kind, seconds), loop)
            try:
                return coming.result(seconds + 1)  # never for ever, should the loop end meanwhile
            except TimeoutError:
                raise NoAnswerNow(Unanswered(name, "timeout")) from None

        return ask


def _words(error: dns.exception.DNSException) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "timeout"
    if isinstance(error, dns.resolver.NoNameservers):
        responses = [one[4] for one in error.kwargs.get("errors", ()) if one[4] is not None]
        return dns.rcode.to_text(responses[-1].rcode()) if responses else "unreachable"
    return type(error).__name__
