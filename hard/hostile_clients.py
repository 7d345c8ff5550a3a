"""Cases of programs that connect to the submission ports and mean no good."""

import asyncio
import math
import socket
import time
from dataclasses import dataclass

from hard.figure import Figure
from hard.installation import Ground, Installation, User
from hard.submitter import session

_MEMORY = 16  # MiB that it may grow by at the most
_FILES = 1024  # what systems let a process have
_MAIL, _RCPT = "MAIL FROM:<u000@example.com>", "RCPT TO:<u000@example.com>"


@dataclass(frozen=True, slots=True)
class _Flood:
    """What a connection says first, and then without an end."""

    first: tuple[str, ...]
    line: bytes
    logs_in: bool = False


_FLOODS = (
    _Flood(("EHLO client.example",), b"BDAT 0\r\n"),
    _Flood(("EHLO client.example", _MAIL), _RCPT.encode() + b"\r\n"),  # MAIL is refused
    _Flood((_MAIL, _RCPT), _RCPT.encode() + b"\r\n", logs_in=True),  # over the limit
    _Flood((_MAIL, _RCPT), b"BDAT 0\r\n", logs_in=True),
)


async def _flood(site: Installation, user: User, flood: _Flood, ready: asyncio.Barrier, seconds: float) -> float:
    """Sends without an end and never reads; returns after how many seconds it was cut off, infinite if it was not."""
    async with session(site, user if flood.logs_in else None, place="127.0.0.7") as talking:
        if not flood.logs_in:
            await talking.reply()
        for line in flood.first:
            await talking.command(line)
        talking.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads
        await ready.wait()
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                while not talking.writer.transport.is_closing():
                    talking.writer.write(flood.line * 4096)
                    await talking.writer.drain()
                    await asyncio.sleep(0)  # over TLS, drain may come back at once for ever: nobody else would run
        except TimeoutError:
            return math.inf
        except ConnectionError:
            pass
        return time.monotonic() - began


async def clients_that_never_read(ground: Ground) -> list[Figure]:
    """Four connections that pipeline commands as fast as they can and read no reply, each in a way of its own."""
    seconds = ground.size(15, 3)
    async with ground.installation({"submission.max_recipients": 1}) as site, asyncio.TaskGroup() as group:
        await site.start()
        ready = asyncio.Barrier(len(_FLOODS) + 1)
        floods = [group.create_task(_flood(site, site.users[0], one, ready, seconds)) for one in _FLOODS]
        await ready.wait()
        memory = most = site.resident()
        while not all(one.done() for one in floods):
            await asyncio.sleep(0.05)
            most = max(most, site.resident())
    figures = [Figure("memory grown by", most - memory, "MiB", _MEMORY)]
    if ground.full:  # they have 10 s to read why they must go
        figures.append(Figure("the last of them cut off after", max(one.result() for one in floods), "s", 12.0))
    return figures


async def connections_that_say_nothing(ground: Ground) -> list[Figure]:
    """1,200 connections to the TLS port that send nothing, where a process may open 1,024 files; another user sends."""
    async with ground.installation() as site:
        user = site.users[0]
        await site.start(files=_FILES)
        opened = []
        try:
            for _ in range(1200):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", site.port))
                opened.append(one)
                if len(opened) % 50 == 0:
                    await asyncio.sleep(0.05)
            began = time.monotonic()
            taken = await _takes(site, user, longest=ground.size(30, 5))
            waited = time.monotonic() - began if taken else math.inf
        finally:
            for one in opened:
                one.close()
    return [Figure("log-in and a submission from another address", waited, "s", 1.0)]


async def _takes(site: Installation, user: User, longest: float) -> bool:
    try:
        async with asyncio.timeout(longest), session(site, user, place="127.0.0.9") as talking:
            return (await talking.submit(user.primary, (user.primary,))).taken
    except (OSError, TimeoutError):
        return False
