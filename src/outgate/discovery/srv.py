"""SRV records of mail submission (RFC 6186, RFC 8314 section 5.1) as candidates. Asks nobody."""

from collections.abc import Sequence

from outgate.discovery.candidates import Candidate, Certainty, DiscoveryOutcome, Sought, Source
from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical_domain
from outgate.model import Security

# Implicit TLS is preferred (RFC 8314 section 3.3); a `_submission` server is used with STARTTLS (RFC 6186 section 3.1).
SERVICES = {"_submissions._tcp": Security.SSL, "_submission._tcp": Security.STARTTLS}

MAX_SERVERS = 10  # of one service: an answer by TCP has room for thousands


@frozen
class SrvRecord:
    """One SRV record (RFC 2782). `target` is "." for a service that is decidedly not offered."""

    priority: int
    weight: int
    port: int
    target: str


def read(
    records: Sequence[SrvRecord], security: Security, sought: Sought
) -> tuple[DiscoveryOutcome, tuple[Candidate, ...]]:
    """Lowest priority first, of one priority the heaviest first: a user is shown all, so nothing is drawn by lot."""
    if not records:
        return DiscoveryOutcome.NOTHING, ()
    if all(record.target == "." for record in records):
        return DiscoveryOutcome.NOT_OFFERED, ()
    ordered = sorted(records, key=lambda record: (record.priority, -record.weight, record.target, record.port))
    hosts = ((_host(record.target), record.port) for record in ordered if record.port)
    found = tuple(_candidate(host, port, security, sought) for host, port in hosts if host)[:MAX_SERVERS]
    return (DiscoveryOutcome.FOUND if found else DiscoveryOutcome.UNUSABLE), found


def _candidate(host: str, port: int, security: Security, sought: Sought) -> Candidate:
    # RFC 6186 section 4: the whole address is the user name to try first.
    return Candidate(
        host, port, security, sought.address, Source.SRV, Certainty.PUBLISHED, confirm=not sought.has(host)
    )


def _host(target: str) -> str | None:
    try:
        return canonical_domain(target.removesuffix("."))
    except AddressError:
        return None
