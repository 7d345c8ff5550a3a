"""Opening a connection to peers that are not what the link says, or not what they should be."""

import asyncio
import base64
import ssl

import pytest

from corpus.peer import RawPeer
from deliver.scripted import TIMEOUTS, Script, Talk, carried, connection, peer, transport
from outgate.deliver import connection as connections
from outgate.deliver.away_addresses import AwayAddresses
from outgate.deliver.connection import Connection, Link, Timeouts
from outgate.deliver.credentials import CredentialSource, given
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.smtp_transport import SmtpTransport
from outgate.deliver.tls_policy import TlsPolicy
from outgate.demo.certificates import Authority
from outgate.demo.network import VirtualHost
from outgate.egress.resolver import Host
from outgate.model import Gateway, Security
from outgate.smtp import KeyDerivation
from outgate.store.vault import SealBroken

QUICK = Timeouts(connect=5.0, reply=0.3, content=0.3, transaction=5.0)
ALICE = given(Gateway("gateway:1", "localhost", 587, Security.STARTTLS, "alice"), "correct horse battery")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(authority: Authority) -> ssl.SSLContext:
    return authority.server_context(VirtualHost("localhost", "127.0.0.1"))


@pytest.fixture
def verifying(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.ca_file))


async def greets(talk: Talk) -> None:
    await talk.greet()
    await talk.gone()


async def test_ssl_at_a_port_that_begins_in_the_clear_says_what_to_choose() -> None:
    async with peer([greets]) as host:
        failed = await connection(host, tls=TlsPolicy.IMPLICIT).open()
    assert failed is not None
    assert "choose starttls" in failed.reason


async def test_a_greeting_that_puts_off_is_its_hosts_word() -> None:
    """Rules that read replies go by whose word it is."""

    async def busy(talk: Talk) -> None:
        talk.say("421 4.7.0 [TSS04] temporarily deferred")
        await talk.gone()

    async with peer([busy]) as host:
        failed = await connection(host).open()
    assert failed is not None
    assert "[TSS04]" in failed.reason
    assert failed.peer == f"localhost[127.0.0.1]:{host.port}"


async def test_a_greeting_in_the_clear_before_the_handshake_never_counts() -> None:
    """The peer has spoken before TLS was begun."""
    async with peer([greets]) as host:
        line = connection(host, tls=TlsPolicy.IMPLICIT)
        assert await line.connect(5.0) is None
        async with asyncio.timeout(5):
            while not line._engine.heard:
                await asyncio.sleep(0.001)
        failed = await line.establish()
    assert failed is not None
    assert "choose starttls" in failed.reason


