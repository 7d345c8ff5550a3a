"""Failed log-ins lock, at the real listener: over restarts, for all servers of a database, until unlocked."""

import asyncio
import smtplib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from bench.scratch import free_port
from sqlalchemy import Engine, event, func, select

from outgate import clock
from outgate.accept import throttle
from outgate.accept.throttle import Throttle, limits_of
from outgate.config import LogInSettings
from outgate.directory import known_networks, log_in_limits
from outgate.store.engine import make_file, open_engine, read, write
from outgate.store.rates import Event, Rates
from outgate.store.tables import known_network, rate_event
from way.place import PASSWORD, Site, install, running

ALICE, BOB, NOBODY = "alice@example.com", "bob@example.com", "nobody@example.com"
THREE = {"failures_per_account": "3/10minutes"}
OK, WRONG, LOCKED = 235, 535, 454

LIMITS = LogInSettings(
    failures_per_account="3/10minutes", failures_per_network="5/10minutes", failures_per_account_anywhere="7/1hour"
)


def log_in(site: Site, username: str = ALICE, password: str = PASSWORD, mechanism: str = "PLAIN") -> tuple[int, bytes]:
    """The reply to a log-in, as smtplib sees it."""
    with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
        session.ehlo()
        session.user, session.password = username, password
        method = {"PLAIN": session.auth_plain, "LOGIN": session.auth_login}[mechanism]
        try:
            return session.auth(mechanism, method)
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code, bytes(error.smtp_error)  # type: ignore[arg-type]  # typeshed says str as well


async def code(site: Site, username: str = ALICE, password: str = PASSWORD) -> int:
    return (await asyncio.to_thread(log_in, site, username, password))[0]


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[None]:
    server = await running(site)
    try:
        yield
    finally:
        await server.stop()


def change(site: Site, work: Callable[..., int], *arguments: object) -> int:
    place = site.place()
    with write(place.engine) as connection:
        count = work(connection, *arguments)
    place.engine.dispose()
    return count


def site_on(tmp_path: Path, url: str, **limits: str) -> Site:
    """An installation on this database, which is migrated already."""
    return install(tmp_path / "outgate", database_url=url, top={"database_url": url}, log_in=limits or THREE)


def second_node(site: Site) -> Site:
    """Another data directory with the same database and keys, on ports of its own."""
    data = site.data.with_name("second")
    data.mkdir()
    for name in ("secret.key", "ca.pem", "tls"):
        (data / name).symlink_to(site.data / name)
    starttls, tls = free_port(), free_port()
    text = (site.data / "outgate.toml").read_text()
    text = text.replace(f"starttls_port = {site.starttls}", f"starttls_port = {starttls}")
    (data / "outgate.toml").write_text(text.replace(f"tls_port = {site.tls}\n", f"tls_port = {tls}\n"))
    return replace(site, data=data, starttls=starttls, tls=tls)


async def test_the_right_password_is_refused_once_an_account_is_locked_until_it_is_unlocked(
    tmp_path: Path, database_url: str
) -> None:
    site = site_on(tmp_path, database_url)
    async with served(site):
        assert [await code(site, password="wrong") for _ in range(4)] == [WRONG, WRONG, WRONG, LOCKED]
        assert await code(site) == LOCKED
        assert await code(site, BOB) == OK
    async with served(site):  # it holds over a restart
        assert await code(site) == LOCKED
        assert await asyncio.to_thread(change, site, log_in_limits.unlock_account, ALICE) == 6
        async with asyncio.timeout(20):
            while await code(site) != OK:
                pass


async def test_two_servers_on_one_database_share_the_counts(tmp_path: Path, database_url: str) -> None:
    site = site_on(tmp_path, database_url)
    other = second_node(site)
    async with served(site), served(other):
        for at in (site, other, site):
            assert await code(at, password="wrong") == WRONG
        async with asyncio.timeout(20):
            while await code(other) != LOCKED:  # it had one failure of its own, and hears of the others
                pass
        assert await code(site) == LOCKED


