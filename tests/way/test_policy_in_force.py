"""Settings of policy on the whole way: at the next SMTP command, and for mail that waits."""

import asyncio
import email
import email.policy
import smtplib
from pathlib import Path

import pytest

from corpus.peer import RawPeer
from outgate import clock
from outgate.directory.settings import setting
from outgate.model import Security
from outgate.operations import policy_operations, propagation
from outgate.operations.actor import Actor
from outgate.operations.context import writing
from outgate.record import message_log
from outgate.record.events import EventKind, MessageEvent
from outgate.store.engine import read
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, running
from way.submit import client, message, submit

ALICE = "alice@example.com"
STRANGER = "ceo@elsewhere.example"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return install(tmp_path / "outgate", delivery={"retry_first": 1, "retry_factor": 1})


async def set_policy(site: Site, **values: object) -> None:
    """What `outgate policy set` does; in force when this returns."""

    def work() -> None:
        place = site.place()
        with writing(place.engine, place.vault, Actor.console("root"), clock.now()) as op:
            for name, value in values.items():
                policy_operations.set_policy(op, "/", setting(name), value)
        propagation.wait(place.engine)
        place.engine.dispose()

    await asyncio.to_thread(work)


def events(site: Site) -> list[MessageEvent]:
    place = site.place()
    with read(place.engine) as connection:
        found = [fact for _, fact in message_log.latest(connection, 0, 1000)]
    place.engine.dispose()
    return found


async def test_with_refuse_a_gateway_that_is_off_is_told_at_once_to_an_open_session(site: Site) -> None:
    """The policy changes between two messages of one session."""
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, gateway.port)
        server = await running(site)
        try:
            session = await asyncio.to_thread(client, site)
            await asyncio.to_thread(session.sendmail, PARTNER, ["carol@recipient.example"], message(PARTNER))
            await gateway.wait_for(1)
            await set_policy(site, allowUsersToUseExternalSmtpServers="off", gatewayNotAllowed="refuse")
            with pytest.raises(smtplib.SMTPDataError, match="Functionality not enabled") as refused:
                await asyncio.to_thread(session.sendmail, PARTNER, ["carol@recipient.example"], message(PARTNER))
            assert refused.value.smtp_code == 550
            await asyncio.to_thread(session.quit)
        finally:
            await server.stop()


async def test_with_refuse_waiting_mail_comes_back_with_the_reason(site: Site) -> None:
    def answer(line: str) -> str | None:
        return "451 4.3.0 Not yet" if line.startswith("MAIL") else None

    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=answer) as gateway:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, gateway.port)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await eventually(lambda: any(one.kind is EventKind.DEFERRED for one in events(site)), "it waits")
            await set_policy(site, allowedGatewayHosts="smtp.elsewhere.example", gatewayNotAllowed="refuse")
            await eventually(lambda: events(site)[-1].kind is EventKind.DELIVERED, "its report is delivered")
        finally:
            await server.stop()
    (bounced,) = [one for one in events(site) if one.kind is EventKind.BOUNCED]
    assert "allowedGatewayHosts" in bounced.detail["reason"]


async def test_an_unknown_from_is_rewritten_and_kept_in_a_header(site: Site) -> None:
    async with RawPeer() as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        await set_policy(site, unknownFrom="rewrite")
        server = await running(site)
        try:
            await submit(site, STRANGER)
            (received,) = await relay.wait_for(1)
        finally:
            await server.stop()
    parsed = email.message_from_bytes(received.content, policy=email.policy.default)
    assert received.reverse_path == ALICE
    assert parsed["From"] == "Alice <alice@example.com>"
    assert parsed["X-Outgate-Original-From"] == STRANGER
    assert parsed["Sender"] is None
