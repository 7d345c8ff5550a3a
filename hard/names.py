"""A DNS for cases: every name is this machine's, and every domain has a mail exchanger of its own. Knows no mail."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.scratch import HOST, free_port
from dnslib import MX, QTYPE, RR, A, DNSRecord

from outgate.demo.nameserver import Records, serve


class EveryName(Records):
    """Answers for whatever is asked for."""

    def __init__(self) -> None:
        super().__init__("")

    def resolve(self, request: DNSRecord, _handler: object) -> DNSRecord:
        """Name 127.0.0.1 as the address, and mx.<name> as the exchanger; nothing else is there."""
        reply = request.reply()
        name, kind = request.q.qname, request.q.qtype
        if kind == QTYPE.A:
            reply.add_answer(RR(name, QTYPE.A, rdata=A(HOST.address), ttl=60))
        elif kind == QTYPE.MX:
            reply.add_answer(RR(name, QTYPE.MX, rdata=MX(f"mx.{name}"), ttl=60))
        return reply


@contextmanager
def nameserver() -> Iterator[str]:
    """It while the block lasts, as `address:port`."""
    port = free_port()
    with serve(EveryName(), HOST, port):
        yield f"{HOST.address}:{port}"
