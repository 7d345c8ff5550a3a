"""The DNS records by which mail programs find the servers of a domain's users. Text only: nothing is looked up."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from outgate.directory.dns_records import DnsPurpose, DnsRecord
from outgate.mail_program.pacc_document import digest_record, pacc_document
from outgate.mail_program.program_servers import ProgramServers
from outgate.model import Security

HTTPS: Final = 443

_SERVICE: Final = {Security.SSL: "submissions", Security.STARTTLS: "submission"}


def program_records(servers: ProgramServers, domain: str) -> list[DnsRecord]:
    """SRV records (RFC 6186, RFC 8314 section 5.1), and where autoconfig, Autodiscover and PACC are served."""
    return [*_of_servers(servers, domain), *_of_pages(urlsplit(servers.pages), domain, pacc_document(servers))]


def _of_servers(servers: ProgramServers, domain: str) -> Iterator[DnsRecord]:
    named = [(_SERVICE[server.security], server) for server in servers.outgoing]
    if servers.incoming:
        named.append(("imaps", servers.incoming))
    for service, server in named:
        if _is_name(server.host):
            yield _service(service, domain, server.port, server.host, DnsPurpose.SERVICE)


def _of_pages(pages: SplitResult, domain: str, document: bytes | None) -> Iterator[DnsRecord]:
    """Programs ask by https only, and for autoconfig at its usual port."""
    host = pages.hostname
    if pages.scheme != "https" or not host or not _is_name(host):
        return
    port = pages.port or HTTPS
    yield _service("autodiscover", domain, port, host, DnsPurpose.AUTODISCOVER)
    if port == HTTPS:
        note = f"Thunderbird finds the settings by this name, which the certificate of {host} must cover, too"
        yield DnsRecord(f"autoconfig.{domain}", "CNAME", f"{host}.", note, DnsPurpose.AUTOCONFIG)
        if document:
            note = f"PACC finds the settings by this name, which the certificate of {host} must cover, too"
            yield DnsRecord(f"ua-auto-config.{domain}", "CNAME", f"{host}.", note, DnsPurpose.PACC)
            note = "PACC believes the settings by this digest of them; it changes with the servers"
            yield DnsRecord(f"_ua-auto-config.{domain}", "TXT", digest_record(document), note, DnsPurpose.PACC_DIGEST)


def _service(service: str, domain: str, port: int, host: str, purpose: DnsPurpose) -> DnsRecord:
    note = f"{'Outlook finds' if service == 'autodiscover' else 'mail programs find'} the server by this record"
    return DnsRecord(f"_{service}._tcp.{domain}", "SRV", f"0 1 {port} {host}.", note, purpose)


def _is_name(host: str) -> bool:
    """What records can point to (RFC 2782, RFC 1035): no address."""
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
