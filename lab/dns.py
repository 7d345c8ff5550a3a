"""NSD, the authoritative DNS server of the lab: what the parties publish.

The others ask it directly, as their resolver. It has a root zone too, so that it can say of any name outside the lab
that it does not exist.
"""

from lab.namespaces import Namespace
from lab.plan import (
    CUSTOMER,
    HOSTS,
    NAMESERVER,
    ORGANISATION,
    OUTGATE_HOST,
    PARTNER,
    PARTNER_ALIAS,
    PARTNER_HOST,
    RECIPIENT,
    RECIPIENT_HOST,
    RELAY_HOST,
)
from outgate.demo.network import VirtualHost

ZONES = (".", "100.51.198.in-addr.arpa.", f"{ORGANISATION}.", f"{PARTNER}.", f"{RECIPIENT}.", f"{CUSTOMER}.")

# SPF (RFC 7208) names the servers that may send for a domain, DMARC (RFC 7489) says what becomes of mail that neither
# SPF nor DKIM proves for the domain in From. The recipient is told to reject, and only notes it: the tests read it.
_RECORDS = f"""
{ORGANISATION}. MX 10 {OUTGATE_HOST.name}.
{ORGANISATION}. TXT "v=spf1 ip4:{OUTGATE_HOST.address} ip4:{RELAY_HOST.address} -all"
_dmarc.{ORGANISATION}. TXT "v=DMARC1; p=reject"
{PARTNER}. MX 10 {PARTNER_HOST.name}.
{PARTNER}. TXT "v=spf1 ip4:{PARTNER_HOST.address} -all"
_dmarc.{PARTNER}. TXT "v=DMARC1; p=reject"
{PARTNER_ALIAS}. A {PARTNER_HOST.address}
{RECIPIENT}. MX 10 {RECIPIENT_HOST.name}.
{CUSTOMER}. MX 10 {RECIPIENT_HOST.name}.
"""


def key_record(domain: str, selector: str, value: str) -> str:
    """The record of a DKIM key (RFC 6376 section 3.6.2), its text in strings of at most 255 bytes (RFC 1035)."""
    strings = " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
    return f"{selector}._domainkey.{domain}. TXT {strings}\n"


class NameServer:
    """Serves the lab's zones with the DKIM keys that are given: lines of `key_record`."""

    def __init__(self, namespace: Namespace, keys: str) -> None:
        self._namespace = namespace
        self._records = [line for line in (_RECORDS + _addresses() + keys).splitlines() if line]

    def start(self) -> None:
        """Start it."""
        folder = self._namespace.folder
        for zone in ZONES:
            (folder / _file(zone)).write_text(self._zone(zone))
        configuration = folder / "nsd.conf"
        configuration.write_text(self._configuration())
        self._namespace.start("nsd", "-d", "-c", str(configuration), ready=self._answers)

    def _answers(self) -> bool:
        question = ("dig", "+short", "+tries=1", "+time=1", f"@{NAMESERVER.address}", f"{PARTNER}.", "MX")
        return PARTNER_HOST.name in self._namespace.run(*question, check=False).stdout

    def _zone(self, zone: str) -> str:
        """The records below a zone that are below no zone further down; all names are absolute."""
        own = [line for line in self._records if _zone_of(line.split()[0]) == zone]
        start = (
            f"$TTL 60\n{zone} SOA {NAMESERVER.name}. hostmaster.example. 1 3600 600 86400 60\n"
            f"{zone} NS {NAMESERVER.name}.\n"
        )
        return start + "\n".join(own) + "\n"

    def _configuration(self) -> str:
        folder = self._namespace.folder
        server = f"""
server:
    ip-address: {NAMESERVER.address}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    xfrdir: "{folder}"
    zonelistfile: "{folder}/zone.list"
remote-control:
    control-enable: no
"""
        return server + "".join(f'zone:\n    name: "{zone}"\n    zonefile: "{_file(zone)}"\n' for zone in ZONES)


def _addresses() -> str:
    return "".join(map(_address, HOSTS))


def _address(host: VirtualHost) -> str:
    """A and PTR of a host, and SPF for its name in EHLO (RFC 7208 section 2.3)."""
    reverse = ".".join(reversed(host.address.split(".")))
    return f"""
{host.name}. A {host.address}
{host.name}. TXT "v=spf1 a -all"
{reverse}.in-addr.arpa. PTR {host.name}.
"""


def _zone_of(name: str) -> str:
    return max((zone for zone in ZONES if zone == "." or f".{name}".endswith(f".{zone}")), key=len)


def _file(zone: str) -> str:
    return f"{zone.strip('.') or 'root'}.zone"
