"""A recipients' domain made into the hosts to try, each with the TLS that the domain demands of it.

For a host with TLSA records it is DANE (RFC 7672), which goes before MTA-STS (RFC 8461 section 2); else the domain's
MTA-STS policy, which is looked up by the domain itself. What is found holds for connections made for that domain alone,
and says how the domain is told of them (RFC 8460). Opens no connection.
"""

import asyncio
from collections.abc import Sequence

from outgate.deliver.tls_policy import SecuredHost, TlsPolicy, alike
from outgate.egress.resolver import FoundTlsa, Host, Resolver, Unresolved
from outgate.frozen import frozen
from outgate.model import TlsDemand
from outgate.transport_security.sts_policies import StsFinding, StsPolicies
from outgate.transport_security.sts_policy import StsMode, StsPolicy
from outgate.transport_security.tls_session import (
    REASON,
    AppliedPolicy,
    CountSession,
    PolicyType,
    ResultType,
    SessionReport,
    TlsFault,
    TlsSession,
    uncounted,
)
from outgate.transport_security.tlsa import TlsaRecord, TlsaSet

# With these, it is known whom the mail is handed to: the name was had by DNSSEC, or is one that a policy names.
_VERIFIED = TlsPolicy.DANE, TlsPolicy.STARTTLS
_UNSURE = "REQUIRETLS was asked for, and neither DNSSEC nor MTA-STS says which are the mail exchangers of"
_USUAL = TlsPolicy.OPPORTUNISTIC, TlsPolicy.PLAIN


_UNNAMED = TlsFault(ResultType.VALIDATION_FAILURE, "the policy does not name this exchanger")


@frozen
class Barred(Unresolved):
    """A host that must not be connected to, by what its domain demands: `session` is how the domain is told."""

    session: TlsSession | None = None


class Exchangers:
    """Finds exchangers that listen at one port with a resolver, and what is demanded of them."""

    def __init__(
        self, resolver: Resolver, sts_policies: StsPolicies, port: int, count: CountSession = uncounted
    ) -> None:
        self._resolver, self._sts_policies, self._port, self._count = resolver, sts_policies, port, count

    async def of(self, domain: str, demand: TlsDemand = TlsDemand.USUAL) -> list[SecuredHost] | Unresolved:
        """The hosts to try for a domain (A-labels, or an address literal), best first. Raises StoreUnavailable."""
        if domain.startswith("[") or demand is TlsDemand.WAIVED:
            hosts = await self._whatever(domain)
        else:
            hosts = await self._demanded(domain, required=demand is TlsDemand.REQUIRED)
        if isinstance(hosts, Barred) and hosts.session:
            self._count(hosts.session)
        if isinstance(hosts, Unresolved) or demand is not TlsDemand.REQUIRED:
            return hosts
        sure = [one for one in hosts if one.tls in _VERIFIED and not one.weaker]
        return sure or Unresolved("5.7.30", f"{_UNSURE} {domain}")

    async def _whatever(self, domain: str) -> list[SecuredHost] | Unresolved:
        """Nothing that the domain demands counts."""
        if domain.startswith("["):
            hosts = await self._resolver.literal(domain)
        else:
            exchangers = await self._resolver.exchangers(domain)
            if isinstance(exchangers, Unresolved):
                return exchangers
            hosts = await self._resolver.reach(domain, exchangers.names)
        return hosts if isinstance(hosts, Unresolved) else alike(hosts, TlsPolicy.OPPORTUNISTIC)

    async def _demanded(self, domain: str, *, required: bool) -> list[SecuredHost] | Unresolved:
        finding, exchangers = await asyncio.gather(
            self._sts_policies.policy_for(domain), self._resolver.exchangers(domain)
        )
        if isinstance(exchangers, Unresolved):
            return exchangers
        policy = finding.policy
        meant = [name for name in exchangers.names if policy is None or _takes(policy, name)]
        if not exchangers.secure:
            if not meant:
                return _unnamed(domain, finding, *exchangers.names)
            return await self._secured(domain, meant, finding)
        # One that has TLSA records need not be named by a policy.
        found = await self._secured(domain, exchangers.names, finding, by_dane=True)
        if required and not isinstance(found, Unresolved):
            return [_verified(one) for one in found]
        if isinstance(found, Unresolved) and meant and len(meant) < len(exchangers.names):
            return await self._secured(domain, meant, finding, by_dane=True)
        return found

    async def _secured(
        self, domain: str, names: Sequence[str], finding: StsFinding, *, by_dane: bool = False
    ) -> list[SecuredHost] | Unresolved:
        hosts = await self._resolver.reach(domain, names)
        if isinstance(hosts, Unresolved):
            return hosts
        found = [await self._demand(domain, host, finding, by_dane=by_dane) for host in hosts]
        good = [one for one in found if not isinstance(one, Unresolved)]
        return good or next(one for one in found if isinstance(one, Unresolved))

    async def _demand(self, domain: str, host: Host, finding: StsFinding, *, by_dane: bool) -> SecuredHost | Unresolved:
        """How one host is to be connected to, or why it must not be."""
        found = await self._resolver.tlsa(self._port, host.tlsa_names) if by_dane and host.tlsa_names else None
        if isinstance(found, Unresolved):
            return _bogus(domain, host, found) if found.bogus else found
        if found:
            return _by_dane(domain, host, found, finding)
        if finding.policy is not None and not _takes(finding.policy, host.name):
            return _unnamed(domain, finding, host.name)
        return _by_policy(domain, host, finding)


