"""Gateways and admin log events at a running server: found page by page, and shown as text whatever is in them."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import Connection, insert, update

from outgate import clock
from outgate.directory import roles, units, users
from outgate.directory.users import Credentials
from outgate.record import audit_trail, tallies
from outgate.record.audit_trail import AuditEntry
from outgate.sendas import gateways, send_as_addresses
from outgate.store import tables
from outgate.store.engine import write
from outgate.tls_reports import report_rows, session_rows
from outgate.tls_reports.utc_days import last_whole
from outgate.transport_security.tls_session import AppliedPolicy, PolicyType, ResultType, TlsFault, TlsSession
from outgate.web.tls_reports_page import POLICIES, RESULTS
from way.place import PASSWORD, Site, install, running
from way.submit import submit
from web.links import opened
from web.people import ALICE, BOB, logged_in

GATEWAYS, EVENTS = "/admin/reporting/gateways", "/admin/reporting/admin-log-events"
DASHBOARD = "/admin/reporting/dashboard"
TLS_REPORTS = "/admin/reporting/tls-reports"
BROKEN, ERASED, OUTSIDE = "alice@broken.example", "bob@erased.example", "alice@plain.example"
CAROL = "carol@example.com"  # sees what is in /Sales
HOSTILE = """"><script>alert(1)</script>{{7*7}}"""
NOON = 1_795_780_800.0  # 27 November 2026, 12:00 in UTC

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """More addresses than a page has, one with a server that does not answer and one whose password was erased."""
    path: Path = tmp_path_factory.mktemp("reporting") / "outgate"
    site = install(path, web={"public_url": f"http://127.0.0.1:{port}", "port": port})
    with opened(site) as place, write(place.engine) as connection:
        units.create(connection, "/Sales")
        roles.assign(connection, ALICE, "super-admin", "/", clock.now())
        users.create(connection, CAROL, Credentials.derive(PASSWORD, 4096), clock.now())
        roles.assign(connection, CAROL, "help-desk", "/Sales", clock.now())
        users.move(connection, BOB, "/Sales")
        for number in range(60):
            alice = users.find(connection, ALICE).id
            send_as_addresses.add(connection, alice, f"n{number:02}@many.example", 0.0, display_name=HOSTILE)
        entries = [
            AuditEntry(NOON + 60 * number, "many@x.example", HOSTILE, "unit.create", HOSTILE) for number in range(60)
        ]
        entries.append(
            AuditEntry(NOON, HOSTILE, "192.0.2.1", "user.move", BOB, "/", "denied", {"unit": ["/", HOSTILE]})
        )
        audit_trail.append(connection, place.vault, entries)
        _tell_of_tls(connection)
    asyncio.run(site.switch(True))
    asyncio.run(site.add_external(ALICE, BROKEN, 1))
    asyncio.run(site.add_external(BOB, ERASED, 1))
    asyncio.run(site.add_external(ALICE, OUTSIDE))
    with opened(site) as place, write(place.engine) as connection:
        gateways.erase(connection, users.find(connection, BOB).id)
    return site


def _tell_of_tls(connection: Connection) -> None:
    """What a peer and its domain say is hostile."""
    day, domain = last_whole(clock.now()), "peer.example"
    policy = AppliedPolicy(PolicyType.STS, domain, (HOSTILE,))
    bad = TlsSession(domain, policy, TlsFault(ResultType.NOT_TRUSTED, HOSTILE), HOSTILE, "203.0.113.5")
    session_rows.add(connection, day, domain, {TlsSession(domain, policy): 1234, bad: 17})
    session_rows.add(connection, day, "good.example", {TlsSession("good.example", policy): 3})
    report_rows.plan(connection, day, domain, "1@mail.example.com", 4e9, clock.now())
    connection.execute(update(tables.tls_report).values(detail=HOSTILE))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(site: Site, port: int) -> AsyncIterator[int]:
    """The port of a running server, at which a message waits for the gateway that does not answer. What it counts is
    not written meanwhile.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallies, "EVERY", 3600.0)
        process = await running(site)
        await submit(site, BROKEN, ["carol@recipient.example"])
        yield port
        await process.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(server: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Her browser."""
    async with logged_in(server) as browser:
        browser.cookies.set("zone", "Europe/Rome")
        yield browser


def listed(page: str) -> list[str]:
    """The addresses of a page, in their order."""
    return re.findall(r"<tr><td><b><bdi>([^<]+)</bdi>", page)


async def through(browser: httpx2.AsyncClient, path: str, **asked: str) -> list[str]:
    """All pages from one on."""
    pages = [(await browser.get(path, params=asked)).text]
    while further := re.search(rf'href="({path}\?[^"]*(?:after|older_than)=[^"]+)"', pages[-1]):
        pages.append((await browser.get(html.unescape(further.group(1)))).text)
    return pages


async def test_page_by_page_all_outside_addresses_are_listed_once(alice: httpx2.AsyncClient) -> None:
    pages = await through(alice, GATEWAYS)
    found = [address for page in pages for address in listed(page)]
    assert len(pages) == 2
    assert found == sorted([BROKEN, ERASED, OUTSIDE, *(f"n{number:02}@many.example" for number in range(60))])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"kind": "gateway"}, [BROKEN, ERASED]),
        ({"kind": "without", "address": "plain"}, [OUTSIDE]),
        ({"kind": "pending", "address": "n59"}, ["n59@many.example"]),
        ({"kind": "all", "address": BOB}, [ERASED, BOB]),
        ({"unit": "/Sales"}, [ERASED]),
        ({"address": "%"}, []),
    ],
)
async def test_addresses_are_found_by_kind_text_and_unit(
    alice: httpx2.AsyncClient, asked: dict[str, str], found: list[str]
) -> None:
    assert listed((await alice.get(GATEWAYS, params=asked)).text) == found


