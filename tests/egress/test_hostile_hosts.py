"""Hostile gateway hosts through the very code of probe and of delivery, with a listener that counts who came."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bench.scratch import free_port
from sqlalchemy import Engine

from corpus.peer import RawPeer
from egress.hostile import PUBLIC, Listener, Zones, literal_hosts, mixed_hosts, named_hosts, serving
from outgate import wiring
from outgate.config import Config
from outgate.deliver.delivery import Transport
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.probe import TOO_OFTEN, Probed
from outgate.deliver.tls_policy import tls_of
from outgate.deliver.transports import TransportFactory
from outgate.demo.network import VirtualHost
from outgate.directory.cache import DirectoryCache
from outgate.directory.reader import DirectoryReader
from outgate.installation import Installation
from outgate.model import Gateway, QueueKey, QueueKind, Security
from outgate.queue import Queue
from outgate.queue.queue_id import QueueIds
from outgate.record import message_log
from outgate.record.events import MessageEvent
from outgate.route import Route, RouteKind
from outgate.store.engine import make_file, migrate, open_engine, read
from outgate.store.group_commit import GroupCommit
from outgate.store.rates import Rates
from outgate.store.vault import Vault
from outgate.transport_security.tls_session import uncounted
from way.place import GATEWAY_PASSWORD, Site, eventually, install, running
from way.submit import submit

PATIENCE = 1.0
FOR_ALL = 3.0  # seconds in which all names at once are resolved
SLACK = 3.0  # of a machine that does much else
LOOPBACK = {"v4": "127.0.0.0/8", "v6": "::1/128"}
PARTNER = "alice@dominiopartner.example"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listening:
        yield listening


@pytest.fixture
def zones() -> Zones:
    return Zones()


@pytest.fixture
def nameserver(zones: Zones) -> Iterator[str]:
    with serving(zones) as address:
        yield address


class Freely:
    """Rates that are never reached."""

    def hit(self, rate: str, *key: str) -> bool:
        return True


def _config(
    data: Path, nameserver: str | None, port: int = 25, allowed: Mapping[str, str] | None = None, **egress: object
) -> Config:
    return Config.model_validate(
        {
            "data": data,
            "hostname": "mail.example.com",
            "delivery": {
                "nameservers": [nameserver] if nameserver else [],
                "smtp_port": port,
                "connect_timeout": 5,
                "reply_timeout": 5,
            },
            "egress": {"allowed_networks": allowed or {}, "ports": (), **egress},
        }
    )


def _gateway(host: str, port: int, security: Security = Security.NONE) -> Gateway:
    return Gateway("new", host, port, security)


async def _probe_all(config: Config, hosts: list[str], port: int) -> dict[str, Probed]:
    prober = wiring.prober(config)
    tries = (prober.gateway_for("alice", _gateway(host, port), "", Freely(), FOR_ALL) for host in hosts)
    return dict(zip(hosts, await asyncio.gather(*tries), strict=True))


@asynccontextmanager
async def _ways(config: Config) -> AsyncIterator[TransportFactory]:
    """Delivery's carriers, as the server has them; no message is needed to have them connect."""
    engine = open_engine(f"sqlite:///{config.data / 'outgate.db'}")
    make_file(engine)
    migrate(engine)
    commits, fresh = GroupCommit(engine), DirectoryReader(DirectoryCache(engine))
    queue = Queue(engine, commits, "test", 60.0)
    resolver = wiring.resolver(config)
    vault = Vault({"k": bytes(32)}, "k")
    tokens = wiring.access_tokens(Installation(config, engine, vault), "test", QueueIds())
    policies = wiring.sts_policies(config, engine, resolver)
    ids = QueueIds()
    yield TransportFactory(
        config, queue, fresh, resolver, lambda _: "", tokens, _no_key, lambda *_: None, ids, policies, uncounted
    )
    await commits.close()
    queue.close()
    fresh.close()
    engine.dispose()