async def test_starttls_at_the_port_of_implicit_tls_says_so_quickly(
    secured: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SILENCE", 0.2)
    async with peer([greets], tls=secured) as host, asyncio.timeout(4):
        monkeypatch.setattr(connections, "SUBMISSIONS", host.port)
        failed = await connection(host, timeouts=TIMEOUTS, tls=TlsPolicy.STARTTLS).open()
    assert failed is not None
    assert "choose ssl" in failed.reason


async def test_starttls_at_another_port_of_implicit_tls_says_so_after_a_while(secured: ssl.SSLContext) -> None:
    async with peer([greets], tls=secured) as host:
        failed = await connection(host, timeouts=QUICK, tls=TlsPolicy.STARTTLS).open()
    assert failed is not None
    assert "choose ssl" in failed.reason


async def test_a_peer_that_closes_instead_of_greeting_gets_no_such_advice() -> None:
    async def closes(_talk: Talk) -> None:
        """At once."""

    async with peer([closes]) as host:
        failed = await connection(host, tls=TlsPolicy.STARTTLS).open()
    assert failed is not None
    assert "choose" not in failed.reason


# --- log-in ----------------------------------------------------------------------------------------------------------


async def logs_in(talk: Talk, *challenges: bytes, offers: str = "AUTH SCRAM-SHA-256 PLAIN") -> None:
    """The server's half, word for word; after the challenges, 535."""
    await talk.greet(("8BITMIME", offers))
    message = base64.b64decode((await talk.hear("AUTH SCRAM")).split()[2])
    nonce = message.rpartition(b"r=")[2]
    for challenge in challenges:
        talk.say("334 " + base64.b64encode(challenge.replace(b"NONCE", nonce)).decode())
        if await talk.hear() == "*":
            talk.say("501 5.7.0 cancelled")
            break
    else:
        talk.say("535 5.7.8 no such user for SCRAM")
    line = await talk.hear()
    while line.startswith("AUTH PLAIN"):
        talk.say("235 2.7.0 welcome")
        line = await talk.hear()


SALT = base64.b64encode(b"0123456789abcdef")


@pytest.mark.parametrize(
    ("challenges", "works"),
    [
        ([b"r=NONCEx,s=" + SALT + b",i=4096"], True),  # SCRAM ends in 535: the next mechanism is tried
        ([b"r=NONCEx,s=" + SALT + "i=\u00b2".encode()], True),
        ([b"r=NONCEx,s=" + SALT + ",i=\u00b2".encode()], True),
        ([b"r=NONCEx,s=" + SALT + b",i=2000000"], True),
        ([b"r=NONCEx,s=" + SALT + b",i=4096", "v=\u00e9".encode()], False),  # does not know the password
        ([b"r=NONCEx,s=" + SALT + b",i=4096", b"\xff\xfe"], True),
    ],
)
async def test_a_log_in_goes_on_or_ends_and_leaves_no_connection_open(
    challenges: list[bytes], works: bool, secured: ssl.SSLContext, verifying: ssl.SSLContext
) -> None:
    async def script(talk: Talk) -> None:
        await logs_in(talk, *challenges)

    async with peer([script], tls=secured) as host:
        line = connection(host, verifying=verifying, tls=TlsPolicy.IMPLICIT, log_in=ALICE)
        failed = await line.open()
        assert (failed is None) is works, failed
        line.hang_up()
        async with asyncio.timeout(5):
            while host.open:
                await asyncio.sleep(0.005)


async def refuses(talk: Talk) -> None:
    await talk.greet(("8BITMIME", "AUTH PLAIN"))
    await talk.answer("AUTH PLAIN", "535 5.7.8 not here")
    await talk.gone()


async def puts_off(talk: Talk) -> None:
    await talk.greet(("8BITMIME", "AUTH PLAIN"))
    await talk.answer("AUTH PLAIN", "454 4.7.0 not now")
    await talk.gone()


async def lets_in(talk: Talk) -> None:
    await talk.greet(("8BITMIME", "AUTH PLAIN"))
    await talk.answer("AUTH PLAIN", "235 2.7.0 welcome")
    while True:
        await talk.take()


@pytest.mark.parametrize("first", [refuses, puts_off])
async def test_where_one_host_does_not_let_us_in_the_next_one_may(
    first: Script, secured: ssl.SSLContext, verifying: ssl.SSLContext
) -> None:
    async with peer([first], [lets_in], tls=secured) as hosts:
        line = transport(hosts, verifying=verifying, tls=TlsPolicy.IMPLICIT, log_in=ALICE)
        assert await carried(line) == ["delivered 250"]
        line.close()


NOBODY = Host("localhost", "127.0.0.9")  # nothing listens there
UNKNOWN = Outcome(Verdict.RETRY, "4.4.3 the host relay.example could not be resolved: LifetimeTimeout", "nowhere")


@pytest.mark.parametrize(
    ("scripts", "groups", "is_refused"),
    [
        ([refuses, refuses], [[0], [1]], True),
        ([refuses, puts_off], [[0], [1]], False),
        ([puts_off, refuses], [[0], [1]], False),
        ([refuses], [[NOBODY], [0]], False),  # the first host is away, and the second never knew us
        ([refuses], [[0], [NOBODY]], False),
        ([refuses], [UNKNOWN, [0]], False),
        ([refuses], [[NOBODY, 0]], True),  # one host, of whose addresses one can't be reached from here
        ([refuses], [[NOBODY, 0], [0, NOBODY]], True),
        ([puts_off, refuses, puts_off], [[0, 1, 2]], False),
    ],
)
async def test_a_credential_is_refused_where_each_host_refuses_it(
    scripts: list[Script],
    groups: list[list[int | Host] | Outcome],
    is_refused: bool,
    secured: ssl.SSLContext,
    verifying: ssl.SSLContext,
) -> None:
    """Then the gateway is suspended; a backup that does not know us must not do that to a host that is restarting."""
    async with peer(*([one] for one in scripts), tls=secured) as hosts:

        def named(group: list[int | Host]) -> list[Host]:
            return [hosts.names[one] if isinstance(one, int) else one for one in group]

        tried = [group if isinstance(group, Outcome) else named(group) for group in groups]
        line = transport(hosts, groups=tried, verifying=verifying, tls=TlsPolicy.IMPLICIT, log_in=ALICE)
        failed = await line.connect()
        assert hosts.connections == [1] * len(scripts)
    assert failed is not None
    assert failed.refuses_credential is is_refused, failed


async def test_an_address_that_could_not_be_connected_to_is_tried_last_for_a_minute() -> None:
    """So that each further connection does not wait for the same time-out."""
    now = 1000.0
    away = AwayAddresses(lambda: now)

    async with peer([Talk.greet]) as hosts:
        away.add("127.0.0.1", hosts.port)
        line = transport(hosts, groups=[hosts.names, [NOBODY]], away=away)
        assert await line.connect() is None
        line.close()
    assert not away.has("127.0.0.1", hosts.port), "it was connected to"
    assert away.has(NOBODY.address, hosts.port)
    now += 61
    assert not away.has(NOBODY.address, hosts.port)


async def test_a_fallback_is_looked_up_and_connected_to_when_its_turn_comes() -> None:
    async def takes(talk: Talk) -> None:
        await talk.greet()
        while True:
            await talk.take()

    away = AwayAddresses()
    async with peer([takes], [takes]) as hosts:
        looked_up: list[int] = []
        first, second = hosts.names
        await _delivered(transport(hosts, groups=[[first], [second]], looked_up=looked_up, away=away))
        assert (looked_up, hosts.connections) == ([0], [1, 0])
        away.add(first.address, hosts.port)
        await _delivered(transport(hosts, groups=[[first], [second]], away=away))
        assert hosts.connections == [1, 1]
        away.remove(first.address, hosts.port)
        await _delivered(transport(hosts, groups=[UNKNOWN, [first], [second]], away=away))
        assert hosts.connections == [2, 1]


@pytest.mark.parametrize("named", ["first.example", "backup.example"])
async def test_extensions_are_switched_off_for_the_host_that_is_named(named: str) -> None:
    heard: list[str] = []

    async def busy(talk: Talk) -> None:
        await talk.greet(("8BITMIME", "SIZE"))
        heard.append(await talk.answer("MAIL", "451 4.3.2 later"))
        await talk.gone()

    async with peer([busy], [busy]) as hosts:
        groups = [[Host("first.example", "127.0.0.1")], [Host("backup.example", "127.0.0.2")]]
        line = transport(hosts, groups=groups, discarded_by={named: frozenset({"SIZE"})})
        assert await carried(line) == ["retry 451"]
        line.close()
    assert ["SIZE=" not in mail for mail in heard] == [named == "first.example", named == "backup.example"]


async def _delivered(line: SmtpTransport) -> None:
    assert await carried(line) == ["delivered 250"]
    line.close()


class Fails:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def __call__(self) -> object:
        raise self.error


@pytest.mark.parametrize("error", [SealBroken("changed"), ZeroDivisionError(), asyncio.CancelledError()])
async def test_whatever_goes_wrong_in_opening_the_connection_is_closed(
    error: BaseException, secured: ssl.SSLContext, verifying: ssl.SSLContext
) -> None:
    source: CredentialSource = Fails(error)  # type: ignore[assignment]  # it gives no credentials
    async with peer([greets], tls=secured) as host:
        with pytest.raises(type(error)):
            await connection(host, verifying=verifying, tls=TlsPolicy.IMPLICIT, log_in=source).open()
        async with asyncio.timeout(5):
            while host.open:
                await asyncio.sleep(0.005)


async def test_the_slow_part_of_a_log_in_does_not_hold_up_others(
    secured: ssl.SSLContext, verifying: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_up: list[bool] = []
    run = KeyDerivation.run

    def watched(derivation: KeyDerivation) -> bytes:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            held_up.append(False)
        else:
            held_up.append(True)
        return run(derivation)

    monkeypatch.setattr(KeyDerivation, "run", watched)

    async def script(talk: Talk) -> None:
        await logs_in(talk, b"r=NONCEx,s=" + SALT + b",i=600000")

    async with peer([script], tls=secured) as host:
        line = connection(host, verifying=verifying, tls=TlsPolicy.IMPLICIT, log_in=ALICE)
        assert await line.open() is None
        line.hang_up()
    assert held_up == [False]


async def test_a_refusal_that_quotes_the_credential_is_recorded_without_it(
    secured: ssl.SSLContext, verifying: ssl.SSLContext
) -> None:
    async def script(talk: Talk) -> None:
        await talk.greet(("8BITMIME", "AUTH PLAIN"))
        talk.say(f"535 5.7.8 bad {await talk.hear('AUTH')}")
        await talk.gone()

    async with peer([script], tls=secured) as host:
        failed = await connection(host, verifying=verifying, tls=TlsPolicy.IMPLICIT, log_in=ALICE).open()
    assert failed is not None
    assert "535 5.7.8 bad AUTH PLAIN [cut]" in failed.reason


# --- the greeting's dialogues, at a real listener --------------------------------------------------------------------


async def test_where_ehlo_is_refused_with_503_helo_is_said() -> None:
    async def old(talk: Talk) -> None:
        talk.say("220 old.example")
        await talk.answer("EHLO", "503 5.5.1 what")
        await talk.answer("HELO", "250 old.example")
        await talk.take()

    async with peer([old]) as host:
        assert await carried(transport(host)) == ["delivered 250"]


async def test_without_pipelining_rset_is_answered_before_mail() -> None:
    async def strict(talk: Talk) -> None:
        await talk.greet()
        await talk.take("550 5.1.1 nobody")
        await talk.hear("RSET")
        await asyncio.sleep(0.05)
        assert not talk.reader._buffer, "something came before the reply"  # type: ignore[attr-defined]
        talk.say("250 2.0.0 Ok")
        await talk.take()

    async with peer([strict]) as host:
        line = transport(host)
        assert await carried(line) == ["failed 550"]
        assert await carried(line) == ["delivered 250"]


async def test_opportunistic_connections_load_no_authorities(
    secured: ssl.SSLContext, verifying: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took longer than all else, for each connection, and nothing is verified by them."""

    def loaded(*_: object) -> None:
        raise AssertionError("authorities were loaded")

    for name in ("load_default_certs", "load_verify_locations", "set_default_verify_paths"):
        monkeypatch.setattr(ssl.SSLContext, name, loaded)
    async with RawPeer(tls=secured) as mx:
        link = Link(mx.port, TlsPolicy.OPPORTUNISTIC, "client.example")
        for _ in range(2):
            line = Connection(Host("mx.recipient.example", "127.0.0.1"), link, TIMEOUTS, verifying)
            assert await line.open() is None
            line.hang_up()
    assert mx.commands.count("STARTTLS") == 2
