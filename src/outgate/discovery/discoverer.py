"""Looks for a gateway's settings at all places at once. Asks the DNS and, by egress.http, the domain's web server.

No candidate is connected to: that is the probe's part (deliver/).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.SRV import SRV

from outgate.discovery import autoconfig, pacc, srv
from outgate.discovery.candidates import (
    Candidate,
    Certainty,
    Discovered,
    DiscoveryOutcome,
    Looked,
    NotUnderstood,
    Sought,
    Source,
)
from outgate.discovery.presets import Preset, Presets
from outgate.egress.https_client import HttpsClient, NotFetched
from outgate.egress.resolver import Resolver, Unresolved
from outgate.model import Security

PATIENCE = 10.0  # seconds for all

_GUESSED_PORT = 587

_Look = Callable[[str, Sought], Awaitable[Discovered]]


class Discoverer:
    """Asks with the resolver and the presets given."""

    def __init__(self, resolver: Resolver, https: HttpsClient, presets: Presets, patience: float = PATIENCE) -> None:
        self._resolver, self._https, self._presets = resolver, https, presets
        self._patience = patience

    async def discover(self, address: str) -> Discovered:
        """All candidates for an address, the best first; raises AddressError.

        The order is that of Source: preset of the domain, PACC, SRV, autoconfig, preset by the exchangers, exchanger.
        """
        sought = Sought.of(address)
        places = [
            (self._by_pacc, Source.PACC, pacc.url(sought)),
            *((self._by_srv, Source.SRV, f"{service}.{sought.domain}") for service in srv.SERVICES),
            *((self._by_autoconfig, Source.AUTOCONFIG, url) for url in autoconfig.urls(sought)),
            (self._by_exchanger, Source.MX, f"{sought.domain} MX"),
        ]
        found = await asyncio.gather(*(self._in_time(*place, sought) for place in places))
        return Discovered.of_all([self._by_domain(sought), *found])

    async def _in_time(self, look: _Look, source: Source, where: str, sought: Sought) -> Discovered:
        try:
            async with asyncio.timeout(self._patience):
                return self._allowed(await look(where, sought))
        except TimeoutError:
            return _looked(source, where, DiscoveryOutcome.NO_ANSWER, f"no answer within {self._patience:g} seconds")

    def _allowed(self, found: Discovered) -> Discovered:
        """Without the candidates that a user could not have as a gateway anyway, which is then said."""
        reasons = [self._against(candidate) for candidate in found.candidates]
        if not any(reasons):
            return found
        kept = tuple(one for one, reason in zip(found.candidates, reasons, strict=True) if not reason)
        outcome = DiscoveryOutcome.FOUND if kept else DiscoveryOutcome.UNUSABLE
        said = "; ".join(dict.fromkeys(reason for reason in reasons if reason))
        return Discovered(kept, tuple(replace(one, outcome=outcome, detail=said) for one in found.looked_at))

    def _against(self, candidate: Candidate) -> str | None:
        guard = self._resolver.guard
        if "." not in candidate.host:
            return f"{candidate.host} is not a host of the internet"
        return guard.refuses_port(candidate.port) or guard.refuses_name(candidate.host)

    def _by_domain(self, sought: Sought) -> Discovered:
        preset = self._presets.by_domain(sought.domain)
        if preset is None:
            return _looked(Source.PRESET, sought.domain, DiscoveryOutcome.NOTHING)
        candidate = _of_preset(preset, sought, Source.PRESET, Certainty.KNOWN)
        return _found(Source.PRESET, sought.domain, (candidate,), preset.name)

    async def _by_pacc(self, url: str, sought: Sought) -> Discovered:
        """The web server is asked only where the DNS has a digest that its document must have."""
        records = await self._resolver.records(pacc.record_name(sought), "TXT")
        if isinstance(records, Unresolved):
            return _looked(Source.PACC, url, DiscoveryOutcome.NO_ANSWER, records.reason)
        known = pacc.digests(b"".join(one.strings) for one in records if isinstance(one, TXT))
        if not known:
            return _looked(Source.PACC, url, DiscoveryOutcome.NOTHING)
        return await self._by_document(Source.PACC, url, lambda document: pacc.read(document, known, sought))

    async def _by_srv(self, name: str, sought: Sought) -> Discovered:
        answer = await self._resolver.records(name, "SRV")
        if isinstance(answer, Unresolved):
            return _looked(Source.SRV, name, DiscoveryOutcome.NO_ANSWER, answer.reason)
        records = [
            srv.SrvRecord(one.priority, one.weight, one.port, one.target.to_text())
            for one in answer
            if isinstance(one, SRV)
        ]
        security = srv.SERVICES[name.removesuffix(f".{sought.domain}")]
        outcome, candidates = srv.read(records, security, sought)
        return Discovered(candidates, (Looked(Source.SRV, name, outcome),))

    async def _by_autoconfig(self, url: str, sought: Sought) -> Discovered:
        return await self._by_document(Source.AUTOCONFIG, url, lambda document: autoconfig.read(document, sought))

    async def _by_document(
        self, source: Source, url: str, read: Callable[[bytes], tuple[Candidate, ...]]
    ) -> Discovered:
        """What a domain's web server says; `read` raises NotUnderstood."""
        answer = await self._https.get(url)
        if isinstance(answer, NotFetched):
            return _looked(source, url, DiscoveryOutcome.NO_ANSWER, answer.reason)
        if answer.status != 200:
            return _looked(source, url, DiscoveryOutcome.NOTHING, f"status {answer.status}")
        try:
            candidates = read(answer.content)
        except NotUnderstood as error:
            return _looked(source, url, DiscoveryOutcome.UNUSABLE, str(error))
        if not candidates:
            return _looked(source, url, DiscoveryOutcome.UNUSABLE, "it names no SMTP server with TLS")
        return _found(source, url, candidates)

    async def _by_exchanger(self, where: str, sought: Sought) -> Discovered:
        answer = await self._resolver.records(sought.domain, "MX")
        if isinstance(answer, Unresolved):
            return _looked(Source.MX, where, DiscoveryOutcome.NO_ANSWER, answer.reason)
        hosts = _hosts([one for one in answer if isinstance(one, MX)])
        if hosts == ["."]:
            return _looked(Source.MX, where, DiscoveryOutcome.NOT_OFFERED, "the domain takes no mail (RFC 7505)")
        if not hosts:
            return _looked(Source.MX, where, DiscoveryOutcome.NOTHING)
        preset = next(filter(None, map(self._presets.by_exchanger, hosts)), None)
        if preset:
            known = _of_preset(preset, sought, Source.MX_PRESET, Certainty.LIKELY)
            return _found(Source.MX_PRESET, where, (replace(known, confirm=not sought.has(known.host)),), preset.name)
        return _found(Source.MX, where, (_guess(hosts[0], sought),))


def _of_preset(preset: Preset, sought: Sought, source: Source, certainty: Certainty) -> Candidate:
    username = sought.username(preset.username)
    return Candidate(preset.host, preset.port, preset.security, username, source, certainty, preset.hint)


def _guess(host: str, sought: Sought) -> Candidate:
    return Candidate(
        host,
        _GUESSED_PORT,
        Security.STARTTLS,
        sought.address,
        Source.MX,
        Certainty.GUESS,
        "a guess: the server that takes the domain's mail may not be the one that sends it",
        confirm=not sought.has(host),
    )


def _hosts(records: Sequence[MX]) -> list[str]:
    """The exchangers' names, best first; "." is that of a null MX."""
    ordered = sorted(records, key=lambda record: (record.preference, record.exchange.to_text()))
    return [record.exchange.to_text().lower().removesuffix(".") or "." for record in ordered]


def _found(source: Source, where: str, candidates: tuple[Candidate, ...], detail: str = "") -> Discovered:
    return Discovered(candidates, (Looked(source, where, DiscoveryOutcome.FOUND, detail),))


def _looked(source: Source, where: str, outcome: DiscoveryOutcome, detail: str = "") -> Discovered:
    return Discovered((), (Looked(source, where, outcome, detail),))