async def _no_key(_domain: str, _version: int) -> tuple[()]:
    """Nothing is signed here."""
    return ()


async def _connect_all(config: Config, routes: list[Route]) -> list[Outcome | None]:
    async with _ways(config) as ways:
        return list(await asyncio.gather(*(_connect(ways.transport(route, tls_of(route))) for route in routes)))


async def _connect(carrier: Transport) -> Outcome | None:
    try:
        return await carrier.connect()
    finally:
        carrier.close()


def _to(host: str, port: int) -> Route:
    return Route(RouteKind.USER_GATEWAY, QueueKey(QueueKind.GATEWAY, "1"), PARTNER, (), gateway=_gateway(host, port))


def _direct(domain: str) -> Route:
    return Route(RouteKind.DIRECT, QueueKey(QueueKind.MX, domain), "alice@example.com", ())


# --- none reached ----------------------------------------------------------------------------------------------------


async def test_no_hostile_host_is_reached_by_a_probe(
    listener: Listener, zones: Zones, nameserver: str, tmp_path: Path
) -> None:
    hosts = [*literal_hosts(), *named_hosts(zones)]
    assert len(hosts) > 250
    found = await _probe_all(_config(tmp_path, nameserver), hosts, listener.port)
    assert sum(listener.reached.values()) == 0
    for host, probed in found.items():
        assert probed.public == f"could not connect to {host}:{listener.port}"
        assert "may not be connected to" in probed.detail, host


async def test_no_hostile_gateway_is_reached_by_delivery(
    listener: Listener, zones: Zones, nameserver: str, tmp_path: Path
) -> None:
    hosts = [*literal_hosts(), *named_hosts(zones)]
    routes = [_to(host, listener.port) for host in hosts]
    outcomes = await _connect_all(_config(tmp_path, nameserver), routes)
    assert sum(listener.reached.values()) == 0
    for host, outcome in zip(hosts, outcomes, strict=True):
        assert outcome, host
        assert outcome.verdict is Verdict.RETRY
        assert "may not be connected to" in outcome.reason, host
        assert outcome.public == f"could not connect to {host}:{listener.port}"


async def test_no_hostile_exchanger_is_reached_by_delivery(
    listener: Listener, zones: Zones, nameserver: str, tmp_path: Path
) -> None:
    exchangers = [*named_hosts(zones), "127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost"]
    domains = [zones.add(f"d{n}.hostile.example", [f"@{name}"]) for n, name in enumerate(exchangers)]
    domains += ["[127.0.0.1]", "[10.0.0.1]", "[IPv6:::1]", "[ipv6:::ffff:127.0.0.1]", "[IPv6:64:ff9b::7f00:1]"]
    domains += [zones.add("no-mx.hostile.example", ["127.0.0.1"])]  # its own exchanger (RFC 5321 section 5.1)
    outcomes = await _connect_all(_config(tmp_path, nameserver, listener.port), [_direct(one) for one in domains])
    assert sum(listener.reached.values()) == 0
    for domain, outcome in zip(domains, outcomes, strict=True):
        assert outcome, domain
        assert (outcome.verdict, outcome.reason[:6]) == (Verdict.FAILED, "5.4.4 "), (domain, outcome)


async def test_what_the_systems_resolver_finds_is_checked_as_well(listener: Listener, tmp_path: Path) -> None:
    hosts = ["localhost", "LOCALHOST", "localhost.", *literal_hosts()]
    config = _config(tmp_path, None)
    probes = await _probe_all(config, hosts, listener.port)
    await _connect_all(config, [_to(host, listener.port) for host in hosts])
    assert sum(listener.reached.values()) == 0
    assert all("may not be connected to" in probed.detail for probed in probes.values())


# --- controls: the listener would be reached -------------------------------------------------------------------------