def _unnamed(domain: str, finding: StsFinding, *names: str) -> Barred:
    words = f"no mail exchanger of {domain} is one that its MTA-STS policy names: {', '.join(names)}"
    return Barred("4.7.5", words, session=TlsSession(domain, _sts(domain, finding), _UNNAMED, names[0]))


def _bogus(domain: str, host: Host, found: Unresolved) -> Barred:
    fault = TlsFault(ResultType.DNSSEC_INVALID, found.reason[:REASON])
    session = TlsSession(domain, AppliedPolicy(PolicyType.TLSA, host.name), fault, host.name, host.address)
    return Barred(found.status, found.reason, session=session)


def _verified(host: SecuredHost) -> SecuredHost:
    """RFC 8689 section 4.2.1: DNSSEC says that it is the domain's, so its certificate may be of the Web PKI."""
    if host.tls is TlsPolicy.DANE:
        return host
    return SecuredHost(host.host, TlsPolicy.STARTTLS, demanded_by="REQUIRETLS")


def _takes(policy: StsPolicy, exchanger: str) -> bool:
    """RFC 8461 section 4.1: who is not named by a policy in force gets no mail."""
    return policy.mode is not StsMode.ENFORCE or policy.names(exchanger)


def _by_dane(domain: str, host: Host, found: FoundTlsa, finding: StsFinding) -> SecuredHost:
    records = tuple(TlsaRecord(one.usage, one.selector, one.mtype, one.cert) for one in found.records)
    tlsa = TlsaSet(tuple(dict.fromkeys((found.name, host.name, domain))), records)
    policy = AppliedPolicy.of(PolicyType.TLSA, found.name, [str(one) for one in records])
    if tlsa.usable:
        told = SessionReport(domain, policy, unfetched=_unfetched(finding))
        return SecuredHost(host, TlsPolicy.DANE, demanded_by="DANE", tlsa=tlsa, told=told)
    # Section 2.2: records of which none can be used demand TLS all the same.
    told = SessionReport(domain, policy, TlsFault(ResultType.TLSA_INVALID), _unfetched(finding))
    return SecuredHost(host, TlsPolicy.ENCRYPTED, demanded_by="DANE", tlsa=tlsa, told=told)


def _by_policy(domain: str, host: Host, finding: StsFinding) -> SecuredHost:
    """Section 5: under `testing` it is tried as if the policy were in force, and then as if there were none."""
    policy, unfetched = finding.policy, _unfetched(finding)
    if policy is None:
        told = SessionReport(domain, AppliedPolicy(PolicyType.NONE, domain), unfetched=unfetched)
        return SecuredHost(host, _USUAL[0], _USUAL[1:], told=told)
    if not policy.names(host.name):
        told = SessionReport(domain, _sts(domain, finding), _UNNAMED, unfetched)
        return SecuredHost(host, _USUAL[0], _USUAL[1:], told=told)
    told = SessionReport(domain, _sts(domain, finding), unfetched=unfetched)
    if policy.mode is StsMode.ENFORCE:
        return SecuredHost(host, TlsPolicy.STARTTLS, demanded_by="the domain's MTA-STS policy", told=told)
    tested = "the domain's MTA-STS policy, in testing"
    return SecuredHost(host, TlsPolicy.STARTTLS, _USUAL, demanded_by=tested, told=told)


def _sts(domain: str, finding: StsFinding) -> AppliedPolicy:
    lines = [line.strip() for line in finding.text.splitlines() if line.strip()]
    return AppliedPolicy.of(PolicyType.STS, domain, lines, finding.policy.mx if finding.policy else ())


def _unfetched(finding: StsFinding) -> TlsFault | None:
    return TlsFault(ResultType(finding.fault.value), finding.reason[:REASON]) if finding.fault else None
