"""Failed log-ins lock, at the real listener: over restarts, for all servers of a database, until unlocked."""

import asyncio
import smtplib
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from outgate import clock
from outgate.accept.throttle import Throttle, limits_of
from outgate.config import LogInSettings
from outgate.directory import log_in_limits
from outgate.store.engine import open_engine, read, write
from outgate.store.rates import Event, Key, Rates
from outgate.store.tables import rate_event
from way.place import PASSWORD, Site, free_port, install, running

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


# --- the throttle alone ----------------------------------------------------------------------------------------------


@pytest.fixture
def counts(engine: Engine) -> Rates:
    return Rates(engine)


async def fail(limiter: Throttle, username: str, *peers: str) -> None:
    for peer in peers:
        assert await limiter.allows(username, peer)
        limiter.failed(username, peer)


async def test_each_of_the_three_limits_locks_what_it_says_and_no_more(counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    await fail(limiter, ALICE, *["192.0.2.1"] * 3)
    assert not await limiter.allows("Alice@EXAMPLE.com", "192.0.2.200")
    assert await limiter.allows(ALICE, "198.51.100.1")
    assert await limiter.allows(BOB, "192.0.2.1")
    await fail(limiter, BOB, *["192.0.2.1"] * 2)  # that makes five from this network
    assert not await limiter.allows(NOBODY, "192.0.2.77")
    assert await limiter.allows(NOBODY, "192.0.3.77")
    await fail(limiter, ALICE, "198.51.100.1", "2001:db8::1", "2001:db8:0:1::1", "203.0.113.9")  # seven in all
    assert not await limiter.allows(ALICE, "192.0.3.77")
    assert await limiter.allows(BOB, "192.0.3.77")
    await limiter.close()


async def test_what_is_locked_is_listed_and_unlocked_by_network(engine: Engine, counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    await fail(limiter, ALICE, *["192.0.2.1"] * 3)
    await fail(limiter, BOB, *["192.0.2.1"] * 2, "2001:db8::1")
    await limiter.close()
    with write(engine) as connection:
        found = limits_of(LIMITS).locked(connection, clock.now())
        assert {(one.account, one.network) for one in found} == {(ALICE, "192.0.2.0/24"), ("", "192.0.2.0/24")}
        assert all(590 < one.until - clock.now() <= 600 for one in found)
        assert log_in_limits.unlock_network(connection, ip_network("2001:db8:1::/48")) == 0
        assert log_in_limits.unlock_network(connection, ip_network("192.0.2.9/32")) == 10
        assert limits_of(LIMITS).locked(connection, clock.now()) == ()
    again = Throttle(LIMITS, counts)
    assert await again.allows(ALICE, "192.0.2.1")
    await again.close()


async def test_a_flood_beyond_the_limit_writes_nothing_and_hardly_reads(engine: Engine, counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    await fail(limiter, ALICE, *["192.0.2.1"] * 3)
    await limiter.close()
    flooded = Throttle(LIMITS, counts)
    asked = 0
    look = counts.all_seconds_left

    def counting(*arguments: object) -> list[float]:
        nonlocal asked
        asked += 1
        return look(*arguments)  # type: ignore[arg-type]  # handed on as they came

    counts.all_seconds_left = counting  # type: ignore[method-assign,assignment]  # to count the readings
    assert not any([await flooded.allows(ALICE, "192.0.2.1") for _ in range(500)])
    assert asked == 1
    await flooded.close()
    with read(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(rate_event)) == 9


async def test_a_failure_is_not_counted_twice_while_it_is_written(counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    committed, looked, go_on = threading.Event(), threading.Event(), threading.Event()
    hit_all, look = counts.hit_all, counts.all_seconds_left

    def slowly(events: Sequence[Event]) -> int:
        counted = hit_all(events)
        committed.set()
        assert go_on.wait(20)
        return counted

    def watched(events: Sequence[Event], more: Mapping[Key, int]) -> list[float]:
        left = look(events, more)
        looked.set()
        return left

    counts.hit_all = slowly  # type: ignore[method-assign]  # as on a slow disk
    counts.all_seconds_left = watched  # type: ignore[method-assign,assignment]  # to know when it has looked
    limiter.failed(ALICE, "192.0.2.1")
    limiter.failed(ALICE, "192.0.2.1")
    assert await asyncio.to_thread(committed.wait, 20)
    asked = asyncio.create_task(limiter.allows(ALICE, "192.0.2.1"))
    assert await asyncio.to_thread(looked.wait, 20)
    go_on.set()
    assert await asked
    await limiter.close()


async def test_user_names_that_are_no_address_are_not_kept(engine: Engine, counts: Rates) -> None:
    limiter = Throttle(LIMITS, counts)
    for name in ("hunter2", "a\0b@example.com", ""):
        await fail(limiter, name, "192.0.2.1")
    assert not await limiter.allows("another", "192.0.2.1")
    await limiter.close()
    with read(engine) as connection:
        assert not any("hunter2" in key for key in connection.scalars(select(rate_event.c.key)))


async def test_failures_count_although_the_store_takes_no_writes_for_a_while(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'outgate.db'}")
    rate_event.create(engine)
    limiter = Throttle(LIMITS, Rates(engine))
    with engine.connect() as other:
        other.exec_driver_sql("COMMIT")
        other.exec_driver_sql("BEGIN IMMEDIATE")
        await fail(limiter, ALICE, *["192.0.2.1"] * 3)
        assert not await limiter.allows(ALICE, "192.0.2.1")
        other.rollback()
    await limiter.close()
    engine.dispose()
