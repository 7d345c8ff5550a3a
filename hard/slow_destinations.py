"""Cases of gateways that are slow, silent or dead: everybody else's mail leaves as if they were not there."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from hard.figure import Figure, percentile
from hard.gateway import Arrivals, Talk, deaf, gateway, takes
from hard.installation import Ground, Installation, User
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


@dataclass(frozen=True, slots=True)
class _Field:
    """A server and its gateways: a tenth says nothing at all, a tenth takes 10 s for a reply, the rest are well."""

    site: Installation
    arrivals: Arrivals
    sick: list[User]
    healthy: list[User]
    rate: int  # messages a second to all of them together
    seconds: int  # for which each is measured

    async def alone(self) -> list[float]:
        """Seconds that mail takes to the healthy ones, at their part of the rate, while nothing goes to the others."""
        every = len(self.sick) + len(self.healthy)
        return await self._measured([], self.rate * len(self.healthy) / every)

    async def beside_the_sick(self) -> list[float]:
        """The same while mail for all comes evenly."""
        return await self._measured(self.sick, self.rate)

    async def _measured(self, others: list[User], rate: float) -> list[float]:
        """After a round that isn't counted: connections are warm by then, with the others and without."""
        async with senders(self.site, [*others, *self.healthy]) as every:
            await pace(every, rate=rate, seconds=len(every) / rate)
            sent = await pace(every, rate=rate, seconds=self.seconds)
            well = [one for number, one in enumerate(sent) if number % len(every) >= len(others)]
            await asyncio.sleep(2)
            return latencies(well, self.arrivals)


@asynccontextmanager
async def _field(ground: Ground, seconds: int) -> AsyncIterator[_Field]:
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
        yield _Field(site, arrivals, [*dead, *slow], healthy, ground.size(100, 60), seconds)


def _compared(ground: Ground, who: str, alone: list[float], beside: list[float]) -> list[Figure]:
    """In seconds, and against what it is without the sick ones. In the short form a percentile is one message of a few
    hundred, so that only what is far off is missed there.
    """
    before, after = percentile(alone, 0.99), percentile(beside, 0.99)
    return [
        Figure(f"p99 to {who}", after, "s", SOON),
        Figure("median of the same", percentile(beside, 0.5), "s", SOON),
        Figure("p99 to the same without the sick ones", before, "s", SOON),
        Figure("p99 with the sick ones to p99 without", after / before, "times", ground.size(15, 100) / 10),
    ]


async def dead_and_slow_gateways(ground: Ground) -> list[Figure]:
    """A tenth of the gateways says nothing at all, a tenth takes 10 s for a reply; mail for all comes evenly. Before
    that only the healthy ones get theirs.
    """
    async with _field(ground, ground.size(150, 3)) as field:
        alone = await field.alone()
        beside = await field.beside_the_sick()
    who = f"{len(field.healthy)} healthy gateways beside {len(field.sick)} others"
    return _compared(ground, who, alone, beside)


async def one_users_backlog(ground: Ground) -> list[Figure]:
    """The same while 20,000 messages of one user wait for a gateway with 10 s a reply."""
    backlog = ground.size(20_000, 200)
    async with _field(ground, ground.size(90, 3)) as field:
        alone = await field.alone()
        async with senders(field.site, field.sick[-1:] * ground.size(20, 4)) as every:
            for _ in range(backlog // len(every)):
                await asyncio.gather(*(one.send() for one in every))
        beside = await field.beside_the_sick()
    who = f"{len(field.healthy)} healthy gateways while {backlog:,} of one user wait"
    return _compared(ground, who, alone, beside)
