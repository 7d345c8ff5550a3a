"""Rows edited behind Outgate's back: no password leaves, nothing is sent, the message waits, and it is told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from corpus.peer import RawPeer
from outgate import wiring
from outgate.record import audit_trail
from outgate.store import tables
from outgate.store.engine import read, write
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, running
from way.submit import message, submit

BOBS = "bob@dominiopartner.example"

SWAPPED = "UPDATE gateway SET sealed_password = (SELECT sealed_password FROM gateway ORDER BY id LIMIT 1)"
HOST = "UPDATE gateway SET host = '127.0.0.1'"
PORT = "UPDATE gateway SET port = :port"
VERSION = "UPDATE gateway SET credential_version = credential_version + 1"
USER = "UPDATE gateway SET username = 'mallory'"
DOWNGRADED = "UPDATE gateway SET security = 'none'"
FORGED = "UPDATE gateway SET sealed_password = zeroblob(60)"


@pytest.fixture
def engine_of(tmp_path: Path) -> Iterator[tuple[Site, Engine]]:
    site = install(tmp_path / "outgate")
    engine = site.place().engine
    yield site, engine
    engine.dispose()


@asynccontextmanager
async def server_of(site: Site) -> AsyncIterator[tuple[wiring.ServerProcess, list[tuple[str, str, str]]]]:
    """A running server, and the security events that are in the audit trail when it has stopped: kind, target, peer."""
    told: list[tuple[str, str, str]] = []
    server = wiring.ServerProcess(site.place())
    await server.start()
    try:
        yield server, told
    finally:
        await server.stop()
        place = site.place()
        with read(place.engine) as connection:
            entries = [one.entry for one in audit_trail.search(connection, audit_trail.AuditFilter(text="server"))]
        place.engine.dispose()
        told += [(one.operation.removeprefix("security."), one.target, one.peer) for one in reversed(entries)]


def edit(engine: Engine, statement: str, **values: object) -> None:
    with write(engine) as connection:
        connection.execute(text(statement), values)


def waiting(engine: Engine) -> list[str]:
    """Why each recipient that was tried waits."""
    with read(engine) as connection:
        column = tables.recipient.c.last_reply
        return [reply for reply in connection.scalars(select(column)) if reply is not None]


@pytest.mark.parametrize("statement", [SWAPPED, HOST, PORT, VERSION, USER, DOWNGRADED, FORGED])
async def test_an_edited_gateway_gets_nothing_and_the_message_waits(
    engine_of: tuple[Site, Engine], statement: str
) -> None:
    site, engine = engine_of
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as alices, RawPeer(tls=context) as mallory:
        await site.switch(on=True)
        await site.add_external("bob@example.com", BOBS, mallory.port)
        await site.add_external("alice@example.com", PARTNER, alices.port)
        edit(engine, statement, **({"port": mallory.port} if statement == PORT else {}))
        async with server_of(site) as (_, told):
            await submit(site, PARTNER)
            await eventually(lambda: waiting(engine), "the message waits")
        [reason] = waiting(engine)
        assert reason.startswith("4.7.8 the stored password of gateway:2 ")
        assert "set it again" in reason
        assert alices.connections == mallory.connections == 0
        assert [kind for kind, *_ in told] == ["seal-broken"]
        assert told[0][1] == "gateway:2"


OF_ANOTHER_ACCOUNT = "UPDATE send_as SET account_id = 3 - account_id WHERE NOT is_primary"
OF_ANOTHER_ADDRESS = "UPDATE send_as SET address = 'x' || address WHERE NOT is_primary"


@pytest.mark.parametrize(
    ("statements", "sender"),
    [
        (["UPDATE gateway SET send_as_id = -send_as_id", "UPDATE gateway SET send_as_id = 7 + send_as_id"], PARTNER),
        ([OF_ANOTHER_ACCOUNT], BOBS),
        ([OF_ANOTHER_ADDRESS], f"x{PARTNER}"),
    ],
)
async def test_a_gateway_that_was_moved_to_somebody_else_gets_nothing(
    engine_of: tuple[Site, Engine], statements: list[str], sender: str
) -> None:
    """Else alice's mail would log in as bob."""
    site, engine = engine_of
    credentials = {PARTNER: GATEWAY_PASSWORD, BOBS: GATEWAY_PASSWORD}
    async with RawPeer(tls=site.authority.server_context(LOCALHOST), credentials=credentials) as partner:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, partner.port)
        await site.add_external("bob@example.com", BOBS, partner.port)
        with engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        async with server_of(site) as (_, told):
            await submit(site, sender)
            await eventually(lambda: waiting(engine), "the message waits")
        assert "set it again" in waiting(engine)[0]
        assert partner.connections == 0
        assert [kind for kind, *_ in told] == ["seal-broken"]


async def test_an_edited_gateway_of_the_organisation_gets_nothing(engine_of: tuple[Site, Engine]) -> None:
    site, engine = engine_of
    async with RawPeer(tls=site.authority.server_context(LOCALHOST)) as mallory:
        await site.set_domain_gateway(mallory.port)
        edit(engine, "UPDATE domain_gateway SET username = 'mallory'")
        async with server_of(site) as (_, told):
            await submit(site, "alice@example.com")
            await eventually(lambda: waiting(engine), "the message waits")
        assert mallory.connections == 0
        assert told == [("seal-broken", "domain-gateway:1", f"localhost:{mallory.port}")]


async def test_an_edited_signing_key_signs_nothing_and_the_message_waits(engine_of: tuple[Site, Engine]) -> None:
    site, engine = engine_of
    async with RawPeer(tls=site.authority.server_context(LOCALHOST), credentials={"relay": GATEWAY_PASSWORD}) as relay:
        await site.set_domain_gateway(relay.port)
        edit(engine, "UPDATE domain_key SET sealed_key = zeroblob(900)")
        async with server_of(site) as (_, told):
            await submit(site, "alice@example.com")
            await eventually(lambda: waiting(engine), "the message waits")
        assert waiting(engine) == [
            "4.7.5 a stored signing key was changed outside of Outgate; make another: outgate domain dkim set"
        ]
        assert relay.messages == []
        assert [kind for kind, *_ in told] == ["seal-broken"]


async def test_the_others_mail_goes_on_and_the_message_leaves_when_the_row_is_right_again(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", delivery={"retry_first": 1, "retry_factor": 1})
    engine = site.place().engine
    context = site.authority.server_context(LOCALHOST)
    credentials = {PARTNER: GATEWAY_PASSWORD, BOBS: GATEWAY_PASSWORD}
    async with RawPeer(tls=context, credentials=credentials) as partner:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, partner.port)
        await site.add_external("bob@example.com", BOBS, partner.port)
        edit(engine, "UPDATE gateway SET credential_version = credential_version + 1 WHERE id = 1")
        server = await running(site)
        try:
            for number in range(20):
                await submit(site, PARTNER, content=message(PARTNER, f"Number {number}"))
            await submit(site, BOBS, account="bob@example.com")
            [first] = await partner.wait_for(1)
            assert first.reverse_path == BOBS
            for statement in (
                "UPDATE gateway SET credential_version = credential_version - 1 WHERE id = 1",
                "UPDATE organisation SET directory_version = directory_version + 1",
            ):
                await asyncio.to_thread(edit, engine, statement)  # as the server writes too, on this loop
            assert len(await partner.wait_for(21)) == 21
        finally:
            await server.stop()
            await asyncio.to_thread(engine.dispose)