async def test_of_a_host_with_good_and_bad_addresses_only_the_good_one_is_reached(
    listener: Listener, zones: Zones, nameserver: str, tmp_path: Path
) -> None:
    hosts = mixed_hosts(zones)
    domains = [zones.add(f"d{number}.hostile.example", [f"@{name}"]) for number, name in enumerate(hosts)]
    config = _config(tmp_path, nameserver, listener.port, {"public": f"{PUBLIC}/32"})
    await _probe_all(config, hosts, listener.port)
    routes = [_to(host, listener.port) for host in hosts]
    await _connect_all(config, [*routes, *(_direct(domain) for domain in domains)])
    assert set(listener.reached) == {PUBLIC}


async def test_the_listener_is_reached_where_the_network_is_allowed(
    listener: Listener, zones: Zones, nameserver: str, tmp_path: Path
) -> None:
    zones.add("redirected.hostile.example", [">inside.hostile.example"])
    zones.add("inside.hostile.example", ["127.0.0.1"])
    zones.add("localhost", ["127.0.0.1"])
    zones.add("mail.hostile.example", ["@inside.hostile.example"])
    hosts = ["127.0.0.1", "127.1.2.3", "::1", "localhost", "redirected.hostile.example", "::ffff:127.0.0.1"]
    config = _config(tmp_path, nameserver, listener.port, LOOPBACK)
    await _probe_all(config, hosts, listener.port)
    await eventually(lambda: sum(listener.reached.values()) == len(hosts), "each probe is counted")
    routes = [_to(host, listener.port) for host in hosts]
    await _connect_all(config, [*routes, _direct("mail.hostile.example"), _direct("[127.0.0.9]")])
    await eventually(lambda: sum(listener.reached.values()) == 2 * len(hosts) + 2, "each connection is counted")
    assert {"127.0.0.1", "127.1.2.3", "127.0.0.9", "::1"} <= listener.reached.keys()


async def test_without_the_guard_disguised_addresses_reach_the_listener(listener: Listener, tmp_path: Path) -> None:
    hosts = [
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "0x7f000001",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "::ffff:7f00:1",
    ]
    prober = wiring.prober(_config(tmp_path, None))
    for host in hosts:
        await prober.domain_gateway(_gateway(host, listener.port), "")
    await eventually(lambda: sum(listener.reached.values()) == len(hosts), "the administrator's own word is taken")


# --- rebinding -------------------------------------------------------------------------------------------------------


async def test_a_name_that_is_bound_anew_is_refused_at_the_next_connection(
    listener: Listener, zones: Zones, nameserver: str, tmp_path: Path
) -> None:
    config = _config(tmp_path, nameserver, listener.port, {"public": f"{PUBLIC}/32"})
    # A and AAAA are asked once for each connection.
    host = zones.add("rebound.hostile.example", [PUBLIC], ["127.0.0.1"])
    domain = zones.add("rebound-mx.hostile.example", ["@rebound2.hostile.example"])
    zones.add("rebound2.hostile.example", [PUBLIC], ["127.0.0.1", "::1"])
    prober = wiring.prober(config)
    first = await prober.gateway_for("alice", _gateway(host, listener.port), "", Freely(), PATIENCE)
    second = await prober.gateway_for("alice", _gateway(host, listener.port), "", Freely(), PATIENCE)
    assert (first.connected, second.connected) == (True, False)
    assert "127.0.0.1 is loopback" in second.detail
    async with _ways(config) as ways:
        route = _direct(domain)
        carrier = ways.transport(route, tls_of(route))
        outcomes = [await carrier.connect() for _ in range(2)]
    assert [outcome.verdict for outcome in outcomes if outcome] == [Verdict.RETRY, Verdict.FAILED]
    await eventually(lambda: listener.reached[PUBLIC] == 2, "the first of each")
    assert dict(listener.reached) == {PUBLIC: 2}


