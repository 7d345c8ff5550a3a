"""Peers that say what a test wants, byte by byte, on addresses of loopback; and a transport that goes to them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from deliver import ledger
from outgate.deliver.away_addresses import AwayAddresses
from outgate.deliver.connection import Connection, Link, Timeouts
from outgate.deliver.delivery import Delivery
from outgate.deliver.outcome import Outcome
from outgate.deliver.smtp_transport import Hosts, SmtpTransport
from outgate.deliver.tls_policy import SecuredHost, TlsPolicy, alike
from outgate.deliver.transmission import Transmission
from outgate.egress.resolver import Host

SMALL = b"Subject: Hello\r\n\r\nA few words.\r\n"
PLAIN = ("8BITMIME",)
PIPELINED = ("PIPELINING", "8BITMIME")
CHUNKED = ("PIPELINING", "8BITMIME", "CHUNKING")


class Talk:
    """One connection, from the peer's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())

    async def hear(self, verb: str = "") -> str:
        """The next line, or the next that begins with the verb; EOFError when the client has gone."""
        while True:
            line = (await self.reader.readline()).decode()
            if not line:
                raise EOFError
            if line.startswith(verb):
                return line.strip()

    async def answer(self, verb: str, *reply: str) -> str:
        """The next line begins with the verb, and gets this reply."""
        line = await self.hear()
        assert line.startswith(verb), line
        self.say(*reply)
        return line

    async def greet(self, offers: Sequence[str] = PLAIN) -> None:
        self.say("220 peer.example")
        await self.hear("EHLO")
        self.say(*[f"250-{offer}" for offer in ("peer.example", *offers)][:-1], f"250 {offers[-1]}")

    async def greet_lmtp(self) -> None:
        self.say("220 store.example")
        await self.hear("LHLO")
        self.say("250-store.example", "250 PIPELINING")

    async def content(self, reply: str) -> bytes:
        """DATA with its content."""
        await self.hear("DATA")
        self.say("354 Go on")
        content = await self.reader.readuntil(b"\r\n.\r\n")
        self.say(reply)
        return content

    async def take(self, *rcpt: str, final: str = "250 2.0.0 Ok") -> None:
        """A whole transaction without PIPELINING; `rcpt` are the replies to RCPT."""
        await self.hear("MAIL")
        self.say("250 2.1.0 Ok")
        for reply in rcpt or ("250 2.1.5 Ok",):
            await self.answer("RCPT", reply)
        if any(reply.startswith("2") for reply in rcpt or ("250",)):
            await self.content(final)

    async def gone(self) -> None:
        """Until the client has closed."""
        while await self.reader.read(65536):
            pass


Script = Callable[[Talk], Awaitable[None]]


class Peer:
    """Several hosts of one name; a connection goes by the next script of its host, all further ones by the last."""

    def __init__(self, *hosts: Sequence[Script]) -> None:
        self.hosts = hosts
        self.connections = [0] * len(hosts)
        self.open: set[int] = set()  # hosts with a connection now
        self.port = 0
        self.faults: list[BaseException] = []

    @property
    def names(self) -> list[Host]:
        return [Host("localhost", f"127.0.0.{number}") for number in range(1, len(self.hosts) + 1)]

    def connected(self, number: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            scripts = self.hosts[number]
            script = scripts[min(self.connections[number], len(scripts) - 1)]
            self.connections[number] += 1
            self.open.add(number)
            try:
                await script(Talk(reader, writer))
            except (EOFError, ConnectionError, asyncio.IncompleteReadError):
                pass  # the client has gone
            except AssertionError as error:
                self.faults.append(error)
            finally:
                self.open.discard(number)
                writer.close()

        return talk


@asynccontextmanager
async def peer(*hosts: Sequence[Script], tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """The hosts are at 127.0.0.1, 127.0.0.2 and so on, all at one port."""
    made = Peer(*hosts)
    async with AsyncExitStack() as stack:
        for number, host in enumerate(made.names):
            server = await asyncio.start_server(made.connected(number), host.address, made.port, ssl=tls)
            made.port = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
        yield made
    assert not made.faults, made.faults


class Given:
    """In place of the MessagePreparer: the message as it is."""

    def __init__(self, content: bytes, pieces: Sequence[bytes] = ()) -> None:
        self.content, self.pieces = content, pieces

    async def prepare(self, _delivery: Delivery, _hostname: str) -> Transmission | Outcome:
        header, _, body = self.content.partition(b"\r\n\r\n")
        size = len(self.content) + sum(len(piece) for piece in self.pieces)
        more = self._more() if self.pieces else None
        return Transmission(header + b"\r\n\r\n", body, more, size, eight_bit=False)

    async def _more(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            await asyncio.sleep(0)
            yield piece


def delivery(*names: str) -> Delivery:
    """To r0@<name>, r1@<name> and so on."""
    item = ledger.item(1, *(names or ("d.example",)))
    return ledger.delivery(item, range(len(item.recipients)), "d.example")


def link(to: Peer, **settings: object) -> Link:
    return Link(to.port, **{"tls": TlsPolicy.PLAIN, "hello": "client.example", **settings})  # type: ignore[arg-type] # as given


VERIFYING = ssl.create_default_context()  # loads all authorities: once
TIMEOUTS = Timeouts(connect=5.0, reply=5.0, content=5.0, transaction=20.0)


def transport(
    to: Peer,
    message: Given | None = None,
    timeouts: Timeouts = TIMEOUTS,
    verifying: ssl.SSLContext | None = None,
    groups: Sequence[Sequence[Host] | Outcome] = (),
    away: AwayAddresses | None = None,
    looked_up: list[int] | None = None,
    discarded_by: Mapping[str, frozenset[str]] | None = None,
    **settings: object,
) -> SmtpTransport:
    """To the peer's hosts as the addresses of one name, or to `groups` of such as to a host and its fallbacks; an
    Outcome is a name that is not found. `looked_up` gets the numbers of those that were asked for.
    """
    wanted = link(to, **settings)

    def lookup(number: int, group: Sequence[Host] | Outcome) -> Hosts:
        async def hosts() -> list[SecuredHost] | Outcome:
            if looked_up is not None:
                looked_up.append(number)
            return group if isinstance(group, Outcome) else alike(group, wanted.tls)

        return hosts

    first, *fallbacks = [lookup(number, group) for number, group in enumerate(groups or [to.names])]
    given = message or Given(SMALL)
    return SmtpTransport(
        wanted,
        first,
        timeouts,
        verifying or VERIFYING,
        given,  # type: ignore[arg-type] # Given is what is asked of it
        600.0,
        fallbacks=fallbacks,
        away=away,
        discarded=None if discarded_by is None else lambda name: discarded_by.get(name, frozenset()),
    )


def connection(
    to: Peer, timeouts: Timeouts = TIMEOUTS, verifying: ssl.SSLContext | None = None, **settings: object
) -> Connection:
    return Connection(to.names[0], link(to, **settings), timeouts, verifying or VERIFYING)


async def carried(line: SmtpTransport, what: Delivery | None = None) -> list[str]:
    """Connected and handed over: the verdicts with the first words of their reasons, as `delivered 250`."""
    what = what or delivery()
    failed = await line.connect()
    assert failed is None, failed
    async with asyncio.timeout(30):
        result = await line.carry(what)
    return [f"{one.verdict} {one.reason.split()[0]}" for one in result.outcomes]
