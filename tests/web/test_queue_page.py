"""The queue at a running server: what waits where, and what is done with it, of a queue and of one message."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from outgate import clock
from outgate.directory import roles
from outgate.queue import admin
from outgate.queue.admin import Selection, Waiting
from outgate.queue.queue_id import to_text
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditFilter
from outgate.store.engine import read, write
from way.place import Site, install, running
from way.submit import submit
from web.links import opened
from web.people import ALICE, logged_in

PATH, LOG = "/admin/reporting/queue", "/admin/reporting/email-log-search"
PARTNER = "alice@dominiopartner.example"
HOSTILE = """mx:"><script>alert(1)</script>"""


@pytest.fixture
def site(tmp_path: Path, port: int) -> Site:
    """Alice may do everything, and has an address with a server that does not work."""
    site = install(tmp_path / "outgate", web={"public_url": f"http://127.0.0.1:{port}", "port": port})
    asyncio.run(site.switch(True))
    asyncio.run(site.add_external(ALICE, PARTNER, 1))
    with opened(site) as place, write(place.engine) as connection:
        roles.assign(connection, ALICE, "super-admin", "/", clock.now())
    return site


@pytest_asyncio.fixture
async def alice(site: Site, port: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Her browser at the running server; one message to two people waits."""
    server = await running(site)
    await submit(site, PARTNER, ["carol@recipient.example", "dave@recipient.example"])
    async with asyncio.timeout(20):
        while not all(one.attempts and not one.in_transfer for one in await waiting(site)):
            await asyncio.sleep(0.02)
    async with logged_in(port) as browser:
        yield browser
    await server.stop()


async def waiting(site: Site) -> list[Waiting]:
    """As the database has it."""

    def look() -> list[Waiting]:
        with opened(site) as place, read(place.engine) as connection:
            return list(admin.waiting(connection, Selection(), clock.now(), 10))

    return await asyncio.to_thread(look)


async def one_message(site: Site) -> tuple[str, str]:
    """The queue id of what waits, and its queue."""
    first = (await waiting(site))[0]
    return to_text(first.message_id), first.queue


async def changed_by(site: Site) -> list[tuple[str, str]]:
    """What the audit trail has of the queue, oldest first: operation and actor."""

    def look() -> list[tuple[str, str]]:
        with opened(site) as place, read(place.engine) as connection:
            found = audit_trail.search(connection, AuditFilter())
            return [(one.entry.operation, one.entry.actor) for one in found if one.entry.operation.startswith("queue")]

    return (await asyncio.to_thread(look))[::-1]


def words_of(page: str) -> str:
    """What is read in the room."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2])))


async def test_each_queue_is_called_as_people_do_and_leads_to_what_waits_there(
    site: Site, alice: httpx2.AsyncClient
) -> None:
    message, queue = await one_message(site)
    census = await alice.get(PATH)
    assert f"localhost ({PARTNER}) {queue} 1 2 0" in words_of(census.text)
    link = re.search(rf'href="({PATH}\?queue=[^"]+)"', census.text)
    assert link
    listed = await alice.get(html.unescape(link.group(1)))
    assert f'href="{LOG}/{message}"' in listed.text
    assert "could not connect" in listed.text
    for recipient in ("carol@recipient.example", "dave@recipient.example"):
        assert f"{PARTNER} {recipient} waits Next try" in words_of(listed.text)


@pytest.mark.parametrize("action", ["hold", "delete"])
async def test_nothing_is_stopped_or_lost_before_it_is_said_twice(
    site: Site, alice: httpx2.AsyncClient, action: str
) -> None:
    message, queue = await one_message(site)
    for which in ({"queue": queue}, {"message": message}):
        asked = await alice.post(PATH, data={"do": action, **which})
        assert asked.status_code == 200
        assert "2 recipients" in words_of(asked.text)
        assert 'name="meant" value="on"' in asked.text
    assert [one.held for one in await waiting(site)] == [False, False]
    assert await changed_by(site) == []


async def test_a_message_is_held_and_released_and_its_page_says_so(site: Site, alice: httpx2.AsyncClient) -> None:
    message, _ = await one_message(site)
    held = await alice.post(PATH, data={"do": "hold", "message": message, "meant": "on"})
    assert (held.status_code, held.headers["location"]) == (303, f"{LOG}/{message}?done=hold")
    assert [one.held for one in await waiting(site)] == [True, True]
    page = words_of((await alice.get(held.headers["location"])).text)
    assert "It is held until somebody releases it." in page
    assert "carol@recipient.example held" in page
    await alice.post(PATH, data={"do": "release", "message": message})
    assert [one.held for one in await waiting(site)] == [False, False]
    assert await changed_by(site) == [("queue.hold", ALICE), ("queue.release", ALICE)]


async def test_a_queue_is_held_and_deleted_and_the_log_says_so(site: Site, alice: httpx2.AsyncClient) -> None:
    message, queue = await one_message(site)
    for action in ("hold", "delete"):
        answer = await alice.post(PATH, data={"do": action, "queue": queue, "meant": "on"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{PATH}?queue=")
        if action == "hold":
            async with asyncio.timeout(20):
                while not all(one.held and not one.in_transfer for one in await waiting(site)):
                    await asyncio.sleep(0.02)
    async with asyncio.timeout(20):
        while await waiting(site):
            await asyncio.sleep(0.02)
    assert "Nothing waits." in (await alice.get(PATH)).text
    page = words_of((await alice.get(f"{LOG}/{message}")).text)
    assert "deleted from the queue by the administrator Nobody is told." in page
    assert "Retry now" not in page


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"do": "delete", "meant": "on"}, 400),  # of all that waits
        ({"do": "burn", "queue": "mx:x.example"}, 400),
        ({"do": "delete", "queue": HOSTILE.removeprefix("mx:")}, 404),
        ({"do": "delete", "address": HOSTILE}, 404),
        ({"do": "suspend", "queue": HOSTILE.removeprefix("mx:")}, 400),
        ({"do": "suspend", "queue": "mx:x.example", "hours": "soon"}, 400),
        ({"do": "suspend", "queue": "mx:x.example", "hours": "99999999"}, 400),
        ({"do": "resume"}, 400),
        ({"do": "delete", "queue": HOSTILE}, 404),
        ({"do": "delete", "message": HOSTILE}, 400),
        ({"do": "retry", "message": "0000000000000"}, 404),
        ({"do": "hold", "message": "0000000000000"}, 404),
    ],
)
async def test_what_is_not_there_is_said_and_nothing_is_done(
    site: Site, alice: httpx2.AsyncClient, sent: dict[str, str], status: int
) -> None:
    answer = await alice.post(PATH, data=sent)
    assert answer.status_code == status
    assert "<script>alert" not in answer.text
    assert len(await waiting(site)) == 2