async def test_a_locked_peer_is_told_the_same_of_users_who_exist_and_who_do_not(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", log_in=THREE)
    async with served(site):
        tries = [*["PLAIN"] * 3, *["LOGIN"] * 2]
        heard = {
            name: [await asyncio.to_thread(log_in, site, name, "wrong", mechanism) for mechanism in tries]
            for name in (ALICE, NOBODY)
        }
    assert heard[ALICE] == heard[NOBODY]
    assert [reply for reply, _ in heard[ALICE]] == [WRONG] * 3 + [LOCKED] * 2


async def test_of_guesses_made_at_once_no_more_are_judged_than_the_limit_says(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", log_in=THREE)
    async with served(site):
        with ThreadPoolExecutor(12) as pool:
            loop = asyncio.get_running_loop()
            work = [loop.run_in_executor(pool, log_in, site, ALICE, f"guess {n}") for n in range(12)]
            replies = [reply for reply, _ in await asyncio.gather(*work)]
    assert sorted(replies) == [LOCKED] * 9 + [WRONG] * 3


async def test_of_95_sessions_that_guess_at_once_50_are_judged(tmp_path: Path) -> None:
    """Each another account's password, from one network, by the default limits."""
    site = install(tmp_path / "outgate")
    async with served(site):
        with ThreadPoolExecutor(95) as pool:
            loop = asyncio.get_running_loop()
            work = [loop.run_in_executor(pool, log_in, site, f"user{n}@example.com", "guess") for n in range(95)]
            replies = [reply for reply, _ in await asyncio.gather(*work)]
    assert sorted(replies) == [LOCKED] * 45 + [WRONG] * 50


# --- the throttle alone ----------------------------------------------------------------------------------------------


@pytest.fixture
def counts(engine: Engine) -> Rates:
    return Rates(engine)


async def allows(limiter: Throttle, username: str, peer: str) -> bool:
    """Whether a try would be judged; it comes to nothing."""
    attempt = limiter.attempt(username, peer)
    admitted = await limiter.admit(attempt)
    limiter.settle(attempt)
    return admitted


async def fail(limiter: Throttle, username: str, *peers: str) -> None:
    for peer in peers:
        attempt = limiter.attempt(username, peer)
        assert await limiter.admit(attempt)
        limiter.failed(attempt)


async def test_each_of_the_three_limits_locks_what_it_says_and_no_more(counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    await fail(limiter, ALICE, *["192.0.2.1"] * 3)
    assert not await allows(limiter, "Alice@EXAMPLE.com", "192.0.2.200")
    assert await allows(limiter, ALICE, "198.51.100.1")
    assert await allows(limiter, BOB, "192.0.2.1")
    await fail(limiter, BOB, *["192.0.2.1"] * 2)  # that makes five from this network
    assert not await allows(limiter, NOBODY, "192.0.2.77")
    assert await allows(limiter, NOBODY, "192.0.3.77")
    await fail(limiter, ALICE, "198.51.100.1", "2001:db8::1", "2001:db8:0:1::1", "203.0.113.9")  # seven in all
    assert not await allows(limiter, ALICE, "192.0.3.77")
    assert await allows(limiter, BOB, "192.0.3.77")
    await limiter.close()


async def test_what_is_locked_is_listed_and_unlocked_by_network(engine: Engine, counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    await fail(limiter, ALICE, *["192.0.2.1"] * 3)
    await fail(limiter, BOB, *["192.0.2.1"] * 2, "2001:db8::1")
    await limiter.close()
    with write(engine) as connection:
        statements: list[str] = []
        event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
        found = limits_of(LIMITS).locked(connection, clock.now())
        assert len(statements) == 3  # however many have failed
        assert {(one.account, one.network) for one in found} == {(ALICE, "192.0.2.0/24"), ("", "192.0.2.0/24")}
        assert all(590 < one.until - clock.now() <= 600 for one in found)
        assert log_in_limits.unlock_network(connection, ip_network("2001:db8:1::/48")) == 0
        assert log_in_limits.unlock_network(connection, ip_network("192.0.2.9/32")) == 10
        assert limits_of(LIMITS).locked(connection, clock.now()) == ()
    again = Throttle(LIMITS, counts)
    assert await allows(again, ALICE, "192.0.2.1")
    await again.close()


async def test_a_flood_beyond_the_limit_writes_nothing_and_hardly_reads(engine: Engine, counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    await fail(limiter, ALICE, *["192.0.2.1"] * 3)
    await limiter.close()
    flooded = Throttle(LIMITS, counts)
    asked = 0
    look = counts.room

    def counting(events: Sequence[Event]) -> list[int]:
        nonlocal asked
        asked += 1
        return look(events)

    counts.room = counting  # type: ignore[method-assign]  # to count the readings
    assert not any([await allows(flooded, ALICE, "192.0.2.1") for _ in range(500)])
    assert asked == 1
    await flooded.close()
    with read(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(rate_event)) == 9


async def test_a_failure_is_not_counted_twice_while_it_is_written(counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    committed, looked, go_on = threading.Event(), threading.Event(), threading.Event()
    hit_all, look = counts.hit_all, counts.room

    def slowly(events: Sequence[Event]) -> int:
        counted = hit_all(events)
        committed.set()
        assert go_on.wait(20)
        return counted

    def watched(events: Sequence[Event]) -> list[int]:
        left = look(events)
        looked.set()
        return left

    counts.hit_all = slowly  # type: ignore[method-assign]  # as on a slow disk
    counts.room = watched  # type: ignore[method-assign]  # to know when it has looked
    limiter.failed(limiter.attempt(ALICE, "192.0.2.1"))
    limiter.failed(limiter.attempt(ALICE, "192.0.2.1"))
    assert await asyncio.to_thread(committed.wait, 20)
    asked = asyncio.create_task(allows(limiter, ALICE, "192.0.2.1"))
    assert await asyncio.to_thread(looked.wait, 20)
    go_on.set()
    assert await asked
    await limiter.close()


async def test_user_names_that_are_no_address_are_not_kept(engine: Engine, counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    for name in ("hunter2", "a\0b@example.com", ""):
        await fail(limiter, name, "192.0.2.1")
    assert not await allows(limiter, "another", "192.0.2.1")
    await limiter.close()
    with read(engine) as connection:
        assert not any("hunter2" in key for key in connection.scalars(select(rate_event.c.key)))


async def test_of_tries_for_many_accounts_at_once_no_more_are_judged_than_one_network_may_fail(counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    attempts = [limiter.attempt(f"user{number}@example.com", "192.0.2.1") for number in range(12)]
    admitted = [asyncio.create_task(limiter.admit(one)) for one in attempts]
    async with asyncio.timeout(20):
        while sum(one.is_held for one in attempts) < 5:
            await asyncio.sleep(0)
    for one in attempts:
        if one.is_held:
            limiter.failed(one)
    assert sum(await asyncio.gather(*admitted)) == 5
    await limiter.close()


async def test_who_is_right_keeps_nobody_out_however_many_there_are_at_once(counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)

    async def log_in_rightly() -> bool:
        attempt = limiter.attempt(ALICE, "192.0.2.1")
        admitted = await limiter.admit(attempt)
        limiter.settle(attempt)
        return admitted

    assert all(await asyncio.gather(*(log_in_rightly() for _ in range(50))))
    await limiter.close()


async def test_who_waits_for_others_is_refused_in_the_end(counts: Rates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "PATIENCE", 0.1)
    limiter = Throttle(LIMITS, counts)
    held = [limiter.attempt(ALICE, "192.0.2.1") for _ in range(3)]
    assert all([await limiter.admit(one) for one in held])
    assert not await allows(limiter, ALICE, "192.0.2.1")
    assert await allows(limiter, BOB, "192.0.2.1")
    await limiter.close()


async def test_in_an_exempt_network_only_the_account_is_locked_and_only_there(counts: Rates) -> None:
    settings = LIMITS.model_copy(update={"exempt_networks": ("192.0.2.0/25", "2001:db8::/32")})
    limiter = Throttle(settings, counts)
    for name in (ALICE, BOB, NOBODY):
        await fail(limiter, name, *["192.0.2.1"] * 3)
    assert not await allows(limiter, ALICE, "192.0.2.1")
    await fail(limiter, "fourth@example.com", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1")
    assert await allows(limiter, ALICE, "198.51.100.1")  # nothing was counted for her elsewhere
    await limiter.close()


async def test_strangers_guesses_lock_no_owner_out_of_where_they_logged_in_before(counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts, lambda address, network: (address, network) == (ALICE, "203.0.113.0/24"))
    await fail(limiter, ALICE, *(f"198.51.{number}.1" for number in range(7)))
    assert not await allows(limiter, ALICE, "192.0.2.1")
    assert await allows(limiter, "Alice@Example.COM", "203.0.113.77")
    await fail(limiter, ALICE, *["203.0.113.9"] * 3)
    assert not await allows(limiter, ALICE, "203.0.113.77")  # the limit of the network itself holds
    await limiter.close()


def test_networks_of_log_ins_are_known_for_a_while(example: Engine, alice: int) -> None:
    home, now = "192.0.2.0/24", 1e9
    with write(example) as connection:
        assert known_networks.needs_note(connection, alice, home, now)
        known_networks.note(connection, alice, home, now)
        known_networks.note(connection, alice, "2001:db8::/64", now)
        assert not known_networks.needs_note(connection, alice, home, now + 3600)
        assert known_networks.needs_note(connection, alice, home, now + 2 * 86400)
        assert known_networks.is_known(connection, ALICE, home, now + 80 * 86400)
        assert not known_networks.is_known(connection, BOB, home, now)
        known_networks.note(connection, alice, home, now + 80 * 86400)
        known_networks.note(connection, alice, home, now + 120 * 86400)
        assert known_networks.is_known(connection, ALICE, home, now + 120 * 86400)
        assert not known_networks.is_known(connection, ALICE, "2001:db8::/64", now + 100 * 86400)
        assert connection.scalar(select(func.count()).select_from(known_network)) == 1


async def test_an_owner_who_has_logged_in_is_known_at_the_listener(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate", log_in={"failures_per_account_anywhere": "3/10minutes"})
    async with served(site):
        assert await code(site) == OK
        assert await code(site, BOB, "wrong") == WRONG
    place = site.place()
    with read(place.engine) as connection:
        assert list(connection.execute(select(known_network.c.network))) == [("127.0.0.0/24",)]
    place.engine.dispose()


async def test_failures_count_although_the_store_takes_no_writes_for_a_while(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'outgate.db'}")
    make_file(engine)
    rate_event.create(engine)
    limiter = Throttle(LIMITS, Rates(engine))
    with engine.connect() as other:
        other.exec_driver_sql("COMMIT")
        other.exec_driver_sql("BEGIN IMMEDIATE")
        await fail(limiter, ALICE, *["192.0.2.1"] * 3)
        assert not await allows(limiter, ALICE, "192.0.2.1")
        other.rollback()
    await limiter.close()
    engine.dispose()
