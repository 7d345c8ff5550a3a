"""Cases of what is interrupted: the database goes away, the server stops, the clock jumps, the switch is thrown."""

import asyncio
import signal
from contextlib import AsyncExitStack

from hard.figure import Figure
from hard.gateway import Arrivals, Script, Talk, gateway, takes
from hard.installation import Ground, Installation, User
from hard.load import senders
from hard.postgresql import PostgresServer

_DAY = 86_400.0


async def _submit(site: Installation, users: list[User], each: int, sessions: int = 1) -> None:
    async with senders(site, users * sessions) as every:
        for _ in range(each // sessions):
            await asyncio.gather(*(one.send() for one in every))


async def the_database_goes_away(ground: Ground) -> list[Figure]:
    """PostgreSQL is away for 5 s while mail waits in memory and leaves slowly: all of it leaves soon afterwards."""
    each, seconds = ground.size(80, 15), ground.size(60, 15)
    arrivals = Arrivals()
    with PostgresServer() as server:
        settings = {"database_url": server.url, "delivery.retry_first": 1, "delivery.retry_factor": 1}
        async with ground.another(settings, users=ground.size(20, 5)) as site, AsyncExitStack() as stack:
            for user in site.users:
                script = takes(arrivals, pause=0.1)
                await stack.enter_async_context(gateway(user.port, script, ground.scratch.tls))
            await site.start()
            await _submit(site, site.users, each)
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(ground.size(5, 2))
            await asyncio.to_thread(server.start)
            total = each * len(site.users)
            left = total - await arrivals.until(total, seconds)
    return [Figure(f"of {total} messages still waiting {seconds} s later", left, "", 0)]


async def an_orderly_stop(ground: Ground) -> list[Figure]:
    """SIGTERM while messages are handed over to gateways whose last 250 takes 0.3 s; then a start."""
    each = ground.size(60, 20)
    arrivals = Arrivals()
    async with (
        ground.installation({"delivery.retry_first": 1, "delivery.retry_factor": 1}) as site,
        AsyncExitStack() as stack,
    ):
        users = site.users[:10]
        for user in users:
            await stack.enter_async_context(gateway(user.port, takes(arrivals, at_end=0.3), ground.scratch.tls))
        await site.start()
        await _submit(site, users, each)
        await site.stop(signal.SIGTERM)
        early = len(arrivals.times)
        await site.start()
        total = each * len(users)
        left = total - await arrivals.until(total, 60)
        await asyncio.sleep(1)
    return [
        Figure(f"messages sent twice, of {total} ({early} before the stop)", arrivals.repeated, "", 0),
        Figure("messages that never left", left, "", 0),
    ]


async def a_clock_set_ahead(ground: Ground) -> list[Figure]:
    """The clock jumps two hours ahead, past all leases, while messages are handed over."""
    each = ground.size(20, 5)
    arrivals = Arrivals()
    async with ground.installation() as site, AsyncExitStack() as stack:
        users = site.users[:5]
        for user in users:
            await stack.enter_async_context(gateway(user.port, takes(arrivals, at_end=2.0), ground.scratch.tls))
        site.set_clock(0)
        await site.start()
        await _submit(site, users, each)
        site.set_clock(7200)
        total = each * len(users)
        left = total - await arrivals.until(total, ground.size(60, 20))
        await asyncio.sleep(3)
        tracebacks = site.log.read_text().count("Traceback")
    return [
        Figure(f"messages sent twice, of {total}", arrivals.repeated, "", 0),
        Figure("messages that never left", left, "", 0),
        Figure("tracebacks", tracebacks, "", 0),
    ]


async def a_clock_set_back(ground: Ground) -> list[Figure]:
    """20 messages wait for their next attempt; the clock is set back by a day."""
    arrivals = Arrivals()
    async with ground.installation({"delivery.retry_first": 2, "delivery.retry_factor": 1}) as site:
        user = site.users[0]
        site.set_clock(0)
        await site.start()
        await _submit(site, [user], 20)
        await asyncio.sleep(1)
        site.set_clock(-_DAY)
        async with gateway(user.port, takes(arrivals), ground.scratch.tls):
            if not ground.full:  # it looks at its clock each minute, and at its start
                await site.stop()
                await site.start()
            left = 20 - await arrivals.until(20, ground.size(120, 8))
    return [Figure("of 20 messages still waiting", left, "", 0)]


def _holds(arrivals: Arrivals, going: asyncio.Event, *, at_end: bool) -> Script:
    """Waits for `going` at MAIL, or when the content has come."""

    async def script(talk: Talk) -> None:
        await talk.greet()
        while True:
            line = await talk.hear()
            if line.startswith("MAIL") and not at_end:
                await going.wait()
            if line.startswith("DATA"):
                await arrivals.note(await talk.content())
                if at_end:
                    await going.wait()
            talk.say("250 2.0.0 ok")

    return script


async def the_switch_and_open_transactions(ground: Ground) -> list[Figure]:
    """The switch is thrown while gateways are silent at MAIL, or at the content's end: what leaves by them later."""
    count, each = ground.size(80, 10), ground.size(25, 10)
    going = asyncio.Event()
    at_mail, at_end = Arrivals(), Arrivals()
    async with ground.installation() as site, AsyncExitStack() as stack:
        users = site.users[:count]
        for number, user in enumerate(users):
            silent_at_end = number % 2 == 1
            script = _holds(at_end if silent_at_end else at_mail, going, at_end=silent_at_end)
            await stack.enter_async_context(gateway(user.port, script, ground.scratch.tls))
        await site.start()
        await _submit(site, users, each)
        await asyncio.sleep(1)
        under_way = len(at_end.times)
        done = await site.switch(on=False)
        before = len(at_mail.times), len(at_end.times)
        going.set()
        await asyncio.sleep(3)
    return [
        Figure("left later by gateways that were silent at MAIL", len(at_mail.times) - before[0], "", 0),
        Figure("left later by gateways that were silent at the end", len(at_end.times) - before[1], "", 0),
        Figure(f"of {under_way} under way not told of by the command", 0 if done.status else under_way, "", 0),
    ]
