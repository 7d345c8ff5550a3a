"""The rows of tests/behaviour, against Outgate's delivery: many at once, each with a peer of its own."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from behaviour.page import page
from behaviour.peer import Peer
from behaviour.rows import Fate, Row, rows
from deliver.scripted import SMALL, VERIFYING, Given, delivery
from outgate.deliver.connection import Link, Timeouts
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.smtp_transport import SmtpTransport
from outgate.deliver.tls_policy import SecuredHost, TlsPolicy, alike
from outgate.egress.resolver import Host

FATES = {Verdict.DELIVERED: Fate.DELIVERED, Verdict.RETRY: Fate.RETRIED, Verdict.FAILED: Fate.RETURNED}
TIMEOUTS = Timeouts(connect=3.0, reply=3.0, content=3.0, transaction=20.0)
AT_ONCE = 30  # rows: a peer that is well must answer in time, while all others have their turn


async def fate(row: Row, *further: str) -> tuple[Fate, int, int]:
    """What becomes of a message; how often it arrived, and was acknowledged. At `further` addresses all is well."""

    async def hosts() -> list[SecuredHost] | Outcome:
        return alike([Host("localhost", address) for address in ("127.0.0.1", *further)], TlsPolicy.OPPORTUNISTIC)

    async with Peer(row) as peer, AsyncExitStack() as others:
        well = [await others.enter_async_context(Peer(None, address, peer.port)) for address in further]
        link = Link(peer.port, TlsPolicy.OPPORTUNISTIC, "client.example")
        line = SmtpTransport(link, hosts, TIMEOUTS, VERIFYING, Given(SMALL), 600.0)  # type: ignore[arg-type]  # Given is what is asked of it
        failed = await line.connect()
        outcome = failed or (await line.carry(delivery())).outcomes[0]
        line.close()
        arrived = sum(len(one.whole) for one in (peer, *well))
        return FATES[outcome.verdict], arrived, sum(one.acknowledged for one in (peer, *well))


async def fates(every: Sequence[Row], *further: str) -> list[tuple[Fate, int, int]]:
    """Of all of them."""
    room = asyncio.Semaphore(AT_ONCE)

    async def in_turn(row: Row) -> tuple[Fate, int, int]:
        async with room:
            return await fate(row, *further)

    async with asyncio.timeout(100):
        return await asyncio.gather(*(in_turn(row) for row in every))


async def test_each_row_comes_out_as_the_table_says() -> None:
    every = rows()
    assert len(every) >= 100
    found = await fates(every)
    wrong = [
        f"{row.number} {row.name}: {was}, arrived {arrived}, acknowledged {acknowledged}"
        for row, (was, arrived, acknowledged) in zip(every, found, strict=True)
        if was is not row.ours
        or acknowledged > 1
        or (acknowledged == 1 and was is not Fate.DELIVERED and not row.twice)
    ]
    assert not wrong, "\n".join(wrong)


async def test_a_next_host_gets_what_one_can_not_take_now_and_nothing_that_it_may_have() -> None:
    every = rows()
    found = await fates(every, "127.0.0.2")
    wrong = [
        f"{row.number} {row.name}: {was}, acknowledged {acknowledged}"
        for row, (was, _, acknowledged) in zip(every, found, strict=True)
        if was is not row.with_next_host or acknowledged > 1
    ]
    assert not wrong, "\n".join(wrong)


def test_what_outgate_does_is_among_what_may_be() -> None:
    assert [row.name for row in rows() if row.ours not in row.may] == []
    names = [row.name for row in rows()]
    assert sorted(set(names)) == sorted(names), "each row is told apart"


def test_the_page_is_made_of_the_rows() -> None:
    assert (Path(__file__).parents[2] / "docs" / "behaviour.md").read_text() == page()
