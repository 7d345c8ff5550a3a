"""The small internet's authoritative DNS server (dnslib), and the way its parties ask it (dnspython).

Knows nothing of mail: what the zones say is in zones.py.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator

import dns.resolver
from dnslib import QTYPE, RCODE, RR, DNSRecord
from dnslib.server import DNSLogger, DNSServer

from outgate.demo.network import VirtualHost

_POLL_SECONDS = 0.05  # how soon a server sees that it shall stop

logger = logging.getLogger(__name__)


class Records:
    """The resource records; they can be added to while the server answers (its threads read them)."""

    def __init__(self, text: str) -> None:
        self._lock = threading.Lock()
        self._records: list[RR] = []
        self.publish(text)

    def publish(self, text: str) -> None:
        """Add the records of a master-file text."""
        parsed = list(RR.fromZone(text))
        with self._lock:
            self._records = self._records + parsed

    def withdraw(self, name: str) -> None:
        """Take all records of a name out."""
        with self._lock:
            self._records = [record for record in self._records if record.rname != name]

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """Answer one question: the records, or NOERROR without any where the name has others, or NXDOMAIN."""
        reply = request.reply()
        reply.header.aa = 1
        with self._lock:
            named = [record for record in self._records if record.rname == request.q.qname]
        for record in named:
            if request.q.qtype in {record.rtype, QTYPE.ANY}:
                reply.add_answer(record)
        if not named:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply


@contextlib.contextmanager
def serve(records: Records, host: VirtualHost, port: int) -> Iterator[None]:
    """Answer on UDP and TCP until the block ends."""
    with contextlib.ExitStack() as running:
        for tcp in (False, True):
            server = DNSServer(records, host.address, port, tcp, DNSLogger(logf=logger.debug)).server
            running.callback(server.server_close)
            thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
        yield


@contextlib.contextmanager
def asking(host: VirtualHost, port: int) -> Iterator[None]:
    """Make this server the one that the whole process asks until the block ends.

    pyspf, dkimpy and authheaders all ask dnspython's default resolver, so they work as they are, with nothing injected.
    """
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [host.address]
    resolver.port = port
    resolver.lifetime = 5.0
    former, dns.resolver.default_resolver = dns.resolver.default_resolver, resolver
    try:
        yield
    finally:
        dns.resolver.default_resolver = former
