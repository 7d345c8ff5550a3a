"""Who has which address and port in the small internet. Knows no party's work.

Each party has an address of its own in 127.0.0.0/8, which is what makes SPF real. Nobody is root here, so servers talk
SMTP to each other on one high port that all know, in the place of 25.
"""

import contextlib
import socket
from collections.abc import Iterable, Iterator

from outgate.frozen import frozen

ORGANISATION = "example.com"
PARTNER = "dominiopartner.example"
RECIPIENTS = "recipient.example"

_NETWORKS = [f"127.{second}.0" for second in range(66, 96)]


class NetworkError(Exception):
    """No addresses or ports for the small internet; the text says what to do."""


@frozen
class VirtualHost:
    """A server of the small internet: its name in the DNS and its address."""

    name: str
    address: str


@frozen
class Network:
    """The plan of addresses. `prefix` is three octets, `127.66.0`."""

    prefix: str
    smtp_port: int = 2525
    submission_port: int = 5587
    tls_port: int = 5465
    dns_port: int = 5353
    web_port: int = 5080
    view_port: int = 5081

    @property
    def outgate(self) -> VirtualHost:
        """The organisation's outbound mail server: the system on show."""
        return VirtualHost(f"mail.{ORGANISATION}", f"{self.prefix}.10")

    @property
    def relay(self) -> VirtualHost:
        """The organisation's domain outbound gateway."""
        return VirtualHost(f"relay.{ORGANISATION}", f"{self.prefix}.15")

    @property
    def partner(self) -> VirtualHost:
        """The partner's server: submission for its users, and the MX of its domain."""
        return VirtualHost(f"smtp.{PARTNER}", f"{self.prefix}.20")

    @property
    def recipient(self) -> VirtualHost:
        """The recipients' server, which checks what comes."""
        return VirtualHost(f"mx.{RECIPIENTS}", f"{self.prefix}.30")

    @property
    def view(self) -> str:
        """Where a browser sees what came to the mailboxes outside the organisation."""
        return f"http://{self.recipient.address}:{self.view_port}/"

    @property
    def nameserver(self) -> VirtualHost:
        """The server that knows all zones."""
        return VirtualHost("ns.example", f"{self.prefix}.53")

    @property
    def hosts(self) -> tuple[VirtualHost, ...]:
        """All servers, the name server included."""
        return self.outgate, self.relay, self.partner, self.recipient, self.nameserver

    def listeners(self) -> Iterable[tuple[str, int]]:
        """Every address and port that somebody listens on."""
        for host in (self.relay, self.partner, self.recipient):
            yield host.address, self.smtp_port
        yield self.partner.address, self.submission_port
        yield self.outgate.address, self.submission_port
        yield self.outgate.address, self.tls_port
        yield self.outgate.address, self.web_port
        yield self.recipient.address, self.view_port
        yield self.nameserver.address, self.dns_port

    def name_of(self, address: str) -> str:
        """The name of the host that has this address; the address itself if nobody has it."""
        return next((host.name for host in self.hosts if host.address == address), address)


@contextlib.contextmanager
def reserve() -> Iterator[Network]:
    """The first network that is all free, kept from other demonstrations until the block ends.

    Raises NetworkError if there is none.
    """
    for prefix in _NETWORKS:
        network = Network(prefix)
        with contextlib.ExitStack() as stack:
            guard = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            try:
                guard.bind((f"{prefix}.1", network.smtp_port))  # an address of nobody's: bound, it says "taken"
            except OSError:
                continue
            if is_free(network):
                yield network
                return
    raise NetworkError(
        f"no free addresses between {_NETWORKS[0]}.0 and {_NETWORKS[-1]}.255; the demonstration needs the whole of"
        " 127.0.0.0/8 on the loopback interface, as Linux has it, and the ports 2525, 5080, 5081, 5353, 5465 and 5587"
        " there"
    )


def is_free(network: Network) -> bool:
    """Whether everything can be bound: TCP everywhere, and UDP for the DNS."""
    with contextlib.ExitStack() as bound:
        try:
            for address, port in network.listeners():
                tcp = bound.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tcp.bind((address, port))
            udp = bound.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            udp.bind((network.nameserver.address, network.dns_port))
        except OSError:
            return False
    return True
