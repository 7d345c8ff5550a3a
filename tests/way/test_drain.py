"""A server that is drained takes nothing new, over a restart as well, until somebody says otherwise."""

import asyncio
import smtplib
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from outgate.node_id import node_id
from outgate.operations import node_operations, propagation
from outgate.operations.actor import Actor
from outgate.operations.context import reading, writing
from outgate.operations.node_operations import NodeStanding
from outgate.wiring import ServerProcess
from way.place import Site, eventually, install, listens, running
from way.submit import client, submit
from way.test_own_mail_leaves import inbox

ALICE, BOB = "alice@example.com", "bob@example.com"


def _say(site: Site, *, drained: bool) -> None:
    place = site.place()
    actor = Actor.console("tests")
    with writing(place.engine, place.vault, actor, 0.0) as op:
        change = node_operations.drain if drained else node_operations.resume
        change(op, node_id(site.data))
    assert propagation.wait(place.engine) is None
    place.engine.dispose()


def _standing(site: Site) -> NodeStanding:
    place = site.place()
    with reading(place.engine, place.vault, Actor.console("tests"), 0.0) as op:
        (found,) = node_operations.listed(op)
    place.engine.dispose()
    return found


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outgate.deliver.heartbeat.HEARTBEAT", 0.05)


@pytest.mark.usefixtures("often")
async def test_where_one_port_can_not_be_had_again_all_stay_shut_until_it_can(tmp_path: Path) -> None:
    site = install(tmp_path / "o", dkim_key=False)
    server = await running(site)
    try:
        await asyncio.to_thread(_say, site, drained=True)
        await eventually(lambda: not listens(site), "the ports are closed")
        with capture_logs() as lines:
            with socket.create_server(("127.0.0.1", site.tls)):
                await asyncio.to_thread(_say, site, drained=False)
                told = f"can't listen on 127.0.0.1, port {site.tls} (tls)"
                await eventually(lambda: any(told in str(one.get("error")) for one in lines), "it is told")
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", site.starttls))
            await submitted_at_last(site)
        assert [told in str(one.get("error")) for one in lines].count(True) == 1
    finally:
        await server.stop()


@pytest.mark.usefixtures("often")
async def test_who_resumes_while_the_server_starts_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServerProcess, "_is_drained", lambda _: True)  # what was read a moment too early
    site = install(tmp_path / "o", dkim_key=False)
    server = await running(site)
    try:
        await submitted_at_last(site)
    finally:
        await server.stop()


@pytest.mark.usefixtures("often")
async def test_a_server_that_stops_does_not_open_its_ports_again(tmp_path: Path) -> None:
    site = install(tmp_path / "o", dkim_key=False)
    server = await running(site)
    with socket.create_connection(("127.0.0.1", site.tls)):  # whoever says nothing has a moment more
        await server.stop()
    assert not server._listener.is_open
    assert not listens(site)


async def submitted_at_last(site: Site) -> None:
    await eventually(lambda: listens(site), "the ports are open")
    await submit(site, ALICE, [BOB])


async def test_a_drained_server_takes_nothing_until_it_is_told_to(tmp_path: Path) -> None:
    site = install(tmp_path / "o", dkim_key=False)
    server = await running(site)
    session = await asyncio.to_thread(client, site)
    await asyncio.to_thread(_say, site, drained=True)
    await eventually(lambda: not listens(site), "the ports are closed")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        await asyncio.to_thread(lambda: (session.noop(), session.noop()))
    session.close()
    assert (await asyncio.to_thread(_standing, site)).is_empty
    await server.stop()

    server = await running(site)
    try:
        assert not listens(site)
        await asyncio.to_thread(_say, site, drained=False)
        await eventually(lambda: listens(site), "the ports are open")
        await submit(site, ALICE, [BOB])
        await eventually(lambda: inbox(site, BOB), "it is delivered")
    finally:
        await server.stop()
