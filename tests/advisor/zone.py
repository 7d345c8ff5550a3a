"""A real DNS server on loopback with the zones of a test; some of its names give SERVFAIL or no answer at all."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import dns.resolver
from bench.scratch import free_port
from dnslib import QTYPE, RCODE, RR, DNSRecord
from dnslib.server import DNSLogger, DNSServer

ADDRESS = "127.0.0.1"


@dataclass
class Zone:
    """Answers from master-file text. `asked` has every question as (name, type)."""

    text: str
    servfail: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self._records = list(RR.fromZone(self.text))

    def add(self, text: str) -> None:
        """More records."""
        self._records += RR.fromZone(text)

    @property
    def nameserver(self) -> str:
        """As `delivery.nameservers` has it."""
        return f"{ADDRESS}:{self.port}"

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """NXDOMAIN for an unknown name, NOERROR without records for another type."""
        name, reply = str(request.q.qname).rstrip(".").lower(), request.reply()
        self.asked.append((name, QTYPE[request.q.qtype]))
        if name in self.silent:
            raise TimeoutError("this question is left without an answer")
        if name in self.servfail:
            reply.header.rcode = RCODE.SERVFAIL
            return reply
        named = [one for one in self._records if str(one.rname).rstrip(".").lower() == name]
        for one in named:
            if one.rtype == request.q.qtype:
                reply.add_answer(one)
        if not named:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply


class _Quiet(DNSLogger):  # type: ignore[misc]  # dnslib has no types
    def log_error(self, *_: object) -> None:
        """Handlers that fail on purpose are no news."""


@contextlib.contextmanager
def serving(
    text: str, *, servfail: frozenset[str] = frozenset(), silent: frozenset[str] = frozenset()
) -> Iterator[Zone]:
    """Answer on UDP and TCP, at a free port, until the block ends."""
    zone = Zone(text, servfail, silent)
    zone.port = _free_port()
    with contextlib.ExitStack() as running:
        for tcp in (False, True):
            server = DNSServer(zone, ADDRESS, zone.port, tcp, _Quiet(logf=lambda _: None)).server
            server.handle_error = lambda *_: None
            running.callback(server.server_close)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
        yield zone


@contextlib.contextmanager
def asked_by_checkers(zone: Zone) -> Iterator[None]:
    """Make it the server that authheaders, pyspf and dkimpy ask: dnspython's default resolver."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [ADDRESS], zone.port, 5.0
    former, dns.resolver.default_resolver = dns.resolver.default_resolver, resolver
    try:
        yield
    finally:
        dns.resolver.default_resolver = former


def _free_port() -> int:
    """One that is free for UDP and for TCP."""
    while True:
        port = free_port()
        with socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            udp.bind((ADDRESS, port))
            return port
