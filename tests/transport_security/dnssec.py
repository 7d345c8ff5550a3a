"""Zones with real DNSSEC signatures, and a real validating resolver (unbound) that has them for its internet.

The root is signed with a key that the resolver trusts; each zone is delegated from it, with a DS record if signed.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.message
import dns.query
import dns.zone
from bench.scratch import free_port, until
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm
from dns.rdtypes.ANY.DNSKEY import DNSKEY

ADDRESS = "127.0.0.1"
_WEEK = 7 * 86400
_CONFIGURATION = """
server:
  interface: {address}@{port}
  username: ""
  chroot: ""
  pidfile: ""
  directory: "{folder}"
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  trust-anchor: "{anchor}"
  ede: yes
"""
_ZONE = """
auth-zone:
  name: "{name}"
  zonefile: "{file}"
  for-upstream: yes
  for-downstream: no
  fallback-enabled: no
"""


@dataclass
class SignedZone:
    """A zone's records as text, absolute names. `forged` has what is put in place of a record after signing."""

    name: str
    text: str
    signed: bool = True
    forged: Sequence[tuple[str, str]] = ()

    def write(self, folder: Path) -> str:
        """The file, and the DS record for the zone above."""
        zone = _zone(self.name, self.text)
        above = ""
        if self.signed:
            dnskey = _sign(zone)
            above = f"{self.name}. 60 IN DS {dns.dnssec.make_ds(f'{self.name}.', dnskey, 'SHA256').to_text()}\n"
        text = zone.to_text(relativize=False)
        for true, false in self.forged:
            assert true in text, text
            text = text.replace(true, false)
        (folder / f"{self.name}.zone").write_text(text)
        return f"{self.name}. 60 IN NS ns.{self.name}.\nns.{self.name}. 60 IN A 127.0.0.53\n{above}"


@contextmanager
def validating(
    folder: Path, *zones: SignedZone, trusted: bool = True, address: str = ADDRESS, port: int = 0
) -> Iterator[str]:
    """The resolver's `address:port` for the time of the block, any port if none is given. One without trust validates
    nothing.
    """
    delegations = "".join(zone.write(folder) for zone in zones)
    root = _zone("", delegations)
    anchor = _sign(root)
    (folder / "root.zone").write_text(root.to_text(relativize=False))
    port = port or free_port(address)
    text = _CONFIGURATION.format(address=address, port=port, folder=folder, anchor=f". DNSKEY {anchor.to_text()}")
    if not trusted:
        text = text.replace("trust-anchor", "# trust-anchor")
    text += "".join(_ZONE.format(name=zone.name, file=f"{zone.name}.zone") for zone in zones)
    (folder / "unbound.conf").write_text(text + _ZONE.format(name=".", file="root.zone"))
    with (folder / "unbound.log").open("w") as log:
        process = subprocess.Popen(
            ["unbound", "-d", "-p", "-c", str(folder / "unbound.conf")],
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
        )
        try:
            until(lambda: _answers(address, port), "unbound answers")
            yield f"{address}:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _answers(address: str, port: int) -> bool:
    query = dns.message.make_query(".", "SOA")
    try:
        return bool(dns.query.udp(query, address, 0.2, port).answer)
    except (OSError, dns.exception.DNSException):
        return False


def _zone(name: str, text: str) -> dns.zone.Zone:
    start = f"{name}. 60 IN SOA ns.{name or 'root'}. hostmaster.{name or 'root'}. 1 3600 600 86400 60\n"
    server = f"{name}. 60 IN NS ns.{name or 'root'}.\nns.{name or 'root'}. 60 IN A 127.0.0.53\n"
    return dns.zone.from_text(start + server + text, f"{name}.", relativize=False)


def _sign(zone: dns.zone.Zone) -> DNSKEY:
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), Algorithm.ECDSAP256SHA256, flags=257)
    dns.dnssec.sign_zone(zone, keys=[(key, dnskey)], lifetime=_WEEK, dnskey_ttl=60)
    return dnskey
