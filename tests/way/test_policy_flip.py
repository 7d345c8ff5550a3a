"""The switch holds for mail that already waits."""

import asyncio
from pathlib import Path

import pytest

from corpus.peer import RawPeer
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, eventually, install, running
from way.submit import client, message

MESSAGES = 1000


@pytest.mark.measures  # not of time; but traced, two thousand messages take minutes
async def test_a_thousand_waiting_messages_follow_the_switch_off_and_on_again(tmp_path: Path) -> None:
    """The gateway refuses all at first, so they wait; then the switch decides where each of them goes."""
    open_for_business = False

    def answer(line: str) -> str | None:
        return None if open_for_business or not line.startswith("MAIL") else "451 4.3.0 Not yet"

    retry = {"retry_first": 4, "retry_factor": 1}
    site = install(tmp_path / "outgate", delivery=retry)
    context = site.authority.server_context(LOCALHOST)
    async with (
        RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=answer) as gateway,
        RawPeer(tls=context, credentials={"relay": GATEWAY_PASSWORD}, answer=answer) as relay,
    ):
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        await site.set_domain_gateway(relay.port)
        server = await running(site)
        try:
            await asyncio.to_thread(_submit, site, MESSAGES)
            await eventually(lambda: len(gateway.commands) > MESSAGES, "the gateway was tried")
            await site.switch(on=False)
            open_for_business = True
            by_organisation = await relay.wait_for(MESSAGES, timeout=60)
            assert gateway.messages == []
            assert {one.reverse_path for one in by_organisation} == {"alice@example.com"}

            open_for_business = False
            await asyncio.to_thread(_submit, site, MESSAGES)
            tried = len(relay.commands)
            await eventually(lambda: len(relay.commands) > tried + MESSAGES, "the relay was tried")
            await site.switch(on=True)
            open_for_business = True
            by_partner = await gateway.wait_for(MESSAGES, timeout=60)
            assert len(relay.messages) == MESSAGES
            assert {one.reverse_path for one in by_partner} == {PARTNER}
        finally:
            await server.stop()


def _submit(site: object, count: int) -> None:
    with client(site) as session:  # type: ignore[arg-type] # a Site; object keeps asyncio.to_thread's type simple
        for number in range(count):
            session.sendmail(PARTNER, ["carol@recipient.example"], message(PARTNER, f"Number {number}"))
