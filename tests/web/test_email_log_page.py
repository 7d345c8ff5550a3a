"""Email log search and a message's page at a running server: what is found, how it goes on, what of peers is shown."""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import pytest_asyncio

from outgate import clock
from outgate.directory import roles, users
from outgate.queue.queue_id import to_text
from outgate.record import events, message_log
from outgate.record.events import MessageEvent
from outgate.store.engine import write
from record.recorded import accepted, partly_delivered
from way.place import Site, install, running
from way.submit import submit
from web.links import opened
from web.people import ALICE, logged_in

PATH = "/admin/reporting/email-log-search"
PARTNER = "alice@dominiopartner.example"
HOSTILE = """"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'\u202e"""
NOON = 1_795_780_800.0  # 27 November 2026, 12:00 in UTC
MANY, GATEWAY_WAY, OWN = 7, 8, 9  # messages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """Alice may do everything, and has an address with a server that does not work."""
    path: Path = tmp_path_factory.mktemp("log") / "outgate"
    pages = {"public_url": f"http://127.0.0.1:{port}", "port": port}
    site = install(path, web=pages, record={"keep_messages": 0})  # they are of a certain day, whenever this runs
    asyncio.run(site.switch(True))
    asyncio.run(site.add_external(ALICE, PARTNER, 1))
    with opened(site) as place, write(place.engine) as connection:
        roles.assign(connection, ALICE, "super-admin", "/", clock.now())
        message_log.add(
            connection,
            [*_many(), *partly_delivered(GATEWAY_WAY, PARTNER, NOON, f"450 4.2.2 {HOSTILE}"), *_all_hostile()],
        )
    return site


def _many() -> Iterator[MessageEvent]:
    """More than one page of them, a minute apart."""
    for number in range(60):
        at = NOON + 60 * number
        yield accepted(MANY + (number << 21), "many@example.com", f"to{number}@many.example", at=at)


def _all_hostile() -> Iterator[MessageEvent]:
    """All that others write is hostile."""
    told = accepted(OWN, HOSTILE, HOSTILE, at=NOON)
    detail = told.detail | {"message_id": HOSTILE, "mail_from": HOSTILE, "account": HOSTILE}
    yield events.refused(MessageEvent(OWN, NOON, told.kind, detail), f"550 5.7.1 {HOSTILE}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(site: Site, port: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Alice's browser at the running server, in Rome."""
    server = await running(site)
    async with logged_in(port) as browser:
        browser.cookies.set("zone", "Europe/Rome")
        yield browser
    await server.stop()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def ids(page: str) -> list[str]:
    """The messages of a page, as they are listed."""
    return re.findall(rf'href="{PATH}/(\w+)"', page)


async def test_page_by_page_all_that_match_are_found_once(admin: httpx2.AsyncClient) -> None:
    first = (await admin.get(PATH, params={"sender": "many@example.com"})).text
    older = re.search(r'href="([^"]+older_than[^"]+)"', first)
    assert older
    second = (await admin.get(html.unescape(older.group(1)))).text
    assert not re.search(r'href="[^"]+older_than', second)
    assert (len(ids(first)), len(ids(second))) == (50, 10)
    assert ids(first) + ids(second) == [to_text(MANY + (number << 21)) for number in reversed(range(60))]


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"recipient": "to3@many.example"}, MANY + (3 << 21)),
        ({"message_id": f"<{GATEWAY_WAY}@client.example>"}, GATEWAY_WAY),
        ({"sender": "dominiopartner.example", "until": "2026-11-27T23:00"}, GATEWAY_WAY),
        ({"outcome": "refused"}, OWN),
        ({"sender": "many@example.com", "since": "2026-11-27T13:59"}, MANY + (59 << 21)),
        ({"sender": "many@example.com", "since": "2026-11-27T12:59", "zone": "UTC"}, MANY + (59 << 21)),
        ({"sender": "many@example.com", "until": "2026-11-27T13:01"}, MANY),
    ],
)
async def test_a_message_is_found_by_what_is_known_of_it(
    admin: httpx2.AsyncClient, asked: dict[str, str], number: int
) -> None:
    assert ids((await admin.get(PATH, params=asked)).text) == [to_text(number)]


async def test_each_message_that_is_found_says_by_which_server_it_leaves(admin: httpx2.AsyncClient) -> None:
    page = (await admin.get(PATH, params={"recipient": "capo@cliente.example"})).text
    assert f'<span class="way user-gateway"><span class="stop mono">localhost ({PARTNER})</span>' in page


async def test_an_address_means_the_same_time_wherever_it_is_opened(admin: httpx2.AsyncClient) -> None:
    page = (await admin.get(PATH, params={"since": "2026-11-27T07:59", "zone": "America/New_York"})).text
    assert 'name="since" type="datetime-local" value="2026-11-27T13:59"' in page
    assert 'name="zone" value="Europe/Rome"' in page


