"""The clients, a process of its own: sessions that log in once and then submit one message after another.

    python -m bench.generator < PLAN

The first line of standard input is a Plan as JSON. When every session is logged in it prints one line, waits for a
second line of input, sends, and prints a Result as JSON. MAIL, RCPT and DATA go in one write (RFC 2920), the content
after 354, the next message after the 250 of the final dot. Ends by itself after `seconds`.
"""

import asyncio
import base64
import itertools
import json
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

from bench import population
from bench.lines import write_line


@dataclass(frozen=True, slots=True)
class LogIn:
    """One session: its user, empty for no log-in, and the addresses that it sends from in turn."""

    username: str
    password: str
    addresses: list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes where. `security` is `ssl`, `starttls` or `none`; `ca` a PEM file; numbers are first..first+count,
    `rate` of them a second, or as many as are taken if that is 0.
    """

    host: str
    port: int
    security: str
    ca: str
    sessions: list[LogIn]
    first: int
    count: int
    seconds: float
    rate: float = 0.0


@dataclass(slots=True)
class Result:
    """`started` and `ended` are CLOCK_MONOTONIC seconds; latencies run from MAIL to the 250 of the final dot."""

    accepted: int = 0
    started: float = 0.0
    ended: float = 0.0
    latencies: list[float] = field(default_factory=list)
    fault: str = ""
    cpu: float = 0.0


class Refused(Exception):
    """A reply that the run can't go on after."""


class Session(asyncio.Protocol):
    """One client. Until `send` every reply answers one `_command`; from then on replies drive the messages."""

    def __init__(self, log_in: LogIn, result: Result) -> None:
        self._log_in, self._result = log_in, result
        self._buffer = b""
        self._addresses = itertools.cycle(log_in.addresses)
        loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[bytes] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self._on_reply: Callable[[bytes], None] = lambda line: self._waiting.set_result(line)  # noqa: PLW0108 -- _waiting is another one for each reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the server closed the connection")

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":
                self._on_reply(line)

    def _fail(self, why: str) -> None:
        for future in (self._waiting, self.done):
            if not future.done():
                future.set_exception(Refused(why))
                future.exception()  # seen here: only one of the two is awaited

    # --- log in ---

    async def log_in(self, starttls: ssl.SSLContext | None, host: str) -> None:
        """From the greeting to the end of AUTH."""
        await self._expect(b"2")
        await self._command("EHLO client.example", b"2")
        if starttls:
            await self._command("STARTTLS", b"2")
            loop = asyncio.get_running_loop()
            upgraded = await loop.start_tls(self._transport, self, starttls, server_hostname=host)
            assert upgraded
            self._transport = upgraded
            await self._command("EHLO client.example", b"2")
        if self._log_in.username:
            token = base64.b64encode(f"\0{self._log_in.username}\0{self._log_in.password}".encode()).decode()
            await self._command(f"AUTH PLAIN {token}", b"235")

    async def _command(self, line: str, wanted: bytes) -> None:
        self._transport.write(line.encode() + b"\r\n")
        await self._expect(wanted)

    async def _expect(self, wanted: bytes) -> None:
        reply = await self._waiting
        self._waiting = asyncio.get_running_loop().create_future()
        if not reply.startswith(wanted):
            raise Refused(reply.decode())

    # --- send ---

    def send(self, numbers: Iterator[int], due: Callable[[int], float]) -> None:
        """Messages by the numbers that all sessions share, each when it is due (by the loop's clock), until there are
        none; then `done`.
        """
        self._numbers, self._due = numbers, due
        self._next()

    def _next(self) -> None:
        number = next(self._numbers, None)
        if number is None:
            self.done.set_result(None)
            return
        loop = asyncio.get_running_loop()
        if (due := self._due(number)) > loop.time():
            loop.call_at(due, self._submit, number)
        else:
            self._submit(number)

    def _submit(self, number: int) -> None:
        address = next(self._addresses)
        self._content = population.content(number, address) + b".\r\n"
        self._on_reply = self._on_mail
        self._began = time.monotonic()
        envelope = f"MAIL FROM:<{address}>\r\nRCPT TO:<{population.recipient(number)}>\r\nDATA\r\n"
        self._transport.write(envelope.encode())

    def _on_mail(self, line: bytes) -> None:
        self._go_on(line, b"250", self._on_recipient)

    def _on_recipient(self, line: bytes) -> None:
        self._go_on(line, b"250", self._on_data)

    def _on_data(self, line: bytes) -> None:
        if self._go_on(line, b"354", self._on_end):
            self._transport.write(self._content)

    def _on_end(self, line: bytes) -> None:
        if self._go_on(line, b"250", self._on_mail):
            now = time.monotonic()
            self._result.latencies.append(now - self._began)
            self._result.accepted += 1
            self._result.ended = now
            self._next()

    def _go_on(self, line: bytes, wanted: bytes, following: Callable[[bytes], None]) -> bool:
        good = line.startswith(wanted)
        if good:
            self._on_reply = following
        else:
            self._fail(line.decode())
        return good

    def close(self) -> None:
        """Without QUIT: the run is over."""
        self._transport.abort()


def _due(plan: Plan, number: int, started: float) -> float:
    return started + (number - plan.first) / plan.rate if plan.rate else 0.0


async def _connect(plan: Plan, log_in: LogIn, result: Result) -> Session:
    context = ssl.create_default_context(cafile=plan.ca) if plan.security != "none" else None
    implicit = plan.security == "ssl"
    _, session = await asyncio.get_running_loop().create_connection(
        lambda: Session(log_in, result),
        plan.host,
        plan.port,
        ssl=context if implicit else None,
        server_hostname=plan.host if implicit else None,
    )
    await session.log_in(context if plan.security == "starttls" else None, plan.host)
    return session


async def run(plan: Plan, ready: Callable[[], None]) -> Result:
    """Log in, call `ready` (which blocks until all may begin), send everything. A fault ends it early."""
    result = Result()
    sessions: list[Session] = []
    try:
        async with asyncio.timeout(plan.seconds):
            sessions = await asyncio.gather(*(_connect(plan, log_in, result) for log_in in plan.sessions))
            ready()
            cpu = time.process_time()
            result.started = time.monotonic()
            numbers = iter(range(plan.first, plan.first + plan.count))
            for session in sessions:
                session.send(numbers, lambda number: _due(plan, number, result.started))
            await asyncio.gather(*(session.done for session in sessions))
            result.cpu = time.process_time() - cpu
    except (Refused, OSError, TimeoutError) as error:
        result.fault = f"{type(error).__name__}: {error}"
    for session in sessions:
        session.close()
    return result


def _parse(text: str) -> Plan:
    values = json.loads(text)
    return Plan(**{**values, "sessions": [LogIn(**entry) for entry in values["sessions"]]})


def _wait_for_the_word() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    """One plan from standard input."""
    plan = _parse(sys.stdin.readline())
    write_line(asdict(uvloop.run(run(plan, _wait_for_the_word))))


if __name__ == "__main__":
    main()
