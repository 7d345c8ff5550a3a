"""Cases of gateways that are slow, silent or dead: everybody else's mail leaves as if they were not there."""

import asyncio
import time
from contextlib import AsyncExitStack

from hard.figure import Figure, percentile
from hard.gateway import Arrivals, Talk, deaf, gateway, takes
from hard.installation import Ground, Installation
from hard.load import latencies, pace, senders
from hard.submitter import session

SOON = 1.0  # seconds that mail may take whatever others do


async def _drips_at_mail(talk: Talk) -> None:
    """A byte each 20 seconds."""
    await talk.greet()
    await talk.hear()
    for letter in "250-" + "x" * 1000:
        talk.writer.write(letter.encode())
        await asyncio.sleep(20)


async def _seconds_to_mailbox(installation: Installation, address: str, longest: float) -> float:
    began = time.monotonic()
    while not installation.mailbox(address) and time.monotonic() < began + longest:
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def a_user_with_a_gateway_that_drips(ground: Ground) -> list[Figure]:
    """As many messages as the server keeps in memory for a gateway that answers MAIL with a byte each 20 s; then one
    of another user to a mailbox here.
    """
    places = ground.size(1000, 40)
    async with ground.installation({"delivery.in_memory": places}) as site:
        slow, other, *_ = site.users
        await site.start()
        async with gateway(slow.port, _drips_at_mail, ground.scratch.tls):
            async with senders(site, [slow] * 5) as every:
                for _ in range(places // len(every) + 1):
                    await asyncio.gather(*(one.send() for one in every))
            await asyncio.sleep(1)
            async with session(site, other) as talking:
                await talking.submit(other.primary, (other.primary,))
                waited = await _seconds_to_mailbox(site, other.primary, ground.size(60, 5))
    return [Figure("another user's mail to a mailbox here", waited, "s", SOON)]


async def dead_and_slow_gateways(ground: Ground) -> list[Figure]:
    """A tenth of the gateways says nothing at all, a tenth takes 10 s for a reply; mail for all comes evenly."""
    seconds, rate = ground.size(300, 6), ground.size(100, 60)
    settings = {} if ground.full else {"delivery.in_memory": 40}
    arrivals = Arrivals()
    async with ground.installation(settings) as site, AsyncExitStack() as stack:
        tenth = len(site.users) // 10
        dead, slow, healthy = site.users[:tenth], site.users[tenth : 2 * tenth], site.users[2 * tenth :]
        for user in dead:
            stack.enter_context(deaf(user.port))
        for users, pause in ((slow, 10.0), (healthy, 0.0)):
            for user in users:
                script = takes(arrivals, pause=pause)
                await stack.enter_async_context(gateway(user.port, script, ground.scratch.tls))
        await site.start()
        every = await stack.enter_async_context(senders(site, site.users))
        sent = await pace(every, rate=rate, seconds=seconds)
        well = [one for number, one in enumerate(sent) if number % len(every) >= 2 * tenth]
        await asyncio.sleep(2)
        found = latencies(well, arrivals)
    return [
        Figure(f"p99 to {len(healthy)} healthy gateways beside {2 * tenth} others", percentile(found, 0.99), "s", SOON),
        Figure("median of the same", percentile(found, 0.5), "s", SOON),
    ]


async def one_users_backlog(ground: Ground) -> list[Figure]:
    """20,000 messages of one user wait for a gateway with 1 s a reply, and others send."""
    backlog, seconds = ground.size(20_000, 200), ground.size(30, 3)
    settings = {} if ground.full else {"delivery.in_memory": 100}
    arrivals = Arrivals()
    async with ground.installation(settings) as site, AsyncExitStack() as stack:
        slow, *others = site.users[:21]
        await stack.enter_async_context(gateway(slow.port, takes(arrivals, pause=1.0), ground.scratch.tls))
        for user in others:
            await stack.enter_async_context(gateway(user.port, takes(arrivals), ground.scratch.tls))
        await site.start()
        async with senders(site, [slow] * ground.size(20, 4)) as every:
            for _ in range(backlog // len(every)):
                await asyncio.gather(*(one.send() for one in every))
        every = await stack.enter_async_context(senders(site, others))
        sent = await pace(every, rate=50, seconds=seconds)
        await asyncio.sleep(2)
        found = latencies(sent, arrivals)
    return [
        Figure(f"others' p99 while {backlog:,} of one user wait", percentile(found, 0.99), "s", SOON),
        Figure("median of the same", percentile(found, 0.5), "s", SOON),
    ]
