"""Cases of programs that connect to the submission ports and mean no good."""

import asyncio
import math
import socket
import time

from hard.figure import Figure
from hard.installation import Ground, Installation, User
from hard.submitter import Session, session

_LEAST_MEMORY = 16  # MiB that a connection may cost at the most
_FILES = 1024  # what systems let a process have


async def _into_data(talking: Session, user: User) -> None:
    """BDAT in a transaction."""
    await talking.command(f"MAIL FROM:<{user.primary}>")
    await talking.command(f"RCPT TO:<{user.primary}>")


async def _over_the_limit(talking: Session, user: User) -> None:
    """Another recipient than there may be."""
    await talking.command(f"MAIL FROM:<{user.primary}>")
    for _ in range(2):
        await talking.command(f"RCPT TO:<{user.primary}>")


async def _refused_mail(talking: Session, user: User) -> None:
    """RCPT behind a refused MAIL."""
    await talking.reply()
    await talking.command("EHLO client.example")
    await talking.command(f"MAIL FROM:<{user.primary}>")


async def _greeted(talking: Session, _user: User) -> None:
    await talking.reply()
    await talking.command("EHLO client.example")


_FLOODS = (
    ("BDAT 0 before log-in", _greeted, b"BDAT 0\r\n", False),
    ("RCPT behind a refused MAIL", _refused_mail, b"RCPT TO:<x@example.com>\r\n", False),
    ("RCPT over the limit", _over_the_limit, b"RCPT TO:<x@example.com>\r\n", True),
    ("BDAT 0 in a transaction", _into_data, b"BDAT 0\r\n", True),
)


async def _flood(site: Installation, user: User, flood: tuple, seconds: float) -> tuple[float, float]:  # type: ignore[type-arg]
    """MiB that it grew by, and the part of a core that it took, while one connection sends and never reads."""
    _, begin, line, logs_in = flood
    async with session(site, user if logs_in else None, place="127.0.0.7") as talking:
        await begin(talking, user)
        talking.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads
        memory, cpu, began = site.resident(), site.cpu(), time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                while not talking.writer.transport.is_closing():
                    talking.writer.write(line * 4096)
                    await talking.writer.drain()
        except (TimeoutError, ConnectionError):
            pass
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        return site.resident() - memory, (site.cpu() - cpu) / (time.monotonic() - began)


async def a_client_that_never_reads(ground: Ground) -> list[Figure]:
    """One connection that pipelines commands as fast as it can and reads no reply, four ways."""
    seconds = ground.size(10, 1)
    figures = []
    async with ground.installation({"submission.max_recipients": 1}) as site:
        await site.start()
        for flood in _FLOODS:
            grown, cpu = await _flood(site, site.users[0], flood, seconds)
            figures.append(Figure(f"memory grown by: {flood[0]}", grown, "MiB", _LEAST_MEMORY))
            if ground.full:
                figures.append(Figure(f"part of a core: {flood[0]}", cpu, "", 0.25))
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
