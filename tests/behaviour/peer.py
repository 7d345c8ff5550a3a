"""The next server: misbehaves as its row says on the first connection, and is well on all further ones.

Knows no product: what it saw is all that there is to judge by.
"""

import asyncio
import re
from contextlib import suppress
from types import TracebackType
from typing import Self

from .rows import CLOSES, DATA, END, GREETING, HANGS, HELLO, MAIL, QUIT, RCPT, RESETS, STARTTLS, Row

_NORMAL = {
    GREETING: b"220 peer.example ESMTP\r\n",
    STARTTLS: b"454 4.7.0 Not now\r\n",
    MAIL: b"250 2.1.0 Ok\r\n",
    RCPT: b"250 2.1.5 Ok\r\n",
    DATA: b"354 Go on\r\n",
    END: b"250 2.0.0 Ok\r\n",
    QUIT: b"221 2.0.0 Bye\r\n",
}
_VERBS = {"EHLO": HELLO, "HELO": HELLO, "STARTTLS": STARTTLS, "MAIL": MAIL, "RCPT": RCPT, "DATA": DATA, "QUIT": QUIT}


class Peer:
    """At `host`:`port` (0: a free one) while the block lasts."""

    def __init__(self, row: Row | None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.row, self.host, self.port = row, host, port
        self.connections = 0
        self.whole: list[bytes] = []  # contents that came whole
        self.acknowledged = 0  # of them, with 250
        self.grown = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, self.host, self.port, limit=1 << 24)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def begin(self, row: Row) -> None:
        """Of another row from now on."""
        self.row, self.connections, self.whole, self.acknowledged = row, 0, [], 0
        self.grown.clear()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.grown.set()
        task = asyncio.create_task(self._talk(reader, writer, self.row if self.connections == 1 else None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, row: Row | None) -> None:
        try:
            with suppress(EOFError, OSError, asyncio.IncompleteReadError):
                await _Session(self, reader, writer, row).run()
        finally:
            writer.close()
            with suppress(OSError):
                await asyncio.wait_for(writer.wait_closed(), 5)


class _Session:
    def __init__(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, row: Row | None) -> None:
        self._peer, self._reader, self._writer, self._row = peer, reader, writer, row

    async def run(self) -> None:
        await self._answer(GREETING)
        while line := await self._reader.readline():
            verb = line.decode("latin-1").strip().upper().partition(" ")[0]
            if verb == "BDAT":
                await self._chunk(line.decode())
            elif verb == "DATA" and await self._answer(DATA):
                await self._content(await self._reader.readuntil(b"\r\n.\r\n"))
            elif verb in _VERBS and verb != "DATA":
                await self._answer(_VERBS[verb])
                if verb == "QUIT":
                    return
            elif verb not in _VERBS:
                self._writer.write(b"250 2.0.0 Ok\r\n" if verb in ("RSET", "NOOP") else b"502 5.5.1 Unknown\r\n")

    async def _content(self, content: bytes) -> None:
        self._peer.whole.append(content)
        if await self._answer(END):
            self._peer.acknowledged += 1
        self._peer.grown.set()

    async def _chunk(self, line: str) -> None:
        match = re.fullmatch(r"BDAT (\d+)( LAST)?\s*", line, re.IGNORECASE)
        assert match
        content = await self._reader.readexactly(int(match[1]))
        if self._row and self._row.at == DATA:
            await self._answer(DATA)
        elif match[2]:
            await self._content(content)
        else:
            self._writer.write(b"250 2.0.0 Ok\r\n")

    async def _answer(self, place: str) -> bool:
        """Whether it was what the client wants to hear."""
        row = self._row
        normal = self._hello() if place == HELLO else _NORMAL[place]
        if row is None or row.at != place:
            self._writer.write(normal)
            return True
        self._row = None if place in (HELLO, STARTTLS) else row
        said = normal if row.says is None else row.says
        self._writer.write(said)
        if row.then == HANGS:
            await asyncio.sleep(3600)
        if row.then == RESETS:
            await self._writer.drain()
            self._writer.transport.abort()
            raise EOFError
        if row.then == CLOSES:
            raise EOFError
        return said[:1] == b"3" if place == DATA else said[:1] == b"2"

    def _hello(self) -> bytes:
        lines = ["peer.example", *(self._row.offers if self._row else ("8BITMIME", "SIZE 1000000"))]
        return "".join(f"250{'-' if n < len(lines) - 1 else ' '}{one}\r\n" for n, one in enumerate(lines)).encode()
