"""Cases of a queue with very many messages, and of what is kept of those that left: nothing slows down by them.

They are copies of one that waits, made in the database while the server is down: to submit a million takes an hour.
"""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from hard.figure import Figure
from hard.gateway import Arrivals, gateway, takes
from hard.installation import Ground, Installation, User
from hard.load import senders, ticking
from hard.submitter import session

_WAITING = ("message", "chunk", "recipient")
_RECORD = ("fact", "search_key")
_NOT_YET = 14_000.0  # seconds: less than the longest pause of the schedule
_DAY = 86_400.0
_TOLERATED = 1.25  # times the cost without a queue


def _copies(database: Path, tables: Sequence[str], count: int, due: float = 0.0) -> None:
    """Copies of the one message that is there, due so many seconds from now."""
    with sqlite3.connect(database) as connection:
        (original,) = connection.execute(
            "SELECT coalesce(min(id), (SELECT min(message_id) FROM fact)) FROM message"
        ).fetchone()
        connection.execute(
            "CREATE TEMP TABLE step AS WITH RECURSIVE s(n) AS"
            f" (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) SELECT n FROM s"
        )
        for table in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            key = "id" if table == "message" else "message_id"
            copied = [name for name in columns if name not in {key, "id" if table == "fact" else key}]
            values = [f"{time.time() + due}" if name == "due_at" else name for name in copied]
            if columns:
                connection.execute(
                    f"INSERT INTO {table} ({key}, {', '.join(copied)}) SELECT {key} - n, {', '.join(values)}"
                    f" FROM {table}, step WHERE {key} = ?",
                    (original,),
                )
    connection.close()


async def _one_waits(site: Installation, user: User) -> None:
    """A message that was tried once; the server is down then."""
    await site.start()
    async with session(site, user) as talking:
        await talking.submit(user.address)
    until = time.monotonic() + 20
    while "waiting" not in (await site.must("queue", "list")).text and time.monotonic() < until:
        await asyncio.sleep(0.2)
    await site.stop()


async def _cost_of_leaving(ground: Ground, waiting: int, seconds: float) -> float:
    """Milliseconds of CPU for a message that leaves, out of a queue of so many that are due."""
    arrivals = Arrivals()
    async with ground.installation() as site:
        user = site.users[0]
        await _one_waits(site, user)
        await asyncio.to_thread(_copies, site.database, _WAITING, waiting)
        async with gateway(user.port, takes(arrivals), ground.scratch.tls):
            await site.start()
            await arrivals.until(1, 30)
            await asyncio.sleep(1)
            before, cpu = _count(arrivals), site.cpu()
            began = time.monotonic()
            while time.monotonic() < began + seconds and _count(arrivals) < waiting * 0.8:
                await asyncio.sleep(0.05)
            return (site.cpu() - cpu) * 1000 / max(_count(arrivals) - before, 1)


def _count(arrivals: Arrivals) -> int:
    return sum(len(times) for times in arrivals.times.values())


async def many_that_are_due(ground: Ground) -> list[Figure]:
    """300,000 messages are due: each leaves as cheaply as out of a short queue."""
    seconds, many, few = ground.size(15, 2), ground.size(300_000, 30_000), ground.size(20_000, 3_000)
    alone = await _cost_of_leaving(ground, few, seconds)
    among = await _cost_of_leaving(ground, many, seconds)
    what = f"CPU of a message that leaves with {many:,} due ({among:.1f} ms), times that with {few:,}"
    return [Figure(what, among / alone, "", _TOLERATED)]