async def test_gateways_that_do_not_work_are_found_with_what_is_the_matter(alice: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(20):
        while listed(page := (await alice.get(GATEWAYS, params={"kind": "trouble"})).text) != [BROKEN, ERASED]:
            await asyncio.sleep(0.05)
    text = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))
    assert "1 message waits Its server does not answer." in text
    assert "Its server said: no answer from localhost:1" in text
    assert "Its password is not kept here any more." in text
    assert 'href="/admin/reporting/queue?queue=gateway%3A' in page


async def test_who_sees_a_unit_sees_its_addresses_alone(server: int) -> None:
    async with logged_in(server, CAROL) as carol:
        page = (await carol.get(GATEWAYS)).text
        assert listed(page) == [ERASED]
        assert "/admin/reporting/queue" not in page
        assert (await carol.get(GATEWAYS, params={"unit": "/"})).status_code == 403


async def test_what_is_no_kind_is_said(alice: httpx2.AsyncClient) -> None:
    answer = await alice.get(GATEWAYS, params={"kind": HOSTILE, "address": HOSTILE})
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text
    assert "<script>alert" not in (await alice.get(GATEWAYS, params={"address": HOSTILE})).text
    assert HOSTILE in html.unescape((await alice.get(GATEWAYS, params={"address": "n59"})).text)


async def test_page_by_page_all_events_are_listed_once_newest_first(alice: httpx2.AsyncClient) -> None:
    pages = await through(alice, EVENTS, about="many@x.example")
    numbers = [int(one) for page in pages for one in re.findall(r"</time><br><small>(\d+)</small>", page)]
    assert len(numbers) == 60
    assert numbers == sorted(set(numbers), reverse=True)
    assert all("<script>alert" not in page for page in pages)
    assert HOSTILE in html.unescape(pages[0])


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"operation": "user.move"}, 1),
        ({"operation": "unit.create", "since": "2026-11-27T13:58"}, 2),
        ({"operation": "unit.create", "until": "2026-11-27T12:02", "zone": "UTC"}, 2),
        ({"about": "nobody at all"}, 0),
    ],
)
async def test_events_are_found_by_what_when_and_about_whom(
    alice: httpx2.AsyncClient, asked: dict[str, str], count: int
) -> None:
    assert len(re.findall(r"</time><br><small>\d+", (await alice.get(EVENTS, params=asked)).text)) == count


async def test_an_event_says_who_what_and_both_values(alice: httpx2.AsyncClient) -> None:
    page = html.unescape(
        re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", (await alice.get(EVENTS + "?operation=user.move")).text))
    )
    assert f"user.move denied {BOB} / unit: / →" in page


async def test_what_can_not_be_looked_for_among_events_is_said(alice: httpx2.AsyncClient) -> None:
    answer = await alice.get(EVENTS, params={"since": HOSTILE, "about": HOSTILE})
    assert answer.status_code == 400
    assert "is not a time" in answer.text
    assert "<script>alert" not in answer.text


async def test_the_dashboard_draws_what_happened_and_says_it_in_tables(site: Site, alice: httpx2.AsyncClient) -> None:
    hour = int(clock.now() // tallies.HOUR)

    def add() -> None:
        with opened(site) as place, write(place.engine) as connection:
            rows = [
                {"hour": hour, "measure": "routed", "label": "user-gateway", "count": 1234},
                {"hour": hour - 100, "measure": "routed", "label": "local", "count": 1},
                {"hour": hour, "measure": "took", "label": "60.0", "count": 5},
                {"hour": hour, "measure": "took", "label": "+Inf", "count": 2},
            ]
            connection.execute(insert(tables.tally), rows)

    await asyncio.to_thread(add)
    day = (await alice.get(DASHBOARD)).text
    assert re.search(r'<rect class="bar gateway"[^>]*><title>[^<]+, by users&#39; own servers: 1234</title>', day)
    words = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", day)))
    assert "≤ 1 min 5 longer 2" in words
    assert "wait for a password 0 0 1" in words
    assert "Nothing in this time." in words
    week = (await alice.get(DASHBOARD, params={"span": "week"})).text
    assert "to local mailboxes: 1</title>" in week
    assert (await alice.get(DASHBOARD, params={"span": HOSTILE})).status_code == 200


async def test_tls_to_domains_is_shown_by_day_with_what_was_wrong_and_the_report(alice: httpx2.AsyncClient) -> None:
    assert (set(POLICIES), set(RESULTS)) == (set(PolicyType), set(ResultType))
    days = (await alice.get(TLS_REPORTS)).text
    words = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", days)))
    assert re.search(r"peer.example 1,234 17 waits good.example 3 0 waits", words)
    found = await alice.get(TLS_REPORTS, params={"domain": "Peer.Example"})
    assert found.headers["location"].startswith(f"{TLS_REPORTS}/peer.example?day=")
    one = (await alice.get(found.headers["location"])).text
    assert "The certificate is not trusted" in one
    assert "<script>alert" not in one
    assert html.unescape(one).count(HOSTILE) >= 4
    assert "No mail left directly" in (await alice.get(f"{TLS_REPORTS}/peer.example?day=2026-01-31")).text
    for asked in ({"day": HOSTILE}, {"domain": HOSTILE}):
        answer = await alice.get(TLS_REPORTS, params=asked)
        assert answer.status_code == 400
        assert "<script>alert" not in answer.text
    assert (await alice.get(f"{TLS_REPORTS}/peer.example?day=never")).status_code == 400
