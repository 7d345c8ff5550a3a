"""What the DNS says of one of the organisation's own domains: whether its mail will pass SPF, DKIM and DMARC.

Only DNS questions are asked; no server is connected to.
"""

import asyncio
from collections.abc import Iterable, Sequence

from outgate.advisor import dkim_check, dmarc_check
from outgate.advisor.ask import Names, NoAnswerNow
from outgate.advisor.dkim_check import Signing
from outgate.advisor.findings import Dkim, DmarcRecord, Spf, SpfCheck
from outgate.config import Config
from outgate.egress.guard import is_address
from outgate.frozen import frozen


@frozen
class DomainFindings:
    """`addresses` are those that the domain's mail leaves from, as far as they are known; `spf` is the worst result of
    them. `unanswered` names what the DNS gave no answer to.
    """

    addresses: tuple[str, ...]
    spf: Spf
    dkim: Dkim
    dmarc: DmarcRecord | None
    unanswered: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether recipients will be able to check the domain's mail."""
        return self.spf is Spf.PASS and self.dkim is Dkim.PASS and self.dmarc is not None


_WORST_KEY = (Dkim.KEY_DIFFERS, Dkim.KEY_MISSING, Dkim.UNKNOWN, Dkim.PASS)
# The worst first: mail may leave from any of the addresses.
_WORST = (Spf.FAIL, Spf.PERMERROR, Spf.SOFTFAIL, Spf.NONE, Spf.NEUTRAL, Spf.TEMPERROR, Spf.UNKNOWN, Spf.PASS)


async def keys_found(names: Names, domain: str, keys: Iterable[Signing]) -> list[Dkim]:
    """What the DNS says of each of a domain's keys, in their order: UNKNOWN if it gives no answer."""
    return await asyncio.gather(*(_key_found(names, domain, key) for key in keys))


async def _key_found(names: Names, domain: str, key: Signing) -> Dkim:
    try:
        return dkim_check.published(key, await names.texts(dkim_check.key_name(key.selector, domain)))
    except NoAnswerNow:
        return Dkim.UNKNOWN


class DomainCheck:
    """Asks the nameservers of the configuration."""

    def __init__(self, config: Config, seconds: float = 10.0) -> None:
        self._source = config.delivery.source_address
        self._names = Names(config.delivery.nameservers, seconds)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The IP addresses that a host has in the DNS. Raises NoAnswerNow."""
        return (host,) if is_address(host) else await self._names.addresses(host)

    async def findings(self, domain: str, signing: Sequence[Signing], host: str) -> DomainFindings:
        """All that is known of a domain whose mail leaves by `host`, signed with these keys, of which the worst counts.

        Raises extras.MissingExtra.
        """
        (addresses, spf, *of_spf), (dkim, *of_dkim), (dmarc, *of_dmarc) = await asyncio.gather(
            self._spf(domain, host), self._dkim(domain, signing), self._dmarc(domain)
        )
        return DomainFindings(addresses, spf, dkim, dmarc, (*of_spf, *of_dkim, *of_dmarc))

    # Each returns what it found, then the names to which there was no answer.

    async def _spf(self, domain: str, host: str) -> tuple[tuple[str, ...], Spf, *tuple[str, ...]]:
        from outgate.advisor import spf_check  # noqa: PLC0415  # its library comes with an extra

        try:
            addresses = (self._source,) if self._source else await self.addresses(host)
        except NoAnswerNow as error:
            return (), Spf.UNKNOWN, error.unanswered.name
        ask = self._names.from_thread()
        checks: list[SpfCheck] = await asyncio.gather(
            *(asyncio.to_thread(spf_check.evaluate, one, f"postmaster@{domain}", host, ask) for one in addresses)
        )
        worst = min((one.result for one in checks), key=_WORST.index, default=Spf.UNKNOWN)
        return addresses, worst, *(one.unanswered.name for one in checks if one.unanswered)

    async def _dkim(self, domain: str, signing: Sequence[Signing]) -> tuple[Dkim, *tuple[str, ...]]:
        found = await keys_found(self._names, domain, signing)
        worst = min(found, key=_WORST_KEY.index, default=Dkim.NOT_SIGNED)
        unanswered = [key for key, result in zip(signing, found, strict=True) if result is Dkim.UNKNOWN]
        return worst, *(dkim_check.key_name(key.selector, domain) for key in unanswered)

    async def _dmarc(self, domain: str) -> tuple[DmarcRecord | None, *tuple[str, ...]]:
        try:
            return (await dmarc_check.discover(domain, self._names.texts, self._names.exists),)
        except NoAnswerNow as error:
            return None, error.unanswered.name
