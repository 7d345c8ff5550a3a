"""Destinations' own schedules on their page: set, seen where the mail waits, and removed."""

import html
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from outgate import clock
from outgate.directory import roles
from outgate.store.engine import write
from way.place import Site, install, running
from web.links import opened
from web.people import ALICE, logged_in

PATH = "/admin/reporting/retry-schedules"
QUEUE = "/admin/reporting/queue?queue="
HOSTILE = """"><script>alert(1)</script>{{7*7}}"""
WANTED = {
    "do": "set",
    "destination": "*.Slow.Example",
    "first": "10",
    "first-unit": "minute",
    "factor": "1,5",
    "longest": "6",
    "longest-unit": "hour",
    "untold": "on",
    "returned": "10",
    "returned-unit": "day",
    "reason": HOSTILE,
    "lasts": "14",
    "lasts-unit": "day",
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """Alice may do everything."""
    path: Path = tmp_path_factory.mktemp("schedules") / "outgate"
    site = install(path, web={"public_url": f"http://127.0.0.1:{port}", "port": port})
    with opened(site) as place, write(place.engine) as connection:
        roles.assign(connection, ALICE, "super-admin", "/", clock.now())
    return site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(site: Site, port: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Her browser at the running server."""
    server = await running(site)
    async with logged_in(port) as browser:
        yield browser
    await server.stop()


async def shown(alice: httpx2.AsyncClient, path: str) -> str:
    """A page as it is read."""
    return html.unescape((await alice.get(path)).text)


async def test_a_schedule_is_set_seen_where_its_mail_waits_and_removed_after_a_question(
    alice: httpx2.AsyncClient,
) -> None:
    usual = "Tried again after 1 minute<br>Each further wait 3 times as long<br>None longer than 4 hours"
    assert (await shown(alice, PATH)).count(usual) == 4  # of the four ways
    assert (await alice.post(PATH, data=WANTED)).headers["location"] == f"{PATH}?done=set"
    page = await alice.get(f"{PATH}?done=set")
    told = html.unescape(page.text)
    assert "The schedule is set." in told
    assert (
        "Tried again after 10 minutes<br>Each further wait 1.5 times as long<br>None longer than 6 hours<br>Its sender"
        " is not told that it waits<br>Returned after 10 days"
    ) in told
    assert (HOSTILE in page.text, told.count(HOSTILE)) == (False, 1)

    below = await shown(alice, f"{QUEUE}mx:mx.slow.example")
    assert "Schedule of slow.example" in below
    assert f'href="{PATH}?destination=mx.slow.example"' in below
    assert 'value="mx.slow.example"' in await shown(alice, f"{PATH}?destination=mx.slow.example")
    for other in ("mx:fast.example", "local", "gateway:99"):
        elsewhere = await shown(alice, f"{QUEUE}{other}")
        assert ("Tried again after 1 minute" in elsewhere, "Schedule of" in elsewhere) == (True, False)
        assert ("Change its schedule" in elsewhere) == (other == "mx:fast.example")

    removal = {"do": "remove", "destination": "slow.example"}
    assert "Remove this schedule?" in (await alice.post(PATH, data=removal)).text
    assert "Remove schedule" in await shown(alice, PATH)
    assert (await alice.post(PATH, data=removal | {"meant": "on"})).headers["location"] == f"{PATH}?done=remove"
    assert "Remove schedule" not in await shown(alice, PATH)


async def test_what_can_not_be_is_said_above_what_was_entered(alice: httpx2.AsyncClient) -> None:
    nothing = {"first": "", "factor": "", "longest": "", "returned": ""}
    for changed, says in (
        ({"first": "soon"}, "is not a time"),
        ({"first-unit": "moon"}, "is not a time"),
        ({"factor": "twice"}, "is not a number"),
        ({"factor": "nan"}, "1 to 10 times"),
        ({"longest": "5", "longest-unit": "minute"}, "longer than the longest"),
        ({"destination": "no_host!"}, "'no_host!' is not a domain"),
        ({"lasts": "999"}, "at most 366 days"),
        ({"reason": ""}, "say why"),
        (nothing | {"told": "9", "told-unit": "day"}, "give both"),
    ):
        entered = WANTED | changed
        if "told" in changed:
            del entered["untold"]
        answer = await alice.post(PATH, data=entered)
        assert (answer.status_code, says.casefold() in html.unescape(answer.text).casefold()) == (400, True), changed
        assert f'value="{entered["returned"]}"' in answer.text
    assert (
        await alice.post(PATH, data={"do": "remove", "destination": "none.example", "meant": "on"})
    ).status_code == 404
    assert (await alice.post(PATH, data={"do": "dance"})).status_code == 400
