"""The doors of submission, with real connections: who says nothing, resets or does not read shuts nobody out."""

import asyncio
import contextlib
import re
import smtplib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import uvloop

from outgate import wiring
from outgate.peer import holder_of
from way.place import Site, eventually, install, listens, running, serve
from way.submit import client

PER_PEER, TOTAL = 5, 8
OTHER = "127.0.0.2"  # another peer, on loopback as well
Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture
def small(tmp_path: Path) -> Site:
    """A server with room for eight connections, five of one peer."""
    return install(tmp_path / "outgate", submission={"max_sessions": TOTAL, "max_sessions_per_peer": PER_PEER})


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[wiring.ServerProcess]:
    server = await running(site)
    try:
        yield server
    finally:
        await server.stop()


@contextmanager
def connected(port: int, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0)) as made:
        yield made


def heard(connection: socket.socket) -> bytes:
    """All that the server says until it closes; empty if it closes at once or resets."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(4096):
            said += part
    return said


def greeting(site: Site, source: str = "127.0.0.1") -> bytes:
    with connected(site.starttls, source) as one:
        return one.recv(4096)


def handshake(site: Site, source: str) -> str | None:
    """The protocol of a session of implicit TLS."""
    with connected(site.tls, source) as one, site.client_context().wrap_socket(one, server_hostname="localhost") as tls:
        return tls.version()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def test_who_says_nothing_is_counted_before_the_handshake(small: Site) -> None:
    async with served(small):
        with ExitStack() as silent:
            for _ in range(PER_PEER):
                silent.enter_context(connected(small.tls))
            with connected(small.tls) as one_more:
                assert await asyncio.to_thread(heard, one_more) == b""
            assert await asyncio.to_thread(handshake, small, OTHER) == "TLSv1.3"


async def test_both_ports_have_one_count(small: Site) -> None:
    async with served(small):
        with ExitStack() as silent:
            for _ in range(PER_PEER):
                silent.enter_context(connected(small.tls))
            async with asyncio.timeout(10):  # two doors take their connections side by side
                while not (await asyncio.to_thread(greeting, small)).startswith(b"421 4.7.0 Too many connections"):
                    pass


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_on_all_addresses_of_ipv6_a_peer_of_ipv4_is_counted_as_one(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", submission={"max_sessions_per_peer": 1})
    settings = site.data / "outgate.toml"
    settings.write_text(settings.read_text().replace('address = "127.0.0.1"', 'address = "::"', 1))
    async with served(site):
        with connected(site.starttls) as first:
            assert (await asyncio.to_thread(first.recv, 4096)).startswith(b"220")
            assert (await asyncio.to_thread(greeting, site)).startswith(b"421")
            assert (await asyncio.to_thread(greeting, site, OTHER)).startswith(b"220")


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_one_peer_is_an_address_of_ipv4_or_a_64_of_ipv6(one: str, other: str, alike: bool) -> None:
    assert (holder_of(one) == holder_of(other)) is alike


async def test_all_together_are_no_more_than_there_is_room_for(small: Site) -> None:
    async with served(small):
        with ExitStack() as silent:
            for number in range(TOTAL):
                silent.enter_context(connected(small.tls, f"127.0.1.{number + 1}"))
            with connected(small.tls, OTHER) as one_more:
                assert await asyncio.to_thread(heard, one_more) == b""
        await eventually_greeted(small)


async def test_who_finds_no_room_hears_one_reply_and_no_greeting(small: Site) -> None:
    async with served(small):
        with ExitStack() as open_ones:
            for _ in range(PER_PEER):
                open_ones.enter_context(connected(small.starttls))
            with connected(small.starttls) as one_more:
                said = await asyncio.to_thread(heard, one_more)
            assert re.fullmatch(rb"421 4\.7\.0 [^\r\n]*\r\n", said)


async def test_a_handshake_that_does_not_come_ends_soon(small: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outgate.accept.submission_listener.HANDSHAKE_SECONDS", 0.3)
    async with served(small):
        with ExitStack() as silent:
            for _ in range(PER_PEER):
                silent.enter_context(connected(small.tls))
            await eventually_greeted(small)


async def test_that_connections_found_no_room_is_one_line_of_the_log(small: Site) -> None:
    process = await serve(small)
    await eventually(lambda: listens(small), "it serves", 60)
    try:
        with ExitStack() as silent:
            for _ in range(PER_PEER + 20):
                silent.enter_context(connected(small.tls))
            log = small.data.with_suffix(".log")
            await eventually(lambda: "too many connections" in log.read_text(), "it is told")
    finally:
        process.terminate()
        assert await process.wait() == 0
    assert log.read_text().count("too many connections") == 1
    assert "peer=127.0.0.1" in log.read_text()


LOOPS = pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])


@LOOPS
@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00", b"\x16\x03\x01\x00\x05hello"])
def test_a_hundred_resets_in_the_starttls_handshake_leave_the_count(small: Site, loop: Loop, said: bytes) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_reset_a_hundred_times(small, small.starttls, b"EHLO client.example\r\nSTARTTLS\r\n", said))


@LOOPS
@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00"])
def test_a_hundred_resets_in_the_handshake_of_implicit_tls_leave_the_count(
    small: Site, loop: Loop, said: bytes
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_reset_a_hundred_times(small, small.tls, b"", said))


async def _reset_a_hundred_times(site: Site, port: int, before: bytes, said: bytes) -> None:
    async with served(site):
        for _ in range(100):
            await asyncio.to_thread(_reset, port, before, said)
        await eventually_greeted(site)


def _reset(port: int, before: bytes, said: bytes) -> None:
    with connected(port) as one:
        with contextlib.suppress(ConnectionError):
            if before:
                one.recv(4096)
                one.sendall(before)
                while b"\n220" not in one.recv(4096) and one.recv(1, socket.MSG_PEEK):
                    pass
            one.sendall(said)
        reset(one)


async def eventually_greeted(site: Site) -> None:
    """As many as the peer may have find room again."""
    async with asyncio.timeout(10):
        while True:
            with ExitStack() as sessions:
                connections = [sessions.enter_context(connected(site.starttls)) for _ in range(PER_PEER)]
                said = [await asyncio.to_thread(one.recv, 4096) for one in connections]
            if all(one.startswith(b"220") and b"421" not in one for one in said):
                return
            await asyncio.sleep(0.02)


async def test_a_session_without_a_log_in_is_short(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", submission={"log_in_timeout": 1.5})
    async with served(site):
        with connected(site.starttls) as one:
            assert await asyncio.to_thread(_trickled, one) == b"421"
        session = await asyncio.to_thread(_logged_in_in_time, site)  # it may last
        assert await asyncio.to_thread(_still_there, session)
        session.close()


def _logged_in_in_time(site: Site) -> smtplib.SMTP:
    """Where the machine was too slow for it, once more."""
    while True:
        with contextlib.suppress(smtplib.SMTPException):
            return client(site)


def _trickled(one: socket.socket) -> bytes:
    """What is said to somebody who sends a byte now and then."""
    one.recv(4096)
    one.settimeout(0.2)
    for _ in range(100):
        with contextlib.suppress(TimeoutError):
            return one.recv(4096)[:3]
        one.sendall(b"N")
    return b""


def _still_there(session: smtplib.SMTP) -> bool:
    assert session.sock
    session.sock.settimeout(2.5)
    with contextlib.suppress(TimeoutError):
        return bool(session.sock.recv(1))
    session.sock.settimeout(10)
    return session.noop()[0] == 250


async def test_old_suites_of_tls_1_2_are_refused_and_good_ones_taken(site: Site) -> None:
    async with served(site):
        for suites, taken in (("ECDHE+AESGCM", True), ("ECDHE+AES:!AESGCM:!AESCCM", False), ("AES128-SHA256", False)):
            assert await asyncio.to_thread(_takes, site, suites) is taken, suites


def _takes(site: Site, suites: str) -> bool:
    context = site.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suites)
    try:
        with connected(site.tls) as one, context.wrap_socket(one, server_hostname="localhost"):
            return True
    except (ssl.SSLError, ConnectionError):
        return False
