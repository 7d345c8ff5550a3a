"""The records of the small internet's zones, as master-file text. Knows no server.

SPF (RFC 7208) names the servers that may send for a domain, DKIM (RFC 6376) the keys, DMARC (RFC 7489) what a recipient
shall do when neither proves the domain in From.
"""

from outgate.demo.network import ORGANISATION, PARTNER, RECIPIENTS, Network


def zones(network: Network) -> str:
    """All records that are known before the servers run; keys are published when they exist (see `key`)."""
    return "\n".join((_hosts(network), _organisation(network), _partner(network), _recipients(network)))


def key(domain: str, selector: str, value: str) -> str:
    """The record of a DKIM key; `value` is its text, `v=DKIM1; k=rsa; p=…`."""
    return f"{selector}._domainkey.{domain}. 60 IN TXT {_quoted(value)}"


def _hosts(network: Network) -> str:
    lines = []
    for host in network.hosts:
        reversed_name = ".".join(reversed(host.address.split(".")))
        lines.append(f"{host.name}. 60 IN A {host.address}")
        lines.append(f"{reversed_name}.in-addr.arpa. 60 IN PTR {host.name}.")
        lines.append(f'{host.name}. 60 IN TXT "v=spf1 a -all"')  # for the name in EHLO (RFC 7208 section 2.3)
    return "\n".join(lines)


def _organisation(network: Network) -> str:
    """The organisation sends from Outgate and from its domain gateway. It takes no mail from outside here, so no MX."""
    return f"""
{ORGANISATION}. 60 IN TXT "v=spf1 ip4:{network.outgate.address} ip4:{network.relay.address} -all"
_dmarc.{ORGANISATION}. 60 IN TXT "v=DMARC1; p=reject"
"""


def _partner(network: Network) -> str:
    """The partner sends from its one server; what doesn't prove its domain belongs into junk."""
    return f"""
{PARTNER}. 60 IN MX 10 {network.partner.name}.
{PARTNER}. 60 IN TXT "v=spf1 mx -all"
_dmarc.{PARTNER}. 60 IN TXT "v=DMARC1; p=quarantine"
"""


def _recipients(network: Network) -> str:
    return f"{RECIPIENTS}. 60 IN MX 10 {network.recipient.name}."


def _quoted(value: str) -> str:
    """A TXT value in strings of at most 255 bytes (RFC 1035 section 3.3.14)."""
    return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