async def _cost_of_accepting(site: Installation, users: Sequence[User], count: int) -> tuple[float, float]:
    """Milliseconds of CPU for a message that comes, and the part of a core that is taken when nothing happens."""
    cpu = site.cpu()
    await asyncio.sleep(3)
    idle = (site.cpu() - cpu) / 3
    async with senders(site, users, recipient=users[0].primary) as every:
        await asyncio.gather(*(one.send() for one in every))
        cpu = site.cpu()
        for _ in range(count // len(every)):
            await asyncio.gather(*(one.send() for one in every))
        return (site.cpu() - cpu) * 1000 / count, idle


async def many_that_wait(ground: Ground) -> list[Figure]:
    """A million messages wait for their time: others come and leave as cheaply, and nothing happens meanwhile."""
    many, count = ground.size(1_000_000, 50_000), ground.size(2000, 300)
    async with ground.installation() as site:
        await _one_waits(site, site.users[0])
        await site.start()
        alone, _ = await _cost_of_accepting(site, site.users[:10], count)
        await site.stop()
        await asyncio.to_thread(_copies, site.database, _WAITING, many, _NOT_YET)
        await site.start()
        await asyncio.sleep(2)
        among, idle = await _cost_of_accepting(site, site.users[:10], count)
    return [
        Figure(
            f"CPU of a message with {many:,} waiting ({among:.1f} ms), times without", among / alone, "", _TOLERATED
        ),
        Figure("part of a core when nothing happens", idle, "", 0.05),
    ]


async def commands_on_a_long_queue(ground: Ground) -> list[Figure]:
    """The switch is thrown, and all of a million that wait are to be tried; another user sends each 100 ms."""
    many = ground.size(1_000_000, 50_000)
    async with ground.installation() as site:
        user, other = site.users[:2]
        await _one_waits(site, user)
        await asyncio.to_thread(_copies, site.database, _WAITING, many, _NOT_YET)
        await site.start()
        await asyncio.sleep(1)
        async with ticking(site, other, other.primary) as ticks:
            failed = 0
            for command in (
                ("policy", "set", "allowUsersToUseExternalSmtpServers", "off"),
                ("queue", "retry", "--all"),
            ):
                await asyncio.sleep(0.5)
                done = await site.run(*command, seconds=200)
                failed += done.status != 0
        shown = await site.must("policy", "show", "allowUsersToUseExternalSmtpServers")
    return [
        Figure("submissions refused", ticks.refused, "", 0),
        Figure(f"the slowest of {len(ticks.done)}", ticks.slowest, "s", 1.0),
        Figure("commands that failed", failed, "", 0),
        Figure("the switch is off", float("off" in shown.text), "", 1, least=True),
    ]


async def looking_at_a_long_queue(ground: Ground) -> list[Figure]:
    """`queue count`, and a search of the record for somebody who is not in it, with a million of each."""
    many = ground.size(1_000_000, 50_000)
    looks = (("queue", "count"), ("log", "--address", "nobody@nowhere.example"))
    async with ground.installation() as site:
        await _one_waits(site, site.users[0])
        before = [(await site.must(*look)).seconds for look in looks]
        await asyncio.to_thread(_copies, site.database, (*_WAITING, *_RECORD), many, _NOT_YET)
        after = [(await site.must(*look)).seconds for look in looks]
    return [
        Figure(f"{' '.join(look[:2])} with {many:,}, longer by", late - early, "s", 1.0)
        for look, early, late in zip(looks, before, after, strict=True)
    ]


async def an_old_record(ground: Ground) -> list[Figure]:
    """What is kept of messages that came 91 days ago: the file shrinks again."""
    many = ground.size(20_000, 2_000)
    async with ground.installation() as site:
        user = site.users[0]
        site.set_clock(0)
        await site.start()
        async with session(site, user) as talking:
            await talking.submit(user.primary, (user.primary,))
        while not site.mailbox(user.primary):
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        await site.stop()
        empty = site.stored()
        await asyncio.to_thread(_copies, site.database, _RECORD, many)
        full = site.stored()
        site.set_clock(91 * _DAY)
        await site.start()
        until = time.monotonic() + ground.size(120, 12)
        while site.stored() > empty + 0.25 * (full - empty) and time.monotonic() < until:
            await asyncio.sleep(0.5)
        await site.stop()
        kept = site.stored()
    return [Figure(f"bytes kept of each of {many:,} old messages", (kept - empty) * 1024 * 1024 / many, "B", 250)]
