"""Direct delivery by DANE (RFC 7672): real signed zones, a real validating resolver, STARTTLS."""

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from discovery.internet import PUBLIC
from outgate.egress.resolver import Resolver
from outgate.model import TlsDemand
from outgate.transport_security.tls_session import PolicyType, ResultType
from transport_security.dnssec import SignedZone, validating
from transport_security.peers import Peers, delivered

DOMAIN, MX, PLAIN = "peer.example", "mx.peer.example", "plain.example"
RECORDS = f"{DOMAIN}. 60 IN MX 10 {MX}.\n{MX}. 60 IN A {PUBLIC}\n"
PORT = 20_250  # of the exchanger: TLSA records have it in their names, and are signed before it listens


@contextmanager
def resolved(peers: Peers, folder: Path, *zones: SignedZone, trusted: bool = True) -> Iterator[None]:
    """The peers' DNS is that of these zones, by a resolver that validates."""
    with validating(folder, *zones, trusted=trusted) as nameserver:
        peers.resolver = Resolver([nameserver], peers.internet.guard, "local")
        peers.policies = peers.node()
        yield


def tlsa(peers: Peers, name: str, usage: int, host: str = MX) -> str:
    """The record of the certificate that the exchanger has for this name, or of its authority."""
    pem = peers.internet.folder / f"{name}.pem" if usage == 3 else peers.internet.authority.ca_file
    certificate = x509.load_pem_x509_certificate(pem.read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"_{PORT}._tcp.{host}. 60 IN TLSA {usage} 1 1 {hashlib.sha256(key).hexdigest()}\n"


def results(peers: Peers) -> list[tuple[PolicyType, ResultType | None]]:
    """What the domains are told of the sessions so far."""
    return [(one.policy.type, one.fault.result if one.fault else None) for one in peers.told]


async def to(peers: Peers, domain: str, tls: ssl.SSLContext | None) -> str:
    async with peers.server(tls, PORT) as port:
        return await delivered(peers, domain, port)


async def test_the_server_s_own_key_is_enough_whatever_its_name(peers: Peers, tmp_path: Path) -> None:
    tls = peers.internet.certificate("else.example")
    zone = SignedZone(DOMAIN, RECORDS + tlsa(peers, "else.example", 3))
    with resolved(peers, tmp_path, zone):
        assert await to(peers, DOMAIN, tls) == "delivered 250"
    assert peers.taken == [MX]  # said in SNI
    (told,) = peers.told
    (record,) = told.policy.lines
    assert (told.policy.type, told.policy.domain, told.fault) == (PolicyType.TLSA, MX, None)
    assert tlsa(peers, "else.example", 3).strip().endswith(record)


@pytest.mark.parametrize(("name", "works"), [(MX, True), (DOMAIN, True), ("else.example", False)])
async def test_an_authority_vouches_for_the_exchanger_or_the_domain(
    peers: Peers, tmp_path: Path, name: str, works: bool
) -> None:
    tls = peers.internet.certificate(name, whole_chain=True)
    with resolved(peers, tmp_path, SignedZone(DOMAIN, RECORDS + tlsa(peers, name, 2))):
        found = await to(peers, DOMAIN, tls)
    assert (found == "delivered 250") is works
    assert works or ("does not vouch for it as" in found and "DANE demands it" in found)


@pytest.mark.parametrize("fault", ["another key", "no STARTTLS"])
async def test_what_does_not_fit_waits_though_its_certificate_is_good_elsewhere(
    peers: Peers, tmp_path: Path, fault: str
) -> None:
    peers.internet.certificate("else.example")
    tls = peers.internet.certificate(MX) if fault == "another key" else None
    with resolved(peers, tmp_path, SignedZone(DOMAIN, RECORDS + tlsa(peers, "else.example", 3))):
        found = await to(peers, DOMAIN, tls)
    assert found.startswith("retry 4.7.")
    assert found.endswith("(DANE demands it)")
    assert not peers.taken
    result = ResultType.NOT_TRUSTED if fault == "another key" else ResultType.STARTTLS_NOT_SUPPORTED
    assert results(peers) == [(PolicyType.TLSA, result)]


async def test_records_of_which_none_can_be_used_demand_tls_without_more(peers: Peers, tmp_path: Path) -> None:
    unusable = f"_{PORT}._tcp.{MX}. 60 IN TLSA 1 1 1 {'ab' * 32}\n"
    with resolved(peers, tmp_path, SignedZone(DOMAIN, RECORDS + unusable)):
        assert (await to(peers, DOMAIN, None)).startswith("retry 4.7.4")
        assert await to(peers, DOMAIN, peers.internet.certificate("else.example")) == "delivered 250"
    told = [ResultType.STARTTLS_NOT_SUPPORTED, ResultType.TLSA_INVALID]
    assert results(peers) == [(PolicyType.TLSA, one) for one in told]


@pytest.mark.parametrize("what", ["MX 10", f"{MX}. 60 IN A", "TLSA 3 1 1"])
async def test_what_is_forged_is_a_temporary_failure(peers: Peers, tmp_path: Path, what: str) -> None:
    tls = peers.internet.certificate(MX)
    true = RECORDS + tlsa(peers, MX, 3)
    forged = {
        "MX 10": ("60 IN MX 10 ", "60 IN MX 11 "),
        f"{MX}. 60 IN A": (f"{MX}. 60 IN A 127.0.0.2", f"{MX}. 60 IN A 127.0.0.3"),
        "TLSA 3 1 1": ("IN TLSA 3 1 1 ", "IN TLSA 3 0 1 "),
    }[what]
    with resolved(peers, tmp_path, SignedZone(DOMAIN, true, forged=[forged])):
        found = await to(peers, DOMAIN, tls)
    assert found.startswith("retry 4.4.3")
    assert found.endswith("its DNSSEC signatures do not hold")
    assert not peers.taken
    assert results(peers) == ([(PolicyType.TLSA, ResultType.DNSSEC_INVALID)] if what == "TLSA 3 1 1" else [])


async def test_an_alias_as_exchanger_is_looked_up_where_it_leads_and_then_by_itself(
    peers: Peers, tmp_path: Path
) -> None:
    alias = "alias.peer.example"
    records = f"{DOMAIN}. 60 IN MX 10 {alias}.\n{alias}. 60 IN CNAME {MX}.\n{MX}. 60 IN A {PUBLIC}\n"
    tls = peers.internet.certificate(alias, whole_chain=True)
    with resolved(peers, tmp_path, SignedZone(DOMAIN, records + tlsa(peers, alias, 2))):
        assert await to(peers, DOMAIN, tls) == "delivered 250"
    other = tmp_path / "other"
    other.mkdir()
    with resolved(peers, other, SignedZone(DOMAIN, records + tlsa(peers, alias, 2, alias))):
        assert await to(peers, DOMAIN, tls) == "delivered 250"
    assert peers.taken == [MX, alias]


async def test_an_alias_that_leads_out_of_what_is_signed_has_the_records_of_its_own_name(
    peers: Peers, tmp_path: Path
) -> None:
    alias, host = "alias.peer.example", f"mx.{PLAIN}"
    tls = peers.internet.certificate("else.example")
    records = f"{DOMAIN}. 60 IN MX 10 {alias}.\n{alias}. 60 IN CNAME {host}.\n"
    zones = (
        SignedZone(DOMAIN, records + tlsa(peers, "else.example", 3, alias)),
        SignedZone(PLAIN, f"{host}. 60 IN A {PUBLIC}\n", signed=False),
    )
    with resolved(peers, tmp_path, *zones):
        assert (await to(peers, DOMAIN, peers.internet.certificate(MX))).startswith("retry 4.7.5")
        assert await to(peers, DOMAIN, tls) == "delivered 250"


async def test_records_that_nobody_signed_demand_nothing(peers: Peers, tmp_path: Path) -> None:
    peers.internet.certificate("else.example")
    tls = peers.internet.certificate(MX)
    with resolved(peers, tmp_path, SignedZone(DOMAIN, RECORDS + tlsa(peers, "else.example", 3), signed=False)):
        assert await to(peers, DOMAIN, tls) == "delivered 250"


async def test_dane_goes_before_mta_sts_either_way(peers: Peers, tmp_path: Path) -> None:
    """A policy that names another host does not stop what DANE lets through, and its web PKI opens nothing else."""
    peers.publish(DOMAIN, "mx.elsewhere.example")
    assert (await peers.policies.policy_for(DOMAIN)).policy is not None  # from here on it is kept
    good, wrong = peers.internet.certificate("else.example"), peers.internet.certificate(MX)
    with resolved(peers, tmp_path, SignedZone(DOMAIN, RECORDS + tlsa(peers, "else.example", 3))):
        assert await to(peers, DOMAIN, good) == "delivered 250"
        assert "DANE demands it" in await to(peers, DOMAIN, wrong)


async def test_a_host_without_records_is_held_to_the_policy(peers: Peers, tmp_path: Path) -> None:
    peers.publish(DOMAIN, "mx.elsewhere.example")
    assert (await peers.policies.policy_for(DOMAIN)).policy is not None
    with resolved(peers, tmp_path, SignedZone(DOMAIN, RECORDS)):
        found = await to(peers, DOMAIN, peers.internet.certificate(MX))
    assert found == f"retry 4.7.5 no mail exchanger of {DOMAIN} is one that its MTA-STS policy names: {MX}"


async def test_a_resolver_that_does_not_validate_is_found_out(peers: Peers, tmp_path: Path) -> None:
    with resolved(peers, tmp_path, SignedZone(DOMAIN, RECORDS), trusted=False):
        assert "do not validate" in await peers.resolver.validates()
    other = tmp_path / "other"
    other.mkdir()
    with resolved(peers, other, SignedZone(DOMAIN, RECORDS)):
        assert await peers.resolver.validates() == ""
    assert "do not answer" in await Resolver(["127.0.0.1:1"], peers.internet.guard, "local").validates()
    assert "not on this machine" in await Resolver(["192.0.2.53"], peers.internet.guard, "local").validates()
    assert "switched off" in await Resolver(["127.0.0.1"], peers.internet.guard, "off").validates()


async def test_requiretls_goes_to_an_exchanger_that_dnssec_names_with_a_certificate_of_the_web(
    peers: Peers, tmp_path: Path
) -> None:
    with resolved(peers, tmp_path, SignedZone(DOMAIN, RECORDS)):
        for name, found in ((MX, "delivered 250"), ("else.example", "retry 4.7.5")):
            async with peers.server(peers.internet.certificate(name), PORT) as port:
                assert (await delivered(peers, DOMAIN, port, TlsDemand.REQUIRED)).startswith(found)
