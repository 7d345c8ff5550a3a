"""The thinnest path through all of it: submitted, routed by the chosen address, delivered, recorded."""

from sqlalchemy import select

from corpus.peer import RawPeer
from outgate.record import message_log
from outgate.store import tables
from outgate.store.engine import read
from way.conftest import PARTNER
from way.place import Site, eventually, running
from way.submit import submit


async def test_a_message_leaves_by_the_gateway_of_its_from_address(site: Site, gateway: RawPeer) -> None:
    await site.switch(on=True)
    await site.add_external("alice@example.com", PARTNER, gateway.port)
    server = await running(site)
    try:
        await submit(site, PARTNER)
        (received,) = await gateway.wait_for(1)
        await eventually(lambda: _waiting(site) == 0, "the outcome is recorded")
    finally:
        await server.stop()
    assert received.reverse_path == PARTNER
    assert received.username == PARTNER
    assert received.tls
    assert b"alice@example.com" not in received.content
    assert _kinds(site) == ["accepted", "routed", "attempt", "delivered"]


def _waiting(site: Site) -> int:
    place = site.place()
    with read(place.engine) as conn:
        return len(conn.execute(select(tables.recipient)).all())


def _kinds(site: Site) -> list[str]:
    place = site.place()
    with read(place.engine) as conn:
        (logged,) = message_log.search(conn, message_log.MessageFilter())
        return [event.kind.value for event in message_log.history(conn, logged.event.message_id)]
