"""Cases of much work at once: large messages, and a directory of many users."""

import asyncio

from hard.figure import Figure
from hard.gateway import Arrivals, gateway, takes
from hard.installation import MIB, Ground
from hard.load import ticking
from hard.submitter import session

_LINE = b"x" * 74 + b"\r\n"


async def large_messages_at_once(ground: Ground) -> list[Figure]:
    """20 submissions of 25 MiB at once, through to the gateway: memory at the most."""
    count, size = ground.size(20, 10), ground.size(25, 8) * MIB
    arrivals = Arrivals()
    async with ground.installation() as site:
        user = site.users[0]
        body = _LINE * (size // len(_LINE))

        async def submit() -> bool:
            async with session(site, user) as talking:
                return (await talking.submit(user.address, body=body)).taken

        async with gateway(user.port, takes(arrivals), ground.scratch.tls):
            await site.start()
            taken = sum(await asyncio.gather(*(submit() for _ in range(count))))
            arrived = await arrivals.until(count, ground.size(200, 20))
            peak = site.peak()
    return [
        Figure(f"memory with {count} of {size // MIB} MiB", peak, "MiB", 220),
        Figure("taken and delivered", min(taken, arrived), "", count, least=True),
    ]


async def importing_users(ground: Ground) -> list[Figure]:
    """20,000 users are imported while another one sends each 100 ms; and a dry run of as many with passwords."""
    count = ground.size(20_000, 300)
    async with ground.installation() as site:
        user = site.users[0]
        file = site.data.with_suffix(".csv")
        await site.start()
        file.write_text("address,name\n" + "".join(f"i{n}@example.com,Number {n}\n" for n in range(count)))
        async with ticking(site, user, user.primary) as ticks:
            await site.must("import", "users", str(file), seconds=400)
        rows = "".join(f"p{n}@example.com,Number {n},a password {n}\n" for n in range(count))
        file.write_text("address,name,password\n" + rows)
        dry = await site.must("import", "users", str(file), "--dry-run", seconds=400)
    return [
        Figure(f"submissions refused during the import of {count:,} users", ticks.refused, "", 0),
        Figure(f"the slowest of {len(ticks.done)}", ticks.slowest, "s", 0.5),
        Figure(f"a dry run of {count:,} with passwords", dry.seconds, "s", 30),
    ]