async def test_an_answer_that_changes_between_check_and_connection_changes_nothing(
    listener: Listener, zones: Zones, nameserver: str, tmp_path: Path
) -> None:
    config = _config(tmp_path, nameserver, listener.port, {"public": f"{PUBLIC}/32"})
    hosts = [zones.add(f"r{n}.hostile.example", [PUBLIC], ["127.0.0.1"]) for n in range(20)]
    outcomes = await _connect_all(config, [_to(host, listener.port) for host in hosts])
    assert all(outcome and "421" in outcome.reason for outcome in outcomes)
    await eventually(lambda: listener.reached[PUBLIC] == 20, "all came to the address that was checked")
    assert set(listener.reached) == {PUBLIC}


async def test_mail_for_a_gateway_that_is_bound_anew_waits_and_the_record_says_why(
    zones: Zones, nameserver: str, tmp_path: Path
) -> None:
    """The whole way: the peer at the first address has a certificate for the name, and takes the first message."""
    gateway = VirtualHost("smtp.dominiopartner.example", PUBLIC)
    zones.add(gateway.name, [PUBLIC], ["127.0.0.1"])
    zones.add("inside.example", ["@mx.inside.example"])
    zones.add("mx.inside.example", ["127.0.0.1"])
    site = install(
        tmp_path / "outgate",
        delivery={"nameservers": [nameserver], "max_age": 0.001, "smtp_port": free_port()},
        egress={"allowed_networks": {"public": f"{PUBLIC}/32"}},
    )
    await site.switch(on=True)
    context, port = site.authority.server_context(gateway), free_port(PUBLIC, "127.0.0.1")
    credentials = {PARTNER: GATEWAY_PASSWORD}
    async with (
        RawPeer(host=PUBLIC, port=port, tls=context, credentials=credentials) as peer,
        RawPeer(host="127.0.0.1", port=port, tls=context, credentials=credentials) as inside,
    ):
        await site.add_external("alice@example.com", PARTNER, port, host=gateway.name)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await peer.wait_for(1)
            await submit(site, PARTNER)
            await eventually(lambda: _reasons(site, "deferred"), "it waits")
            await submit(site, "alice@example.com", ["carol@inside.example"])
            await eventually(lambda: list(site.data.glob("mail/*/new/*")), "the sender is told")
        finally:
            await server.stop()
        assert inside.connections == 0
        assert len(peer.messages) == 1
    assert _reasons(site, "deferred") == [
        "4.4.4 the host 'smtp.dominiopartner.example' may not be connected to: 127.0.0.1 is loopback (RFC 1122)"
    ]
    assert _reasons(site, "bounced") == [
        "5.4.4 the host 'mx.inside.example' may not be connected to: 127.0.0.1 is loopback (RFC 1122)"
    ]
    (report,) = site.data.glob("mail/*/new/*")
    told = report.read_text().partition("\nContent-Type: text/rfc822-headers")[0]
    assert "could not connect to inside.example" in told
    assert "loopback" not in told


def _reasons(site: Site, kind: str) -> list[str]:
    place = site.place()
    with read(place.engine) as connection:
        facts: list[MessageEvent] = [fact for _, fact in message_log.latest(connection, 0, 1000)]
    place.engine.dispose()
    return [fact.detail["reason"] for fact in facts if fact.kind.value == kind]


# --- what a user can learn -------------------------------------------------------------------------------------------


async def test_all_that_is_not_connected_to_looks_alike_and_takes_as_long(
    listener: Listener, zones: Zones, nameserver: str, tmp_path: Path
) -> None:
    zones.add("inside.hostile.example", ["127.0.0.1"])
    zones.add("closed.hostile.example", [PUBLIC])
    zones.add("silent.hostile.example", ["127.0.0.3"])
    config = _config(tmp_path, nameserver, allowed={"public": f"{PUBLIC}/32", "silent": "127.0.0.3/32"})
    closed = free_port()
    with socket.socket() as silent:  # a full queue of connections: the kernel answers no further SYN
        silent.bind(("127.0.0.3", closed))
        silent.listen(0)
        fillers = [_filler("127.0.0.3", closed) for _ in range(3)]
        hosts = ["inside.hostile.example", "closed.hostile.example", "silent.hostile.example", "gone.hostile.example"]
        prober = wiring.prober(config)
        times: list[float] = []
        found = [await _timed(prober.gateway_for, host, closed, times) for host in hosts]
        for filler in fillers:
            filler.close()
    assert [probed.public for probed in found] == [f"could not connect to {host}:{closed}" for host in hosts]
    for probed, cause in zip(found, ("loopback", "refused", "timed out", "does not exist"), strict=True):
        assert cause in probed.detail.lower()
    assert all(PATIENCE - 0.01 <= seconds < PATIENCE + SLACK for seconds in times)


