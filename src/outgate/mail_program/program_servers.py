"""Which servers a mail program must know, as the configuration has them. Knows no form in which programs are told."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from outgate.config import Config, LocalSettings
from outgate.frozen import frozen
from outgate.model import Security

IMAPS: Final = 993


@frozen
class ProgramServer:
    """Where a program connects, and how; `security` is never NONE."""

    host: str
    port: int
    security: Security


@frozen
class ProgramServers:
    """`outgoing` has the better way first (RFC 8314 section 3.3), and is empty where ports change at each start.

    `incoming` is None where no IMAP server is known; `pages` is the pages' URL without its last slash, empty for none.
    """

    outgoing: tuple[ProgramServer, ...]
    incoming: ProgramServer | None
    pages: str

    @property
    def both(self) -> tuple[ProgramServer, ProgramServer] | None:
        """Incoming and outgoing, for forms that tell of whole accounts only; None if either is unknown."""
        return (self.incoming, self.outgoing[0]) if self.incoming and self.outgoing else None


def servers_of(config: Config) -> ProgramServers:
    """What programs of this installation's users must know."""
    ports = ((config.submission.tls_port, Security.SSL), (config.submission.starttls_port, Security.STARTTLS))
    outgoing = tuple(ProgramServer(config.hostname, port, security) for port, security in ports if port)
    return ProgramServers(outgoing, _incoming(config.local), config.web.public_url.rstrip("/"))


def _incoming(local: LocalSettings) -> ProgramServer | None:
    """What is on this machine for the pages alone is nothing to a program elsewhere."""
    url = urlsplit(local.programs_imap or local.mailbox_imap)
    if url.scheme != "imaps" or not url.hostname or (not local.programs_imap and _is_own_machine(url.hostname)):
        return None
    return ProgramServer(url.hostname, url.port or IMAPS, Security.SSL)


def _is_own_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
