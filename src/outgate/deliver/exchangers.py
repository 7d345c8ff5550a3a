"""A recipients' domain made into the hosts to try, each with the TLS that the domain demands of it.

The domain's MTA-STS policy (RFC 8461) is looked up by the domain itself, and what is found holds for connections made
for that domain alone. Opens no connection.
"""

import asyncio

import structlog

from outgate.deliver.tls_policy import SecuredHost, TlsPolicy, alike
from outgate.egress.resolver import Host, Resolver, Unresolved
from outgate.transport_security.sts_policies import StsPolicies
from outgate.transport_security.sts_policy import StsMode, StsPolicy

_log = structlog.get_logger("deliver")


class Exchangers:
    """Finds exchangers with a resolver, and what is demanded of them."""

    def __init__(self, resolver: Resolver, sts_policies: StsPolicies) -> None:
        self._resolver, self._sts_policies = resolver, sts_policies

    async def of(self, domain: str) -> list[SecuredHost] | Unresolved:
        """The hosts to try for a domain (A-labels, or an address literal), best first. Raises StoreUnavailable."""
        if domain.startswith("["):
            hosts = await self._resolver.literal(domain)
            return hosts if isinstance(hosts, Unresolved) else alike(hosts, TlsPolicy.OPPORTUNISTIC)
        finding, names = await asyncio.gather(self._sts_policies.policy_for(domain), self._resolver.exchangers(domain))
        if isinstance(names, Unresolved):
            return names
        policy = finding.policy
        meant = [name for name in names if policy is None or _takes(policy, name)]
        if not meant:
            told = f"no mail exchanger of {domain} is one that its MTA-STS policy names: {', '.join(names)}"
            return Unresolved("4.7.5", told)
        hosts = await self._resolver.reach(domain, meant)
        return hosts if isinstance(hosts, Unresolved) else [_secured(host, policy) for host in hosts]


def _takes(policy: StsPolicy, exchanger: str) -> bool:
    """Section 4.1: who is not named by a policy in force gets no mail."""
    return policy.mode is not StsMode.ENFORCE or policy.names(exchanger)


def _secured(host: Host, policy: StsPolicy | None) -> SecuredHost:
    """Section 5: under `testing` it is tried as if the policy were in force, and then as if there were none."""
    usual = TlsPolicy.OPPORTUNISTIC, TlsPolicy.PLAIN
    if policy is None or not policy.names(host.name):
        return SecuredHost(host, usual[0], usual[1:])
    if policy.mode is StsMode.ENFORCE:
        return SecuredHost(host, TlsPolicy.STARTTLS, demanded_by="the domain's MTA-STS policy")
    return SecuredHost(host, TlsPolicy.STARTTLS, usual, demanded_by="the domain's MTA-STS policy, in testing")
