"""The server that everything ends at, a process of its own: checks who may send, keeps what came, says so at the end.

    python -m bench.sink ADDRESS PORT [--tls CERTIFICATE KEY]

With `--tls` it is a gateway, which wants STARTTLS and AUTH, and takes a MAIL FROM only from the user it belongs to;
without, it is a smart host, which takes the accounts' primary addresses. Commands come on standard input, one a line:
`expect FIRST COUNT` forgets everything and waits for these messages, answering one JSON line when the last is there;
`report` answers one JSON line. The end of input ends it. Parses as little as it can: its work takes from the products.
"""

import argparse
import asyncio
import base64
import hashlib
import re
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

from bench import population
from bench.lines import write_line

_MAIL = re.compile(rb"MAIL FROM:<([^>]*)>", re.IGNORECASE)
_BDAT = re.compile(rb"BDAT (\d+)( LAST)?$", re.IGNORECASE)
_EXTENSIONS = "PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN"
MAX_LINE = 4096


@dataclass(slots=True)
class Ledger:
    """What arrived since the last `expect`. A wrong credential is any refused log-in or MAIL FROM."""

    first: int = 0
    count: int = 0
    arrived: dict[int, bytes] = field(default_factory=dict)  # number -> digest of its body
    duplicates: int = 0
    strangers: int = 0
    wrong_credentials: int = 0
    connections: int = 0
    last_arrival: float = 0.0

    def take(self, content: bytes) -> None:
        """Note a message."""
        self.last_arrival = time.monotonic()
        head, _, body = content.partition(b"\r\n\r\n")
        _, _, after = head.partition(population.ID_HEADER)
        number = int(after.split(b"\r\n", 1)[0] or -1)
        if not self.first <= number < self.first + self.count:
            self.strangers += 1
        elif number in self.arrived:
            self.duplicates += 1
        else:
            self.arrived[number] = hashlib.sha256(body).digest()

    @property
    def complete(self) -> bool:
        return len(self.arrived) == self.count

    def report(self) -> dict[str, Any]:
        """Counts, and the time of the last arrival (CLOCK_MONOTONIC seconds, the same in every process)."""
        altered = sum(digest != population.body_digest(number) for number, digest in self.arrived.items())
        return {
            "arrived": len(self.arrived),
            "missing": self.count - len(self.arrived),
            "duplicates": self.duplicates,
            "strangers": self.strangers,
            "wrong_credentials": self.wrong_credentials,
            "altered": altered,
            "connections": self.connections,
            "last_arrival": self.last_arrival,
            "cpu": time.process_time(),
        }


