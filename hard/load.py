"""Mail at an even pace from many users, whatever became of the last, and how long each took to its gateway."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from hard.gateway import Arrivals
from hard.installation import Failed, Installation, User
from hard.submitter import Session, Submitted, session


@dataclass
class Sender:
    """A user's session; its messages wait for each other."""

    user: User
    session: Session
    recipient: str
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self) -> Submitted:
        async with self.turn:
            return await self.session.submit(self.user.address, (self.recipient,))


@asynccontextmanager
async def senders(
    installation: Installation, users: Sequence[User], recipient: str = "carol@recipient.example"
) -> AsyncIterator[list[Sender]]:
    """A session for each user, from several addresses, as no address may have many."""
    async with AsyncExitStack() as stack:
        found = []
        for number, user in enumerate(users):
            place = f"127.0.0.{2 + number % 6}"
            opened = await stack.enter_async_context(session(installation, user, place=place))
            found.append(Sender(user, opened, recipient))
        yield found


async def pace(every: Sequence[Sender], *, rate: float, seconds: float) -> list[Submitted]:
    """Each in turn sends, `rate` a second in all, begun at its time even if others still wait."""
    tasks = []
    began = time.monotonic()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(began + number / rate - time.monotonic())
        tasks.append(asyncio.create_task(every[number % len(every)].send()))
    done = await asyncio.gather(*tasks)
    if refused := [one.reply for one in done if not one.taken]:
        raise Failed(f"{len(refused)} submissions were refused: {refused[0]}")
    return list(done)


def latencies(sent: Sequence[Submitted], arrivals: Arrivals) -> list[float]:
    """Seconds from the submission's begin to the arrival; infinite for what did not arrive."""
    return [arrivals.times[one.number][0] - one.began if one.number in arrivals.times else math.inf for one in sent]


class Ticking:
    """Submissions of one user, one each 100 ms, while something else is done: how many were refused, the slowest."""

    def __init__(self) -> None:
        self.done: list[Submitted] = []
        self.broken = 0

    @property
    def refused(self) -> int:
        return sum(not one.taken for one in self.done) + self.broken

    @property
    def slowest(self) -> float:
        return max((one.seconds for one in self.done), default=math.inf)

    async def run(self, talking: Session, user: User, recipient: str) -> None:
        """Until cancelled."""
        while True:
            began = time.monotonic()
            try:
                self.done.append(await talking.submit(user.primary, (recipient,)))
            except ConnectionError:
                self.broken += 1
                return
            await asyncio.sleep(max(0.0, began + 0.1 - time.monotonic()))


@asynccontextmanager
async def ticking(installation: Installation, user: User, recipient: str) -> AsyncIterator[Ticking]:
    """A submission each 100 ms while the block lasts, and the last one's answer waited for."""
    async with session(installation, user, place="127.0.0.9") as talking:
        found = Ticking()
        began = time.monotonic()
        task = asyncio.create_task(found.run(talking, user, recipient))
        try:
            yield found
        finally:
            unanswered = time.monotonic()
            count = len(found.done)
            while not task.done() and len(found.done) == count and time.monotonic() - unanswered < 60:
                await asyncio.sleep(0.02)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if len(found.done) < (time.monotonic() - began) / 60:
                found.broken += 1
