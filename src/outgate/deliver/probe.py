"""Tries a gateway the way delivery would: resolve, check, connect, TLS, log-in, sender. Hands nothing over.

What a user is told must not serve to scan: of a host that was not connected to, whatever the cause, there is one text
after one time. What the peer itself said is told, since the user could ask it as well.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from outgate.config import Config
from outgate.deliver.connection import Connection, unreachable
from outgate.deliver.credentials import given
from outgate.deliver.http_transport import HttpTrial
from outgate.deliver.mail_api import APIS
from outgate.deliver.outcome import Outcome
from outgate.deliver.tls_policy import gateway_tls
from outgate.deliver.transports import gateway_link, timeouts_of, verifying_context
from outgate.egress.resolver import Host, Resolver, Unresolved
from outgate.frozen import frozen
from outgate.model import WHOLE_DOMAIN, Gateway

PATIENCE = 8.0  # seconds; long enough for three SYNs (RFC 6298: sent after 0, 1 and 3 s)
TOO_OFTEN = "gateways were tried too often; try again later"

Found = list[Host] | Unresolved


class ProbeStep(StrEnum):
    """How far a try has come. That a host was found is told with that it was connected to, never before."""

    CONNECTED = "connected"
    SECURED = "secured"
    LOGGED_IN = "logged-in"
    SENDER_ACCEPTED = "sender-accepted"


Told = Callable[[ProbeStep, str], None]  # a step, and what belongs to it: an address, a version of TLS


def _nobody(_step: ProbeStep, _detail: str) -> None:
    """Where nobody watches."""


class ProbeRates(Protocol):
    """Counts events over all processes."""

    def hit(self, rate: str, *key: str) -> bool:
        """Count one for the key; False if that is more than the rate (as in `20/1hour`) lets it be."""


class Trial(Protocol):
    """One address tried, step by step; each says why it failed."""

    @property
    def tls(self) -> str:
        """The version of TLS, once it is there."""

    async def connect(self, within: float) -> Outcome | None:
        """No more than that."""

    async def establish(self, secured: Callable[[], None]) -> Outcome | None:
        """TLS, which `secured` hears of, and the log-in."""

    async def try_sender(self, sender: str) -> Outcome | None:
        """Whether it takes mail from there."""

    def hang_up(self) -> None:
        """That is all."""


@frozen
class Probed:
    """What came of a try: nothing to say if the gateway works. `public` is for users, `detail` for administrators."""

    public: str = ""
    detail: str = ""
    connected: bool = False

    @property
    def works(self) -> bool:
        """Whether a message could be handed over now."""
        return not self.detail


class Prober:
    """Tries gateways with the settings that delivery has."""

    def __init__(self, config: Config, resolver: Resolver) -> None:
        self._config, self._resolver = config, resolver
        self._timeouts = timeouts_of(config.delivery)
        self._verifying = verifying_context(config)

    async def domain_gateway(self, gateway: Gateway, secret: str, told: Told = _nobody) -> Probed:
        """Try an outbound gateway of the organisation, each host of it: the administrator chose it, so it may be
        anywhere.
        """
        probed = Probed()
        for name in gateway.hosts:
            one = replace(gateway, host=name, fallbacks=())
            probed = await self._probe(one, secret, self._resolver.host(name), None, told)
            if not probed.works:
                return replace(probed, detail=f"{name}: {probed.detail}") if gateway.fallbacks else probed
        return probed

    async def gateway(self, gateway: Gateway, secret: str, sender: str) -> Probed:
        """Try a user's gateway at the administrator's console: not limited, and as soon as it is known."""
        return await self._probe(gateway, secret, self._guarded(gateway), None, sender=sender)

    async def gateway_for(
        self,
        user: str,
        gateway: Gateway,
        secret: str,
        rates: ProbeRates,
        patience: float = PATIENCE,
        told: Told = _nobody,
        sender: str = "",
    ) -> Probed:
        """Try a user's gateway for the user, who is to see `public` alone, and what is `told`. `sender` is the address
        that it is for.

        Finding and connecting get `patience` seconds, and if they fail they took as many.
        """
        limits = self._config.egress
        # All targets count, those that are refused as well: a limit that knows them apart would tell them apart.
        if not await _hit(rates, limits.probes_per_user, "probe user", user) or not await _hit(
            rates, limits.probes_per_host, "probe host", gateway.host
        ):
            return Probed(TOO_OFTEN, TOO_OFTEN)
        hosts = self._not_too_often(self._guarded(gateway), rates)
        return await self._probe(gateway, secret, hosts, patience, told, sender)

    def _guarded(self, gateway: Gateway) -> Awaitable[Found]:
        """Where it is, if it may be connected to. The port of a provider's interface is the administrator's choice."""
        port = gateway.port if gateway.is_smtp else None
        return self._resolver.guarded(gateway.host, port)

    def _trials(self, gateway: Gateway, secret: str) -> Callable[[Host], Trial]:
        """How one of its addresses is tried."""
        log_in = given(gateway, secret) if secret else None
        if (api := APIS.get(gateway.kind)) and log_in:
            return lambda host: HttpTrial(api, host, gateway.port, log_in, self._timeouts, self._verifying)
        link = gateway_link(self._config, gateway, log_in, gateway_tls(gateway))
        return lambda host: Connection(host, link, self._timeouts, self._verifying)

    async def _not_too_often(self, found: Awaitable[Found], rates: ProbeRates) -> Found:
        """A host has as many names as somebody gives it, so its addresses count as well."""
        hosts = await found
        if isinstance(hosts, Unresolved):
            return hosts
        rate = self._config.egress.probes_per_host
        left = [host for host in hosts if await _hit(rates, rate, "probe address", host.address)]
        return left or Unresolved("4.7.1", f"{hosts[0].name}[{hosts[0].address}] was tried too often")

    async def _probe(
        self,
        gateway: Gateway,
        secret: str,
        found: Awaitable[Found],
        patience: float | None,
        told: Told = _nobody,
        sender: str = "",
    ) -> Probed:
        loop = asyncio.get_running_loop()
        until = None if patience is None else loop.time() + patience
        try:
            async with asyncio.timeout_at(until):
                hosts = await found
        except TimeoutError:
            hosts = Unresolved("4.4.3", f"the host {gateway.host} could not be resolved in time")
        # An interface has no such question, and all of a domain is no sender.
        asked = sender if gateway.is_smtp and not sender.startswith(WHOLE_DOMAIN) else ""
        reason, connected = await self._reason(self._trials(gateway, secret), hosts, until, told, asked)
        if connected or not reason:
            return Probed(reason, reason, connected)
        if until is not None:
            await asyncio.sleep(until - loop.time())
        return Probed(unreachable(gateway.host, gateway.port), reason)

    async def _reason(
        self, trial_of: Callable[[Host], Trial], hosts: Found, until: float | None, told: Told, sender: str
    ) -> tuple[str, bool]:
        """What stands in the way, empty if nothing does; and whether any host was connected to."""
        if isinstance(hosts, Unresolved):
            return hosts.reason, False
        unreached: Outcome | None = None
        refused: Outcome | None = None
        for number, host in enumerate(hosts):
            connection = trial_of(host)
            if failed := await connection.connect(self._within(until, len(hosts) - number)):
                unreached = unreached or failed
                continue
            told(ProbeStep.CONNECTED, host.address)
            failed = await _handed_in(connection, told, sender)
            connection.hang_up()
            if failed is None:
                return "", True
            refused = refused or failed
        worst = refused or unreached
        return worst.reason if worst else "there is no host to try", refused is not None

    def _within(self, until: float | None, hosts_left: int) -> float:
        """Seconds to connect to one of the hosts that are left."""
        if until is None:
            return self._timeouts.connect
        return max(0.0, until - asyncio.get_running_loop().time()) / hosts_left


async def _handed_in(connection: Trial, told: Told, sender: str) -> Outcome | None:
    """All that comes before a message's recipients. None if nothing stands in the way."""
    failed = await connection.establish(lambda: told(ProbeStep.SECURED, connection.tls))
    if failed is None:
        told(ProbeStep.LOGGED_IN, "")
        if sender and (failed := await connection.try_sender(sender)) is None:
            told(ProbeStep.SENDER_ACCEPTED, sender)
    return failed


async def _hit(rates: ProbeRates, rate: str, *key: str) -> bool:
    return await asyncio.to_thread(rates.hit, rate, *key)
