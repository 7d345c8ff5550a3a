"""What a sender may demand of a message's way: to be held back (RFC 4865), and verified TLS (RFC 8689)."""

import asyncio
import smtplib
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from corpus.peer import RawPeer
from outgate import clock
from outgate.store.engine import read, write
from outgate.store.tables import message as stored
from outgate.store.tables import recipient
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, running
from way.submit import client, message


async def asked(site: Site, *options: str) -> tuple[int, str]:
    """The reply to a message with these parameters, or to its MAIL."""

    def work() -> tuple[int, str]:
        with client(site) as session:
            try:
                session.sendmail(PARTNER, ["carol@recipient.example"], message(PARTNER), mail_options=options)
            except smtplib.SMTPSenderRefused as refused:
                return refused.smtp_code, refused.smtp_error.decode()
            return 250, ""

    return await asyncio.to_thread(work)


def due(site: Site) -> Sequence[float]:
    place = site.place()
    with read(place.engine) as connection:
        found = list(connection.scalars(select(recipient.c.due_at)))
    place.engine.dispose()
    return found


def let_go(site: Site) -> None:
    """The time has come."""
    place = site.place()
    with write(place.engine) as connection:
        connection.execute(update(recipient).values(due_at=0.0))
        connection.execute(update(stored).values(not_before=0.0))
    place.engine.dispose()


def words(seconds: float) -> str:
    return f"HOLDUNTIL={datetime.fromtimestamp(clock.now() + seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


async def test_a_message_is_held_back_as_long_as_its_sender_says(site: Site, gateway: RawPeer) -> None:
    await site.switch(on=True)
    await site.add_external("alice@example.com", PARTNER, gateway.port)
    server = await running(site)
    try:
        now = clock.now()
        assert await asked(site, "HOLDFOR=3600") == (250, "")
        assert await asked(site, words(7200)) == (250, "")
        first, second = sorted(due(site))
        assert 0 <= first - now - 3600 < 60
        assert 0 <= second - now - 7199 < 60
        assert await asked(site, words(-60)) == (250, "")  # its time is over: at once
        await gateway.wait_for(1)
        await eventually(lambda: len(due(site)) == 2, "that one has left")
        await asyncio.to_thread(let_go, site)
        await gateway.wait_for(3)
        assert not any("HOLD" in line for line in gateway.commands)
    finally:
        await server.stop()


async def test_what_can_not_be_held_back_so_is_refused_at_mail(site: Site) -> None:
    server = await running(site)
    try:
        code, said = await asked(site, "HOLDFOR=2592001")
        assert code == 501
        assert "held back for 2592000 seconds at most" in said
        code, said = await asked(site, "HOLDFOR=60", words(60))
        assert code == 501
        assert "exclude each other" in said
    finally:
        await server.stop()


@pytest.mark.parametrize("offered", [True, False])
async def test_requiretls_leaves_by_a_gateway_that_offers_it_or_comes_back(site: Site, offered: bool) -> None:
    offers = ("PIPELINING", "8BITMIME", *(["REQUIRETLS"] if offered else []))
    tls = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=tls, credentials={PARTNER: GATEWAY_PASSWORD}, offers=offers) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        try:
            assert await asked(site, "REQUIRETLS") == (250, "")
            if offered:
                await gateway.wait_for(1)
                assert any(line.startswith("MAIL") and "REQUIRETLS" in line for line in gateway.commands)
            else:
                await eventually(lambda: list(site.data.glob("mail/*/new/*")), "the sender is told")
                (report,) = site.data.glob("mail/*/new/*")
                told = " ".join(report.read_text().split())
                assert "REQUIRETLS was asked for, and the next server does not offer REQUIRETLS" in told
                assert "Status: 5.7.30" in told
                assert not gateway.messages
        finally:
            await server.stop()