class Sink:
    """What all sessions share."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.tls = tls
        self.ledger = Ledger()
        accounts = population.accounts()
        self.passwords = {s.address.encode(): s.password.encode() for a in accounts for s in a.senders}
        self.primaries = {account.primary.encode() for account in accounts}
        self.on_complete: Callable[[], None] = lambda: None

    def may_send(self, user: bytes | None, reverse_path: bytes) -> bool:
        """A gateway's user sends as itself alone; the smart host knows the accounts' primary addresses."""
        return user == reverse_path if self.tls else reverse_path in self.primaries

    def take(self, content: bytes) -> None:
        self.ledger.take(content)
        if self.ledger.complete:
            self.on_complete()


class Session(asyncio.Protocol):
    """One connection. `_read` takes one thing from the buffer, or says that there is not enough of it yet."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._replies: list[bytes] = []
        self._read: Callable[[], bool] = self._read_command
        self._encrypted = False
        self._user: bytes | None = None
        self._login: list[bytes] = []
        self._mail = False
        self._scanned = 0
        self._chunks: list[bytes] = []
        self._chunk = (0, False)
        self._upgrading: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        self._sink.ledger.connections += 1
        transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._read():
            pass
        if self._replies:
            self._transport.write(b"".join(self._replies))
            self._replies.clear()

    def _reply(self, text: str) -> None:
        self._replies.append(text.encode() + b"\r\n")

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > MAX_LINE:
                self._transport.abort()
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_command(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        match line[:4].upper():
            case b"MAIL":
                self._on_mail(line)
            case b"RCPT":
                self._reply("250 2.1.5 ok" if self._mail else "503 5.5.1 MAIL first")
            case b"DATA":
                self._on_data()
            case b"BDAT":
                self._on_bdat(line)
            case b"EHLO" | b"HELO":
                self._on_ehlo()
            case b"AUTH":
                self._on_auth(line)
            case b"STAR":
                self._upgrading = asyncio.get_running_loop().create_task(self._upgrade())
                return False
            case b"RSET" | b"NOOP":
                self._mail = False
                self._reply("250 2.0.0 ok")
            case b"QUIT":
                self._transport.write(b"221 2.0.0 bye\r\n")
                self._transport.close()
                return False
            case _:
                self._reply("502 5.5.2 unknown")
        return True

    def _on_ehlo(self) -> None:
        lines = ["sink.example", *_EXTENSIONS]
        if self._sink.tls:
            lines.append("AUTH PLAIN LOGIN" if self._encrypted else "STARTTLS")
        for line in lines[:-1]:
            self._reply(f"250-{line}")
        self._reply(f"250 {lines[-1]}")

    async def _upgrade(self) -> None:
        if self._sink.tls is None or self._encrypted:
            self._transport.write(b"502 5.5.1 not here\r\n")
            return
        self._buffer.clear()
        self._transport.write(b"220 2.0.0 go ahead\r\n")
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(self._transport, self, self._sink.tls, server_side=True)
        except (OSError, ssl.SSLError):
            self._transport.abort()
            return
        assert upgraded
        self._transport = upgraded
        self._encrypted = True

    # --- log-in ---

    def _on_auth(self, line: bytes) -> None:
        _, mechanism, *initial = line.split(b" ")
        self._login = []
        if not self._encrypted:
            self._reply("530 5.7.0 STARTTLS first")
        elif mechanism.upper() == b"PLAIN" and initial:
            self._check(*_plain(initial[0]))
        elif mechanism.upper() in {b"PLAIN", b"LOGIN"}:
            self._read = self._read_plain if mechanism.upper() == b"PLAIN" else self._read_login
            self._reply("334 " if mechanism.upper() == b"PLAIN" else "334 VXNlcm5hbWU6")
        else:
            self._reply("504 5.5.4 PLAIN or LOGIN")

    def _read_plain(self) -> bool:
        line = self._take_line()
        if line is not None:
            self._check(*_plain(line))
        return line is not None

    def _read_login(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        self._login.append(_decoded(line))
        if len(self._login) == 2:
            self._check(*self._login)
        else:
            self._reply("334 UGFzc3dvcmQ6")
        return True

    def _check(self, user: bytes, password: bytes) -> None:
        self._read = self._read_command
        if password and self._sink.passwords.get(user) == password:
            self._user = user
            self._reply("235 2.7.0 welcome")
        else:
            self._sink.ledger.wrong_credentials += 1
            self._reply("535 5.7.8 wrong user name or password")

    # --- a message ---

    def _on_mail(self, line: bytes) -> None:
        match = _MAIL.match(line)
        if match and self._sink.may_send(self._user, match[1].lower()):
            self._mail = True
            self._reply("250 2.1.0 ok")
        else:
            self._sink.ledger.wrong_credentials += 1
            self._reply("550 5.7.1 not your address")

    def _on_data(self) -> None:
        if not self._mail:
            self._reply("503 5.5.1 MAIL first")
            return
        self._scanned = 0
        self._read = self._read_data
        self._reply("354 go ahead")

    def _read_data(self) -> bool:
        end = self._buffer.find(b"\r\n.\r\n", self._scanned)
        if end < 0:
            self._scanned = max(0, len(self._buffer) - 4)
            return False
        content = bytes(self._buffer[: end + 2]).replace(b"\r\n..", b"\r\n.")
        del self._buffer[: end + 5]
        self._finish(content)
        return True

    def _on_bdat(self, line: bytes) -> None:
        match = _BDAT.match(line)
        if match is None:
            self._reply("501 5.5.4 BDAT size [LAST]")
            return
        self._chunk = (int(match[1]), bool(match[2]))
        self._read = self._read_chunk

    def _read_chunk(self) -> bool:
        size, last = self._chunk
        if len(self._buffer) < size:
            return False
        self._chunks.append(bytes(self._buffer[:size]))
        del self._buffer[:size]
        self._read = self._read_command
        if not last:
            self._reply("250 2.0.0 chunk")
        else:
            content = b"".join(self._chunks)
            self._chunks.clear()
            self._finish(content) if self._mail else self._reply("503 5.5.1 MAIL first")
        return True

    def _finish(self, content: bytes) -> None:
        self._read = self._read_command
        self._mail = False
        self._sink.take(content)
        self._reply("250 2.0.0 taken")


def _plain(response: bytes) -> tuple[bytes, bytes]:
    """User and password of a PLAIN response (RFC 4616)."""
    parts = _decoded(response).split(b"\0")
    return (parts[1], parts[2]) if len(parts) == 3 else (b"", b"")


def _decoded(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except ValueError:
        return b""


async def _obey(sink: Sink) -> None:
    """Commands from standard input, until its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        match line.decode().split():
            case ["expect", first, count]:
                sink.ledger = Ledger(int(first), int(count))
                sink.on_complete = lambda: write_line({"complete": True})
            case ["report"]:
                write_line(sink.ledger.report())


async def _run(address: str, port: int, tls: ssl.SSLContext | None) -> None:
    sink = Sink(tls)
    server = await asyncio.get_running_loop().create_server(lambda: Session(sink), address, port, backlog=1024)
    write_line({"port": server.sockets[0].getsockname()[1]})
    await _obey(sink)
    server.close()


def main() -> None:
    """Serve until standard input ends."""
    options = argparse.ArgumentParser()
    options.add_argument("address")
    options.add_argument("port", type=int)
    options.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    given = options.parse_args()
    context = None
    if given.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*given.tls)
    uvloop.run(_run(given.address, given.port, context))


if __name__ == "__main__":
    main()