def _filler(address: str, port: int) -> socket.socket:
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex((address, port))
    return filler


async def _timed(probe: Callable[..., object], host: str, port: int, times: list[float]) -> Probed:
    loop = asyncio.get_running_loop()
    started = loop.time()
    probed = await probe("alice", _gateway(host, port), "", Freely(), PATIENCE)  # type: ignore[misc]  # it is awaitable
    times.append(loop.time() - started)
    assert isinstance(probed, Probed)
    return probed


async def test_what_a_peer_says_that_was_connected_to_is_told_at_once(listener: Listener, tmp_path: Path) -> None:
    prober = wiring.prober(_config(tmp_path, None, allowed=LOOPBACK))
    gateway = _gateway("127.0.0.1", listener.port)
    probed = await prober.gateway_for("alice", gateway, "", Freely(), patience=60.0)  # is not waited for
    assert "421 4.3.2 not here" in probed.public
    assert probed.public == probed.detail


async def test_a_tls_fault_of_a_peer_that_speaks_tls_from_the_first_byte_is_told(
    listener: Listener, tmp_path: Path
) -> None:
    prober = wiring.prober(_config(tmp_path, None, allowed=LOOPBACK))
    gateway = _gateway("127.0.0.1", listener.port, Security.SSL)
    probed = await prober.gateway_for("alice", gateway, "", Freely(), patience=60.0)
    assert "TLS failed" in probed.public


async def test_a_port_that_is_not_on_the_list_is_refused_by_probe_and_delivery(
    listener: Listener, tmp_path: Path
) -> None:
    config = _config(tmp_path, None, allowed=LOOPBACK, ports=(587,))
    (probed,) = (await _probe_all(config, ["127.0.0.1"], listener.port)).values()
    (outcome,) = await _connect_all(config, [_to("127.0.0.1", listener.port)])
    assert probed.public == f"could not connect to 127.0.0.1:{listener.port}"
    assert "egress.ports" in probed.detail
    assert outcome
    assert "egress.ports" in outcome.reason
    assert sum(listener.reached.values()) == 0


async def test_tries_are_limited_for_each_user_and_each_target_reachable_or_not(
    listener: Listener, zones: Zones, nameserver: str, tmp_path: Path, engine: Engine
) -> None:
    for name in ("one.hostile.example", "two.hostile.example", "three.hostile.example"):
        zones.add(name, [PUBLIC])
    rate, allowed = "2/1hour", {"public": f"{PUBLIC}/32"}
    config = _config(tmp_path, nameserver, allowed=allowed, probes_per_user=rate, probes_per_host=rate)
    prober, rates = wiring.prober(config), Rates(engine)

    async def tried(user: str, host: str, patience: float = 0.3) -> str:
        return (await prober.gateway_for(user, _gateway(host, listener.port), "", rates, patience)).public

    assert [await tried("alice", f"127.0.0.{n}") == TOO_OFTEN for n in range(3)] == [False, False, True]
    assert [await tried(f"user{n}", "10.0.0.1") == TOO_OFTEN for n in range(3)] == [False, False, True]
    assert sum(listener.reached.values()) == 0
    for user, host in (("u4", "one.hostile.example"), ("u5", "two.hostile.example")):
        await tried(user, host, 60.0)  # is not waited for
    await tried("u6", "three.hostile.example")
    await eventually(lambda: listener.reached[PUBLIC] == 2, "the third name of one address is not connected to")
