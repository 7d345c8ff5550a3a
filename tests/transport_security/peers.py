"""Recipients' domains of a test: their DNS, their policies by HTTPS, and exchangers that offer STARTTLS.

All exchangers are one server at 127.0.0.2 with a certificate that the test chooses.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from sqlalchemy import Engine

from deliver.scripted import SMALL, TIMEOUTS, Given, Talk, carried
from discovery.internet import PUBLIC, Answer, Internet, running
from outgate.deliver.connection import Link
from outgate.deliver.exchangers import Exchangers
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.smtp_transport import SmtpTransport
from outgate.deliver.tls_policy import SecuredHost, TlsPolicy
from outgate.egress.resolver import Unresolved
from outgate.model import TlsDemand
from outgate.store.engine import make_file, migrate, open_engine
from outgate.transport_security.sts_policies import StsPolicies
from outgate.transport_security.tls_session import TlsSession

OFFERS = ("8BITMIME", "PIPELINING")


class Clock:
    """Stands where a test puts it."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


class Peers:
    """The domains. `taken` has for each message that was taken the name in SNI, empty without TLS."""

    def __init__(self, internet: Internet, engine: Engine) -> None:
        self.internet, self.engine, self.clock = internet, engine, Clock()
        self.taken: list[str] = []
        self.told: list[TlsSession] = []  # as delivery says of its sessions
        self.resolver = internet.resolver
        self.policies = self.node()

    def node(self) -> StsPolicies:
        """One more node, or the same after a restart."""
        return StsPolicies(self.engine, self.resolver, self.internet.https, self.clock)

    def announce(self, domain: str, ident: str = "1") -> None:
        self.internet.zones.publish(f'_mta-sts.{domain}. 0 IN TXT "v=STSv1; id={ident}"\n')

    def publish(self, domain: str, *mx: str, mode: str = "enforce", max_age: int = 604800) -> None:
        """Announce a policy, and have its document."""
        self.announce(domain)
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {name}" for name in mx), f"max_age: {max_age}"]
        self.serve(domain, text("\n".join(lines)))

    def serve(self, domain: str, answer: Answer) -> None:
        """The document at the domain's policy host."""
        self.internet.site(f"mta-sts.{domain}")
        self.internet.web.answers[f"https://mta-sts.{domain}/.well-known/mta-sts.txt"] = answer

    def exchanger(self, domain: str, name: str, preference: int = 10) -> None:
        self.internet.zones.publish(f"{domain}. 0 IN MX {preference} {name}.\n{name}. 0 IN A {PUBLIC}\n")

    def transport(self, domain: str, port: int, demand: TlsDemand = TlsDemand.USUAL) -> SmtpTransport:
        """To the exchangers of a domain, as delivery makes it."""
        found = Exchangers(self.resolver, self.policies, port, self.told.append)

        async def hosts() -> list[SecuredHost] | Outcome:
            hosts = await found.of(domain, demand)
            if isinstance(hosts, Unresolved):
                verdict = Verdict.FAILED if hosts.status.startswith("5") else Verdict.RETRY
                return Outcome(verdict, f"{hosts.status} {hosts.reason}")
            return hosts

        link = Link(port, TlsPolicy.OPPORTUNISTIC, "client.example")
        given = Given(SMALL)
        context = self.internet.context
        return SmtpTransport(link, hosts, TIMEOUTS, context, given, 600.0, count=self.told.append)  # type: ignore[arg-type] # Given is what is asked of it

    @asynccontextmanager
    async def server(self, tls: ssl.SSLContext | None, port: int = 0) -> AsyncIterator[int]:
        """The exchangers' server; its port. Without TLS it offers no STARTTLS."""
        greeted: list[str] = []
        if tls:
            tls.sni_callback = lambda _socket, name, _context: greeted.append(name or "")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talk, secured = Talk(reader, writer), False
            try:
                talk.say("220 mx.example")
                while line := await talk.hear():
                    verb = line.split()[0].upper()
                    if verb == "EHLO":
                        words = ["mx.example", *OFFERS, *(["STARTTLS"] if tls and not secured else [])]
                        talk.say(*[f"250-{word}" for word in words], "250 SIZE")
                    elif verb == "STARTTLS" and tls:
                        talk.say("220 go on")
                        await writer.start_tls(tls)
                        secured = True
                    elif verb == "DATA":
                        talk.say("354 go on")
                        await reader.readuntil(b"\r\n.\r\n")
                        self.taken.append(greeted[-1] if secured else "")
                        talk.say("250 taken")
                    else:
                        talk.say("250 ok")
            except (EOFError, OSError, asyncio.IncompleteReadError):
                pass  # the client has gone, or does not like the certificate
            finally:
                writer.close()

        server = await asyncio.start_server(serve, PUBLIC, port)
        async with server:
            yield server.sockets[0].getsockname()[1]


def text(content: str, media_type: str = "text/plain; charset=utf-8") -> Answer:
    """A document of this kind."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", media_type)
        handler.send_header("content-length", str(len(content.encode())))
        handler.end_headers()
        handler.wfile.write(content.encode())

    return answer


async def delivered(peers: Peers, domain: str, port: int, demand: TlsDemand = TlsDemand.USUAL) -> str:
    """What becomes of one message to a domain: the verdict with the first words of its reason."""
    line = peers.transport(domain, port, demand)
    failed = await line.connect()
    if failed:
        return f"{failed.verdict} {failed.reason}"
    try:
        return (await carried(line))[0]
    finally:
        line.close()


@contextmanager
def small_world(folder: Path) -> Iterator[Peers]:
    """The domains for the time of the block."""
    engine = open_engine(f"sqlite:///{folder / 'outgate.db'}")
    make_file(engine)
    migrate(engine)
    with running(folder) as internet:
        yield Peers(internet, engine)
    engine.dispose()
