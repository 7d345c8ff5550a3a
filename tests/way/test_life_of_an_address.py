"""Gateways and waiting mail when users are suspended, resumed and deleted, and when addresses are transferred."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from corpus.peer import RawPeer
from outgate import clock
from outgate.directory import accounts
from outgate.directory import users as stored_users
from outgate.directory.gateway_settings import GatewaySettings
from outgate.operations import gateway_operations, propagation, send_as_operations, user_operations
from outgate.operations.actor import Actor
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import OperationContext, writing
from outgate.queue import admin
from outgate.queue.admin import Selection
from outgate.store.engine import read
from outgate.store.tables import gateway as gateway_table
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, running
from way.submit import submit

CONSOLE = Actor.console("root")
ALICE = "alice@example.com"


async def do(site: Site, change: Callable[[OperationContext], object]) -> None:
    """One operation at the console, while the server runs; in force when this returns."""

    def work() -> None:
        place = site.place()
        with writing(place.engine, place.vault, CONSOLE, clock.now()) as op:
            change(op)
        propagation.wait(place.engine)
        place.engine.dispose()

    await asyncio.to_thread(work)


def sealed_passwords(site: Site) -> list[bytes | None]:
    place = site.place()
    with read(place.engine) as connection:
        found = list(connection.scalars(select(gateway_table.c.sealed_password)))
    place.engine.dispose()
    return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return install(tmp_path / "outgate", delivery={"retry_first": 1, "retry_factor": 1})


async def test_a_suspended_users_gateway_stops_and_its_password_is_gone(site: Site) -> None:
    """Even after the user is resumed mail waits, rather than go another way or without log-in, until it is entered."""
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, gateway.port)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await gateway.wait_for(1)
            await do(site, lambda op: user_operations.suspend(op, ALICE))
            assert sealed_passwords(site) == [None]
            with pytest.raises(Exception, match="535"):
                await submit(site, PARTNER)
            await do(site, lambda op: user_operations.resume(op, ALICE))
            await submit(site, PARTNER)
            await eventually(lambda: "erased" in _last_reply(site), "the message waits and says why")
            assert len(gateway.messages) == 1
            server_again = GatewaySettings("localhost", gateway.port, "starttls", PARTNER, GATEWAY_PASSWORD)  # type: ignore[arg-type]  # it checks
            await do(site, lambda op: gateway_operations.set_gateway(op, ALICE, PARTNER, server_again))
            await gateway.wait_for(2)
        finally:
            await server.stop()


async def test_mail_of_a_user_who_is_suspended_while_it_waits_is_not_sent(site: Site) -> None:
    open_for_business = False

    def answer(line: str) -> str | None:
        return None if open_for_business or not line.startswith("MAIL") else "451 4.3.0 Not yet"

    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=answer) as gateway:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, gateway.port)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await eventually(lambda: any(one.startswith("MAIL") for one in gateway.commands), "it was tried")
            await do(site, lambda op: user_operations.suspend(op, ALICE))
            open_for_business = True
            await eventually(lambda: "suspended" in _last_reply(site), "it waits and says why")
            assert gateway.messages == []
        finally:
            await server.stop()


async def test_a_deleted_users_secrets_are_gone(site: Site) -> None:
    await site.switch(on=True)
    await site.add_external(ALICE, PARTNER, 25, security="starttls")  # type: ignore[arg-type]  # it checks
    await do(site, lambda op: user_operations.remove(op, ALICE))
    assert sealed_passwords(site) == []


async def test_an_external_address_is_transferred_without_proof_and_gateway(site: Site) -> None:
    await site.switch(on=True)
    await site.add_external(ALICE, PARTNER, 25, security="starttls")  # type: ignore[arg-type]  # it checks
    await do(site, lambda op: send_as_operations.grant(op, ALICE, "sales@example.com"))
    await do(site, lambda op: _transfer(op, PARTNER))
    await do(site, lambda op: _transfer(op, "sales@example.com"))
    place = site.place()
    with read(place.engine) as connection:
        bob = accounts.load(connection, stored_users.find(connection, "bob@example.com").id)
        alice = accounts.load(connection, stored_users.find(connection, ALICE).id)
    place.engine.dispose()
    assert alice
    assert bob
    assert set(alice.send_as) == {ALICE}
    assert not bob.send_as[PARTNER].verified
    assert bob.send_as[PARTNER].gateway is None
    assert bob.send_as["sales@example.com"].verified


def _transfer(op: OperationContext, address: str) -> object:
    return send_as_operations.transfer(op, ALICE, address, "bob@example.com", Confirmation("mail.example.com"))


def _last_reply(site: Site) -> str:
    place = site.place()
    with read(place.engine) as connection:
        waiting = list(admin.waiting(connection, Selection(), clock.now(), 10))
    place.engine.dispose()
    return " ".join(one.last_reply or "" for one in waiting)
