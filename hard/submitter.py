"""The users' mail programs: sessions on the TLS port, and what is heard for each message. Knows no gateway."""

import asyncio
import base64
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hard.gateway import NUMBER
from hard.installation import PASSWORD, Installation, User

_TEXT = b"A few words of no account, and a few more.\r\n" * 20
numbers = itertools.count(1)  # of all messages


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission: the last reply, and the steady times of MAIL and of that reply."""

    number: int
    reply: str
    began: float
    ended: float

    @property
    def taken(self) -> bool:
        return self.reply.startswith("250")

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Session:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def reply(self) -> str:
        """The next reply's last line; ConnectionError when the server has gone."""
        while True:
            line = await self.reader.readline()
            if not line:
                raise ConnectionError("the server closed the connection")
            if line[3:4] != b"-":
                return line.decode().strip()

    async def command(self, line: str) -> str:
        self.writer.write(line.encode() + b"\r\n")
        return await self.reply()

    async def log_in(self, user: str, password: str = PASSWORD) -> None:
        """EHLO and AUTH; raises ConnectionError if that is refused."""
        await self.reply()
        await self.command("EHLO client.example")
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        answer = await self.command(f"AUTH PLAIN {token}")
        if not answer.startswith("235"):
            raise ConnectionError(answer)

    async def submit(
        self, sender: str, recipients: Sequence[str] = ("carol@recipient.example",), body: bytes = _TEXT
    ) -> Submitted:
        """One message; the envelope in one write."""
        number = next(numbers)
        began = time.monotonic()
        envelope = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA"]
        self.writer.write("".join(f"{line}\r\n" for line in envelope).encode())
        replies = [await self.reply() for _ in envelope]
        reply = replies[-1]
        if reply.startswith("354"):
            header = (
                f"From: <{sender}>\r\nTo: <{recipients[0]}>\r\nSubject: Number {number}\r\n"
                f"Date: Mon, 1 Jun 2026 12:00:00 +0000\r\nMessage-ID: <{number}.hard@client.example>\r\n"
            )
            self.writer.write(header.encode() + NUMBER + b"%d\r\n\r\n" % number + body + b".\r\n")
            await self.writer.drain()
            reply = await self.reply()
        else:
            reply = next(one for one in replies if one[0] in "45")
        return Submitted(number, reply, began, time.monotonic())


def trusting(installation: Installation) -> ssl.SSLContext:
    """TLS as a mail program has it."""
    return ssl.create_default_context(cafile=str(installation.scratch.ca))


@asynccontextmanager
async def session(installation: Installation, user: User | None, *, place: str = "127.0.0.1") -> AsyncIterator[Session]:
    """A session from the address `place`, logged in if a user is given."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        installation.port,
        ssl=trusting(installation),
        server_hostname="localhost",
        local_addr=(place, 0),
        limit=1 << 20,
    )
    made = Session(reader, writer)
    try:
        if user:
            await made.log_in(user.primary)
        yield made
    finally:
        writer.transport.abort()


class Pulse:
    """Another user's session on which NOOP is said again and again: the longest answer tells whether all stood."""

    def __init__(self, talking: Session) -> None:
        self._talking = talking
        self.longest = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began = time.monotonic()
            answered = asyncio.ensure_future(self._talking.command("NOOP"))
            while not answered.done():
                await asyncio.wait([answered], timeout=0.05)
                self.longest = max(self.longest, time.monotonic() - began)
            answered.result()
            await asyncio.sleep(0.02)


@asynccontextmanager
async def pulse(installation: Installation, user: User) -> AsyncIterator[Pulse]:
    """A pulse while the block lasts."""
    async with session(installation, user, place="127.0.0.9") as talking:
        beating = Pulse(talking)
        task = asyncio.create_task(beating.run())
        try:
            yield beating
        finally:
            task.cancel()
            await asyncio.wait([task])
