"""Cases of servers that mail leaves to and that mean no good, or are broken: they harm nobody but their own mail."""

import asyncio
import base64
import math
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from hard.figure import Figure
from hard.gateway import Script, Talk, deaf, gateway, silent
from hard.installation import Ground
from hard.slow_destinations import SOON
from hard.submitter import pulse, session

_MEMORY = 16  # MiB that a peer may cost at the most
_STANDS = 0.5  # seconds that all others may wait at the most
_FILES = 1024
_UNREACHABLE = 1000  # domains whose exchangers say nothing


async def domains_that_say_nothing(ground: Ground) -> list[Figure]:
    """Four messages to 1,000 recipients each, at as many domains whose servers never say a word."""
    messages, seconds = ground.size(4, 1), ground.size(40, 5)
    most, waited, refused = 0, 0.0, 0
    with deaf() as port:
        async with ground.installation({"delivery.smtp_port": port}) as site:
            user, other = site.users[:2]
            await site.start(files=_FILES)
            async with session(site, user) as talking:
                for number in range(messages):
                    there = [f"x@d{n}.m{number}.example" for n in range(_UNREACHABLE)]
                    refused += not (await talking.submit(user.primary, there)).taken
            began = time.monotonic()
            while time.monotonic() < began + seconds:
                most = max(most, site.process().num_fds())
                at = time.monotonic()
                try:
                    async with asyncio.timeout(10), session(site, other, place="127.0.0.9") as talking:
                        refused += not (await talking.submit(other.primary, (other.primary,))).taken
                except (OSError, TimeoutError):
                    refused += 1
                waited = max(waited, time.monotonic() - at)
                await asyncio.sleep(0.5)
            arrived = len(site.mailbox(other.primary))
    return [
        Figure(f"files open of {_FILES}", most, "", _FILES * 0.75),
        Figure("another user's submissions that were refused", refused, "", 0),
        Figure("the slowest of them with log-in", waited, "s", SOON),
        Figure("of another user's mail here", arrived, "messages", 1, least=True),
    ]


def _floods_when_idle(flood: Callable[[Talk], object]) -> Script:
    async def script(talk: Talk) -> None:
        await talk.greet()
        while not (await talk.hear()).startswith("DATA"):
            talk.say("250 2.0.0 ok")
        await talk.content()
        talk.say("250 2.0.0 ok")
        await flood(talk)  # type: ignore[misc] # a coroutine function

    return script


def _floods_behind_354(flood: Callable[[Talk], object]) -> Script:
    async def script(talk: Talk) -> None:
        await talk.greet()
        while not (await talk.hear()).startswith("DATA"):
            talk.say("250 2.0.0 ok")
        talk.say("354 go on")
        await flood(talk)  # type: ignore[misc] # a coroutine function

    return script


def _for(seconds: float) -> Callable[[Talk], object]:
    async def flood(talk: Talk) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not talk.writer.transport.is_closing():
            talk.writer.write(b"250-xxxx\r\n" * 6000)
            await talk.writer.drain()
            await asyncio.sleep(0)

    return flood


async def a_peer_that_floods(ground: Ground) -> list[Figure]:
    """Replies without end that nobody asked for: on a warm connection, and behind 354 while content is sent."""
    seconds = ground.size(25, 2)
    figures = []
    body = b"x" * 998 + b"\r\n"
    for where, script in (("on a warm connection", _floods_when_idle), ("behind 354", _floods_behind_354)):
        async with ground.installation() as site:
            user, other = site.users[:2]
            await site.start()
            async with gateway(user.port, script(_for(seconds)), ground.scratch.tls), pulse(site, other) as beating:
                memory = site.resident()
                async with session(site, user) as talking:
                    await talking.submit(user.address, body=body * 20_000)
                await asyncio.sleep(seconds)
                grown = site.peak() - memory
            figures.append(Figure(f"memory grown by a flood {where}, with its message", grown, "MiB", 3 * _MEMORY))
            figures.append(Figure(f"all others stand, at most, in a flood {where}", beating.longest, "s", _STANDS))
    return figures


def _drips(text: str, pause: float, ended: asyncio.Future[float]) -> Script:
    """MAIL is answered little by little; gives how long the client bore it."""

    async def script(talk: Talk) -> None:
        await talk.greet()
        await talk.hear()
        began = time.monotonic()
        gone = asyncio.ensure_future(silent(talk))
        while not gone.done():
            talk.writer.write(text.encode())
            await asyncio.wait([gone], timeout=pause)
        if not ended.done():
            ended.set_result(time.monotonic() - began)

    return script


