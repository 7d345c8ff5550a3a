"""The servers that mail leaves to: gateways with TLS and log-in, each of which may be slow, silent or worse.

Knows what arrived, and when; knows nothing of the product.
"""

import asyncio
import re
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

NUMBER: Final = b"X-Hard-Number: "
_NUMBER = re.compile(rb"^X-Hard-Number: (\d+)", re.MULTILINE)
_OFFERS: Final = ("localhost", "PIPELINING", "8BITMIME", "SIZE 52428800", "ENHANCEDSTATUSCODES")


class Arrivals:
    """When each message arrived, by its number; all in steady seconds."""

    def __init__(self) -> None:
        self.times: dict[int, list[float]] = defaultdict(list)
        self.grown = asyncio.Condition()

    async def note(self, content: bytes) -> None:
        """A message that came whole."""
        match = _NUMBER.search(content)
        self.times[int(match[1]) if match else -1].append(time.monotonic())
        async with self.grown:
            self.grown.notify_all()

    @property
    def repeated(self) -> int:
        """How often a message came that had come before."""
        return sum(len(times) - 1 for times in self.times.values())

    async def until(self, count: int, seconds: float) -> int:
        """Wait until so many different ones came, or as long; returns how many did."""
        try:
            async with asyncio.timeout(seconds), self.grown:
                await self.grown.wait_for(lambda: len(self.times) >= count)
        except TimeoutError:
            pass
        return len(self.times)


class Talk:
    """One connection, from the gateway's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())

    async def hear(self) -> str:
        """The next line; EOFError when the client has gone."""
        line = (await self.reader.readline()).decode()
        if not line:
            raise EOFError
        return line.strip()

    async def greet(self, *more: str) -> None:
        """Until the client has logged in."""
        self.say("220 localhost")
        while not (await self.hear()).startswith("EHLO"):
            self.say("502 5.5.1 EHLO first")
        lines = [*_OFFERS, *(more or ("AUTH PLAIN",))]
        self.say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")
        if not more:
            await self.hear()
            self.say("235 2.7.0 welcome")

    async def content(self) -> bytes:
        """What follows 354, with its final dot."""
        self.say("354 go on")
        return await self.reader.readuntil(b"\r\n.\r\n")


Script = Callable[[Talk], Awaitable[None]]


def takes(arrivals: Arrivals, *, pause: float = 0.0, at_end: float = 0.0) -> Script:
    """A gateway that takes everything, `pause` seconds for each reply and `at_end` more for the content's."""

    async def script(talk: Talk) -> None:
        await talk.greet()
        while True:
            line = await talk.hear()
            if pause:
                await asyncio.sleep(pause)
            if line.startswith("DATA"):
                content = await talk.content()
                await arrivals.note(content)
                if pause + at_end:
                    await asyncio.sleep(pause + at_end)
            talk.say("250 2.0.0 ok")

    return script


async def silent(talk: Talk) -> None:
    """Says nothing until the client has gone."""
    while await talk.reader.read(65536):
        pass


@asynccontextmanager
async def gateway(port: int, script: Script, tls: ssl.SSLContext | None) -> AsyncIterator[set[asyncio.StreamWriter]]:
    """A gateway while the block lasts; gives what is connected now."""
    connected: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.add(writer)
        try:
            await script(Talk(reader, writer))
        except (EOFError, OSError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            connected.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls, backlog=1024, limit=64 << 20)
    try:
        yield connected
    finally:
        server.close()
        for writer in list(connected):
            writer.transport.abort()


@contextmanager
def deaf(port: int = 0) -> Iterator[int]:
    """A host that nobody is at home at: connections are made by the system, and nobody ever says a word."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(4096)
        yield int(listening.getsockname()[1])
