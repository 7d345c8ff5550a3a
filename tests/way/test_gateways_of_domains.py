"""Outbound gateways with several hosts, of the organisation and of single domains: who gets which message."""

import asyncio

from bench.scratch import free_port

from corpus.peer import RawPeer
from outgate import clock
from outgate.directory import organisation, users
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.users import Credentials
from outgate.model import Security
from outgate.record import message_log
from outgate.store.engine import read, write
from way.place import PASSWORD, Site, running
from way.submit import message, submit

ALICE, AT_BRANCH = "alice@example.com", "alice@branch.example"


def _set_up(site: Site, whole: GatewaySettings, own: GatewaySettings) -> None:
    place = site.place()
    with write(place.engine) as connection:
        organisation.set_domain_gateway(connection, place.vault, whole)
        organisation.add_domain(connection, "branch.example", clock.now())
        organisation.set_domain_gateway(connection, place.vault, own, "branch.example")
        users.create(connection, AT_BRANCH, Credentials.derive(PASSWORD, 4096), clock.now())
    place.engine.dispose()


def _queues(site: Site) -> set[str]:
    place = site.place()
    with read(place.engine) as connection:
        found = {fact.detail["queue"] for _, fact in message_log.latest(connection, 0, 100) if "queue" in fact.detail}
    place.engine.dispose()
    return found


async def test_each_domain_has_its_gateway_and_each_gateway_the_next_host_where_one_takes_nothing(site: Site) -> None:
    """The organisation's first host is not there; the domain's takes no sender now."""
    nobody, port = free_port("127.0.0.3", "127.0.0.4"), free_port("127.0.0.1", "127.0.0.2")
    busy = RawPeer(
        host="127.0.0.2", port=port, answer=lambda line: "451 4.3.2 later" if line.startswith("MAIL") else None
    )
    async with RawPeer(host="127.0.0.3", port=nobody) as whole, busy, RawPeer(port=port) as own:
        await asyncio.to_thread(
            _set_up,
            site,
            GatewaySettings("127.0.0.4", nobody, Security.NONE, fallbacks=("127.0.0.3",)),
            GatewaySettings("127.0.0.2", port, Security.NONE, fallbacks=("127.0.0.1",)),
        )
        server = await running(site)
        try:
            await submit(site, ALICE, content=message(ALICE))
            await submit(site, AT_BRANCH, content=message(AT_BRANCH), account=AT_BRANCH)
            await whole.wait_for(1)
            await own.wait_for(1)
        finally:
            await server.stop()
        assert busy.connections == 1
        assert [one.reverse_path for one in whole.messages] == [ALICE]
        assert [one.reverse_path for one in own.messages] == [AT_BRANCH]
    assert _queues(site) == {"domain-gateway", "domain-gateway:branch.example"}
