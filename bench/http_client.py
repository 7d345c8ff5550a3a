"""Programs that ask an API, a process of its own: connections that stay open, each with one request after the other.

    python -m bench.http_client < PLAN

The first line of standard input is a HttpPlan as JSON. When all are connected it prints one line, waits for a second
line of input, asks, and prints a HttpResult as JSON. `%d` in a request is a number that no other one has.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

from bench.lines import write_line


@dataclass(frozen=True, slots=True)
class HttpPlan:
    """`requests` go round over all connections, `rate` of them a second, or as many as are answered if that is 0."""

    port: int
    connections: int
    requests: list[list[str]]  # verb, path, token, body
    rate: float
    seconds: float


@dataclass(slots=True)
class HttpResult:
    """`seconds` that each answer took, by the clock from when it was due; `statuses` by number."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    took: float = 0.0


class HttpSession(asyncio.Protocol):
    """One connection. Reads answers with a Content-Length, and nothing but their status."""

    def __init__(self, result: HttpResult) -> None:
        self._result, self._buffer = result, b""
        self._answered: asyncio.Future[str] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered and not self._answered.done():
            self._answered.set_result("connection lost")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) >= int(length or 0) and self._answered and not self._answered.done():
            self._buffer = b""
            self._answered.set_result(head[9:12].decode())

    async def ask(self, request: bytes, began: float) -> bool:
        """Whether there can be another one."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        status = await self._answered
        self._result.seconds.append(time.monotonic() - began)
        self._result.statuses[status] = self._result.statuses.get(status, 0) + 1
        return status != "connection lost"

    def close(self) -> None:
        self._transport.abort()


def _request(verb: str, path: str, token: str, body: str, number: int) -> bytes:
    content = body.replace("%d", str(number)).encode()
    kind = "Content-Type: application/json\r\n" if content else ""
    head = f"{verb} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{kind}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def _work(session: HttpSession, plan: HttpPlan, numbers: Iterator[int], started: float) -> None:
    for number in numbers:
        due = started + number / plan.rate if plan.rate else time.monotonic()
        if due > started + plan.seconds or time.monotonic() > started + plan.seconds:
            return
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        asked = plan.requests[number % len(plan.requests)]
        if not await session.ask(_request(asked[0], asked[1], asked[2], asked[3], number), max(due, started)):
            return


async def run(plan: HttpPlan) -> HttpResult:
    """Connect, wait for the word, ask until the time is over."""
    result, loop = HttpResult(), asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: HttpSession(result), "127.0.0.1", plan.port)
        for _ in range(plan.connections)
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    started, numbers = time.monotonic(), itertools.count()
    await asyncio.gather(*(_work(session, plan, numbers, started) for _, session in made))
    result.took = time.monotonic() - started
    for _, session in made:
        session.close()
    return result


def main() -> None:
    """One plan from standard input."""
    write_line(asdict(uvloop.run(run(HttpPlan(**json.loads(sys.stdin.readline()))))))


if __name__ == "__main__":
    main()