async def test_the_page_behind_keeps_what_was_asked_for(admin: httpx2.AsyncClient) -> None:
    page = (await admin.get(PATH, params={"sender": "many@example.com", "since": "2026-11-27T08:00"})).text
    older = re.search(r'href="([^"]+older_than[^"]+)"', page)
    assert older
    query = dict(parse_qsl(urlsplit(html.unescape(older.group(1))).query))
    assert {**query, "older_than": ""} == {
        "sender": "many@example.com",
        "since": "2026-11-27T08:00",
        "zone": "Europe/Rome",
        "older_than": "",
    }


async def test_a_queue_id_leads_to_its_message(admin: httpx2.AsyncClient) -> None:
    answer = await admin.get(PATH, params={"message_id": to_text(GATEWAY_WAY).upper()})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}/{to_text(GATEWAY_WAY)}")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"since": "yesterday"}, "“yesterday” is not a time"),
        ({"until": "9999-99-99T00:00"}, "is not a time"),
        ({"since": "0001-01-01T00:00", "until": "x", "zone": "Asia/Tokyo"}, "“x” is not a time"),
        ({"outcome": "eaten"}, "“eaten” is no outcome"),
        ({"older_than": "x"}, "“x” is not a queue id"),
    ],
)
async def test_what_can_not_be_looked_for_is_said(admin: httpx2.AsyncClient, asked: dict[str, str], why: str) -> None:
    answer = await admin.get(PATH, params={**asked, "sender": "kept@example.com"})
    assert answer.status_code == 400
    assert why in answer.text
    assert 'value="kept@example.com"' in answer.text
    assert ids(answer.text) == []


@pytest.mark.parametrize("identity", ["0000000000000", "nothing", "%2e%2e"])
async def test_no_message_is_an_answer_of_its_own(admin: httpx2.AsyncClient, identity: str) -> None:
    answer = await admin.get(f"{PATH}/{identity}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


async def test_a_message_tells_its_reasons_its_attempts_and_what_became_of_whom(admin: httpx2.AsyncClient) -> None:
    page = html.unescape((await admin.get(f"{PATH}/{to_text(GATEWAY_WAY)}")).text)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2]))
    for expected in (
        "Routed by the address's own server: giulia@cliente.example , acquisti@cliente.example",
        f"{PARTNER} has the gateway smtp.dominiopartner.example:587",
        "Attempt for 3 recipients at smtp.dominiopartner.example[192.0.2.1]:587 250 2.0.0 Ok: queued as 4F2A91C03",
        "TLSv1.3 TLS_AES_256_GCM_SHA384, 48 ms",
        "Delivered to giulia@cliente.example , acquisti@cliente.example 250 2.0.0 Ok",
        "Deferred capo@cliente.example 450 4.2.2",
        "2/3 delivered, 1/3 waits",
        "13:00:01.000",
    ):
        assert expected in text
    assert re.search(r"giulia@cliente.example delivered 250", text)
    assert re.search(r"capo@cliente.example waits Next try", text)


@pytest.mark.parametrize("language", ["en", "it"])
@pytest.mark.parametrize(
    "path", [f"{PATH}/{to_text(GATEWAY_WAY)}", f"{PATH}/{to_text(OWN)}", f"{PATH}?outcome=refused"]
)
async def test_what_others_wrote_is_shown_as_text(
    site: Site, admin: httpx2.AsyncClient, language: str, path: str
) -> None:
    def speak() -> None:
        with opened(site) as place, write(place.engine) as connection:
            users.edit(connection, ALICE, language=language)

    await asyncio.to_thread(speak)
    page = (await admin.get(path)).text
    assert f'<html lang="{language}"' in page
    assert HOSTILE in html.unescape(page)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "{{7*7}}" in page


async def test_what_is_looked_for_is_shown_as_text(admin: httpx2.AsyncClient) -> None:
    asked = dict.fromkeys(("sender", "recipient", "message_id"), HOSTILE)
    for more in ({}, {"since": HOSTILE}, {"outcome": HOSTILE}):
        page = (await admin.get(PATH, params={**asked, **more})).text
        assert HOSTILE in html.unescape(page)
        assert "<script>alert" not in page


async def test_mail_that_was_just_submitted_is_found_with_its_attempt(site: Site, admin: httpx2.AsyncClient) -> None:
    await submit(site, PARTNER, ["fresh@recipient.example"])
    found = ids((await admin.get(PATH, params={"recipient": "fresh@recipient.example"})).text)
    assert len(found) == 1
    async with asyncio.timeout(20):
        while "could not connect" not in (page := (await admin.get(f"{PATH}/{found[0]}")).text):
            await asyncio.sleep(0.05)
    assert "localhost (" in page, "a queue is called by its server"