async def a_reply_that_drips(ground: Ground) -> list[Figure]:
    """A byte each half second, or a line each 1.5 s, while a reply may take 3 s; and each of many replies slow, while
    a transaction may take 6 s.
    """
    longest = ground.size(60, 9)
    settings = {"delivery.reply_timeout": 3.0, "delivery.content_timeout": 3.0, "delivery.transaction_timeout": 6.0}
    recipients = [f"r{n}@recipient.example" for n in range(100)]
    ends: list[asyncio.Future[float]] = [asyncio.get_running_loop().create_future() for _ in range(3)]
    scripts = _drips("x", 0.5, ends[0]), _drips("250-more\r\n", 1.5, ends[1]), _answers_slowly(ends[2])
    async with ground.installation(settings) as site, AsyncExitStack() as stack:
        await site.start()
        for user, script in zip(site.users, scripts, strict=False):
            await stack.enter_async_context(gateway(user.port, script, ground.scratch.tls))
            async with session(site, user) as talking:
                await talking.submit(user.address, recipients)
        found = await asyncio.gather(*(_within(ended, longest) for ended in ends))
    return [
        Figure("a reply, a byte each 0.5 s: given up after", found[0], "s", 4.0),
        Figure("a reply, a line each 1.5 s: given up after", found[1], "s", 4.0),
        Figure("a transaction of slow replies: given up after", found[2], "s", 8.0),
    ]


def _answers_slowly(ended: asyncio.Future[float]) -> Script:
    async def script(talk: Talk) -> None:
        await talk.greet()
        began = time.monotonic()
        try:
            while not talk.writer.transport.is_closing():
                await talk.hear()
                await asyncio.sleep(1.0)
                talk.say("250 2.0.0 ok")
        finally:
            if not ended.done():
                ended.set_result(time.monotonic() - began)

    return script


async def _within(ended: asyncio.Future[float], longest: float) -> float:
    try:
        return await asyncio.wait_for(ended, longest)
    except TimeoutError:
        return math.inf


async def replies_without_measure(ground: Ground) -> list[Figure]:
    """450 with 790 KB to each of many recipients, tried twice: what the database grows by."""
    recipients = ground.size(100, 10)
    refused = [*("450-" + "x" * 3970 for _ in range(198)), "450 4.2.1 no"]
    heard = 0

    async def script(talk: Talk) -> None:
        nonlocal heard
        await talk.greet()
        while True:
            if (await talk.hear()).startswith("RCPT"):
                talk.say(*refused)
                heard += 1
                await talk.writer.drain()
            else:
                talk.say("250 2.0.0 ok")

    async with ground.installation({"delivery.retry_first": 1, "delivery.retry_factor": 1}) as site:
        user = site.users[0]
        await site.start()
        before = site.stored()
        async with gateway(user.port, script, ground.scratch.tls):
            async with session(site, user) as talking:
                await talking.submit(user.address, [f"r{n}@recipient.example" for n in range(recipients)])
            began = time.monotonic()
            while heard < 2 * recipients and time.monotonic() < began + ground.size(120, 20):
                await asyncio.sleep(0.1)
            await asyncio.sleep(1)
        await site.stop()
        grown = site.stored() - before
    attempts = heard / recipients
    return [
        Figure(f"the database grew in {attempts:.0f} attempts to {recipients} recipients by", grown, "MiB", 4.0),
        Figure("attempts", attempts, "", 2, least=True),
    ]


async def a_costly_log_in(ground: Ground) -> list[Figure]:
    """A gateway that wants two million rounds of PBKDF2 of whoever logs in."""
    asked = 0

    async def script(talk: Talk) -> None:
        nonlocal asked
        await talk.greet("AUTH SCRAM-SHA-256")
        _, _, first = (await talk.hear()).split(" ")
        nonce = base64.b64decode(first).decode().rpartition("r=")[2]
        challenge = f"r={nonce}more,s={base64.b64encode(b'salt of sixteen.').decode()},i=2000000"
        asked += 1
        talk.say(f"334 {base64.b64encode(challenge.encode()).decode()}")
        await talk.hear()
        talk.say("535 5.7.8 no")

    async with ground.installation() as site:
        user, other = site.users[:2]
        await site.start()
        async with gateway(user.port, script, ground.scratch.tls), pulse(site, other) as beating:
            await asyncio.sleep(0.5)
            async with session(site, user) as talking:
                await talking.submit(user.address)
            await asyncio.sleep(4)
    return [
        Figure("all others stand, at most", beating.longest, "s", 0.2),
        Figure("log-ins", asked, "", 1, least=True),
    ]