async def test_another_site_can_change_nothing(site: Site, alice: httpx2.AsyncClient) -> None:
    _, queue = await one_message(site)
    answer = await alice.post(
        PATH, data={"do": "delete", "queue": queue, "meant": "on"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert len(await waiting(site)) == 2


async def test_a_queue_that_nobody_has_is_shown_as_text(alice: httpx2.AsyncClient) -> None:
    page = (await alice.get(PATH, params={"queue": HOSTILE, "done": HOSTILE})).text
    assert "Nothing waits there." in page
    assert HOSTILE in html.unescape(page)
    assert "<script>alert" not in page


async def test_what_a_search_finds_is_held_together_and_nothing_else(site: Site, alice: httpx2.AsyncClient) -> None:
    found = words_of((await alice.get(PATH, params={"address": "CAROL@"})).text)
    assert "carol@recipient.example" in found
    assert "dave@recipient.example" not in found
    asked = await alice.post(PATH, data={"do": "hold", "address": "carol@"})
    assert "With “carol@” in an address 1 recipient" in words_of(asked.text)
    held = await alice.post(PATH, data={"do": "hold", "address": "carol@", "meant": "on"})
    assert held.headers["location"] == f"{PATH}?address=carol%40&done=hold"
    async with asyncio.timeout(20):
        while [one.held for one in await waiting(site)] != [True, False]:
            await asyncio.sleep(0.02)
    await alice.post(PATH, data={"do": "release", "address": "carol@"})
    async with asyncio.timeout(20):
        while any(one.held for one in await waiting(site)):
            await asyncio.sleep(0.02)


async def test_a_queue_is_suspended_with_a_reason_and_resumed(site: Site, alice: httpx2.AsyncClient) -> None:
    _, queue = await one_message(site)
    reason = """"><script>alert(3)</script>"""
    done = await alice.post(PATH, data={"do": "suspend", "queue": queue, "reason": reason, "hours": "2"})
    page = (await alice.get(done.headers["location"])).text
    assert "Suspended: its mail waits." in page
    for path in (PATH, f"{PATH}?queue={queue}", "/admin/reporting/gateways"):
        shown = (await alice.get(path)).text
        assert '<span class="tag bad">suspended</span>' in shown, path
        assert "<script>alert" not in shown, path
    assert reason in html.unescape((await alice.get(PATH)).text)
    done = await alice.post(PATH, data={"do": "resume", "queue": queue})
    assert "Resumed: what waits is tried now." in (await alice.get(done.headers["location"])).text
    assert '<span class="tag bad">suspended</span>' not in (await alice.get(PATH)).text
    assert await changed_by(site) == [("queue.suspend", ALICE), ("queue.resume", ALICE)]


async def test_a_ceiling_is_set_beside_a_suspension_and_taken_away(site: Site, alice: httpx2.AsyncClient) -> None:
    _, queue = await one_message(site)
    asked = {"do": "limit", "queue": queue, "most": "300", "per": "hour", "connections": "2", "reason": "<b>agreed</b>"}
    done = await alice.post(PATH, data=asked)
    page = (await alice.get(done.headers["location"])).text
    assert "The ceiling is set." in page
    assert "At most 2 connections at once, 300 an hour" in page
    await alice.post(PATH, data={"do": "suspend", "queue": queue, "reason": "maintenance"})
    for path in (PATH, f"{PATH}?queue={queue}"):
        shown = (await alice.get(path)).text
        for fact in ("At most 2 connections at once, 300 an hour", "&lt;b&gt;agreed&lt;/b&gt;", "maintenance"):
            assert fact in shown, path
    assert '<span class="tag bad">suspended</span>' in (await alice.get("/admin/reporting/gateways")).text
    for changed in (
        {"most": "many"},
        {"connections": "0"},
        {"reason": ""},
        {"most": "", "connections": ""},
        {"per": "x"},
    ):
        assert (await alice.post(PATH, data=asked | changed)).status_code == 400, changed
    await alice.post(PATH, data={"do": "unlimit", "queue": queue})
    await alice.post(PATH, data={"do": "resume", "queue": queue})
    shown = (await alice.get(f"{PATH}?queue={queue}")).text
    assert "300 an hour" not in shown
    assert "Take ceiling away" not in shown


async def test_much_that_waits_is_shown_page_by_page(site: Site, alice: httpx2.AsyncClient) -> None:
    await submit(site, PARTNER, [f"r{number:03}@many.example" for number in range(120)])
    await submit(site, PARTNER, ["last@many.example"])
    pages = [(await alice.get(PATH, params={"address": "@many.example"})).text]
    while further := re.search(rf'href="({PATH}\?[^"]*from=[^"]+)"', pages[-1]):
        pages.append((await alice.get(html.unescape(further.group(1)))).text)
    assert [page.count("@many.example</bdi></td>") for page in pages] == [100, 1]
    assert (await alice.get(PATH, params={"address": "x", "from": "zzz"})).status_code == 400
