"""Postfix and Outgate judge the same exchangers alike, by the same zones: DANE, and MTA-STS as Postfix is told of it.

`posttls-finger` is Postfix's own TLS client. It asks the system's resolver alone, so it gets an /etc/resolv.conf of its
own, in a mount namespace that ends with it.
"""

import asyncio
import hashlib
import ssl
from enum import StrEnum
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from discovery.internet import PUBLIC
from outgate.egress.resolver import Resolver
from outgate.transport_security.tls_session import PolicyType
from transport_security.dnssec import SignedZone, validating
from transport_security.peers import Peers, delivered, small_world, text

pytestmark = [pytest.mark.lab, pytest.mark.asyncio]

RESOLVER = "127.0.0.77"  # at port 53, where nobody else's is
PORT = 20_251  # of the exchangers: TLSA records have it in their names
ELSE = "else.example"


class Judged(StrEnum):
    """What comes of a domain's policy at its exchanger."""

    VERIFIED = "verified"
    REFUSED = "refused"
    ANYBODY = "anybody"  # whoever it is gets the mail


class Domains:
    """All exchangers are one server; which certificate it has is each domain's own."""

    def __init__(self, peers: Peers, folder: Path) -> None:
        self.peers, self.folder = peers, folder
        self.authority = peers.internet.authority.ca_file
        self.zones: list[SignedZone] = []
        self.certificates: dict[str, ssl.SSLContext] = {}
        self.expected: dict[str, Judged] = {}
        self.levels: dict[str, tuple[str, ...]] = {}  # what Postfix is told of a domain

    def dane(
        self, label: str, expected: Judged, named: str = "", record: str = "", signed: bool = True, forged: str = ""
    ) -> None:
        """A domain whose exchanger shows a certificate for `named`, with a TLSA record, `forged` once it is signed."""
        domain = f"{label}.example"
        self.certificates[domain] = self.peers.internet.certificate(named or f"mx.{domain}", whole_chain=True)
        record = record or self.tlsa(3, self.folder / f"{named or f'mx.{domain}'}.pem")
        owner = f"_{PORT}._tcp.mx.{domain}. 60 IN TLSA"
        forgery = [(f"IN TLSA {record.lower()}", f"IN TLSA {forged}")] if forged else []
        self.levels[domain] = "-l", "dane", f"{domain}:{PORT}"
        self._add(domain, expected, f"{owner} {record}\n", signed, forgery)

    def sts(self, label: str, expected: Judged, named: str) -> None:
        """A domain whose MTA-STS policy, in force, names its exchanger, which shows a certificate for `named`."""
        domain = f"{label}.example"
        self.certificates[domain] = self.peers.internet.certificate(named)
        policy = f"version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: 86400\n"
        self.peers.serve(domain, text(policy))
        self.levels[domain] = "-l", "secure", "-F", str(self.authority), f"{domain}:{PORT}", f"mx.{domain}"
        self._add(domain, expected, f'_mta-sts.{domain}. 60 IN TXT "v=STSv1; id=1"\n', False, [])

    def tlsa(self, usage: int, pem: Path) -> str:
        key = x509.load_pem_x509_certificate(pem.read_bytes()).public_key()
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"{usage} 1 1 {hashlib.sha256(der).hexdigest()}"

    def _add(self, domain: str, expected: Judged, records: str, signed: bool, forged: list[tuple[str, str]]) -> None:
        usual = f"{domain}. 60 IN MX 10 mx.{domain}.\nmx.{domain}. 60 IN A {PUBLIC}\n"
        self.zones.append(SignedZone(domain, usual + records, signed, forged))
        self.expected[domain] = expected

    async def judged(self, domain: str) -> tuple[Judged, Judged]:
        """By us, and by Postfix."""
        self.peers.told.clear()
        async with self.peers.server(self.certificates[domain], PORT) as port:
            ours = self._ours(await delivered(self.peers, domain, port))
            return ours, _theirs(await self._finger(*self.levels[domain]))

    def _ours(self, outcome: str) -> Judged:
        if outcome != "delivered 250":
            return Judged.REFUSED
        (session,) = self.peers.told
        is_good = session.fault is None and session.policy.type is not PolicyType.NONE
        return Judged.VERIFIED if is_good else Judged.ANYBODY

    async def _finger(self, *level: str) -> str:
        finger = f"posttls-finger -o inet_protocols=ipv4 -t 10 -T 10 -c -L summary {' '.join(level)}"
        isolated = f"mount --bind {self.folder}/resolv.conf /etc/resolv.conf && exec {finger}"
        process = await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "sh", "-c", isolated), stdout=-1, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        return said.decode()


def _theirs(said: str) -> Judged:
    if "server certificate verification failed" in said or "TLSA lookup error" in said:
        return Judged.REFUSED
    if ": Verified TLS connection established" in said:
        return Judged.VERIFIED
    assert ": Untrusted TLS connection established" in said, said
    return Judged.ANYBODY


async def test_postfix_and_outgate_judge_alike(tmp_path: Path) -> None:
    with small_world(tmp_path) as peers:
        domains = Domains(peers, tmp_path)
        peers.internet.certificate(ELSE)
        stranger = domains.tlsa(3, tmp_path / f"{ELSE}.pem")
        authority = domains.tlsa(2, domains.authority)
        domains.dane("own-key", Judged.VERIFIED)
        domains.dane("own-key-of-another-name", Judged.VERIFIED, named="third.example")
        domains.dane("authority", Judged.VERIFIED, record=authority)
        domains.dane("another-key", Judged.REFUSED, record=stranger)
        domains.dane("authority-for-another-name", Judged.REFUSED, "third.example", authority)
        domains.dane("unusable", Judged.ANYBODY, record=f"1 1 1 {'ab' * 32}")
        domains.dane("forged", Judged.REFUSED, record=stranger, forged=stranger.replace("3 1 1", "3 0 1"))
        domains.dane("unsigned", Judged.ANYBODY, record=stranger, signed=False)
        domains.sts("named", Judged.VERIFIED, "mx.named.example")
        domains.sts("misnamed", Judged.REFUSED, ELSE)
        (tmp_path / "resolv.conf").write_text(f"nameserver {RESOLVER}\noptions trust-ad\n")
        with validating(tmp_path, *domains.zones, address=RESOLVER, port=53) as nameserver:
            peers.resolver = Resolver([nameserver], peers.internet.guard, "local")
            peers.policies = peers.node()
            found = {domain: await domains.judged(domain) for domain in domains.expected}
    assert found == {domain: (judged, judged) for domain, judged in domains.expected.items()}
