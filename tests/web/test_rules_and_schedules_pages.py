"""Rules that read replies, and destinations' own schedules, each on its page: made, tried or seen where they hold,
shown as text whatever is in them, and removed.
"""

import asyncio
import html
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from outgate import clock
from outgate.directory import own_rules, roles, users
from outgate.store.engine import read, write
from way.place import Site, install, running
from web.links import opened
from web.people import ALICE, logged_in

RULES = "/admin/reporting/reply-rules"
HOSTILE = """"><script>alert(1)</script>{{7*7}}"""
BUSY = {
    "do": "add",
    "name": "partner-busy",
    "words": "450 * busy <b>",
    "hosts": "Partner.example, other.example",
    "action": "slow-down",
    "minutes": "90",
    "most": "60",
    "per": "hour",
    "reason": HOSTILE,
    "hours": "72",
}

SCHEDULES = "/admin/reporting/retry-schedules"
QUEUE = "/admin/reporting/queue?queue="
SLOW = {
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
    path: Path = tmp_path_factory.mktemp("rules") / "outgate"
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


async def rules(site: Site) -> list[tuple[str, str, float | None]]:
    """Name, author and for how many seconds each holds, as the database has it."""

    def look() -> list[tuple[str, str, float | None]]:
        with opened(site) as place, read(place.engine) as connection:
            return [
                (one.rule.name, one.author, None if one.until is None else one.until - one.since)
                for one in own_rules.load(connection)
            ]

    return await asyncio.to_thread(look)


async def test_a_rule_is_made_reads_a_reply_and_is_removed_after_a_question(
    site: Site, alice: httpx2.AsyncClient
) -> None:
    assert (await alice.post(RULES, data=BUSY)).headers["location"] == f"{RULES}?done=add"
    assert await rules(site) == [("partner-busy", ALICE, 72 * 3600.0)]
    tried = await alice.get(RULES, params={"reply": "450 4.2.1 busy <b>", "host": "mx.partner.example"})
    shown = html.unescape(tried.text)
    assert shown.count("At most 60 an hour go there for 90 minutes.") == 2  # of the reply, and in the list
    assert HOSTILE not in tried.text
    assert shown.count(HOSTILE) == 2
    assert "mx.partner.example" in tried.text
    elsewhere = await alice.get(RULES, params={"reply": "450 4.2.1 busy <b>", "host": "mx.else.example"})
    assert "No rule reads this" in elsewhere.text
    shipped = await alice.get(RULES, params={"reply": "550 5.4.5 Daily user sending limit", "host": "smtp.gmail.com"})
    assert shipped.text.count("google-daily-limit") == 2
    removal = {"do": "remove", "name": "partner-busy"}
    assert "Remove this rule?" in (await alice.post(RULES, data=removal)).text
    assert len(await rules(site)) == 1
    assert (await alice.post(RULES, data=removal | {"meant": "on"})).headers["location"] == f"{RULES}?done=remove"
    assert await rules(site) == []


async def test_a_rule_that_can_not_be_is_said_above_what_was_entered(site: Site, alice: httpx2.AsyncClient) -> None:
    for changed, says in (
        ({"name": "Busy!"}, "is no name of a rule"),
        ({"words": "*"}, "3 to 200 characters"),
        ({"action": "dance"}, "nothing that a rule can do"),
        ({"most": "often"}, "is not a number of messages"),
        ({"most": ""}, "say a rate"),
        ({"minutes": ""}, "say how long it holds"),
        ({"hours": "soon"}, "is not a number"),
        ({"hours": "99999999"}, "at most 366 days"),
        ({"name": "google-daily-limit"}, "there is a rule google-daily-limit already"),
        ({"hosts": "no_host!"}, "'no_host!' is not a domain"),
        ({"reason": ""}, "say why"),
    ):
        answer = await alice.post(RULES, data=BUSY | changed)
        assert answer.status_code == (409 if "name" in changed and "-" in changed["name"] else 400), changed
        assert says.casefold() in html.unescape(answer.text).casefold()
        if "words" not in changed:
            assert html.escape(BUSY["words"]) in answer.text.replace("&#34;", "&quot;")
    assert await rules(site) == []
    assert (await alice.post(RULES, data={"do": "remove", "name": "none", "meant": "on"})).status_code == 404
    assert (await alice.post(RULES, data={"do": "dance"})).status_code == 400


async def shown(alice: httpx2.AsyncClient, path: str) -> str:
    """A page as it is read."""
    return html.unescape((await alice.get(path)).text)


async def test_a_schedule_is_set_seen_where_its_mail_waits_and_removed_after_a_question(
    alice: httpx2.AsyncClient,
) -> None:
    usual = "Tried again after 1 minute<br>Each further wait 3 times as long<br>None longer than 4 hours"
    assert (await shown(alice, SCHEDULES)).count(usual) == 4  # of the four ways
    assert (await alice.post(SCHEDULES, data=SLOW)).headers["location"] == f"{SCHEDULES}?done=set"
    page = await alice.get(f"{SCHEDULES}?done=set")
    told = html.unescape(page.text)
    assert "The schedule is set." in told
    assert (
        "Tried again after 10 minutes<br>Each further wait 1.5 times as long<br>None longer than 6 hours<br>Its sender"
        " is not told that it waits<br>Returned after 10 days"
    ) in told
    assert (HOSTILE in page.text, told.count(HOSTILE)) == (False, 1)

    below = await shown(alice, f"{QUEUE}mx:mx.slow.example")
    assert "Schedule of slow.example" in below
    assert f'href="{SCHEDULES}?destination=mx.slow.example"' in below
    assert 'value="mx.slow.example"' in await shown(alice, f"{SCHEDULES}?destination=mx.slow.example")
    for other in ("mx:fast.example", "local", "gateway:99"):
        elsewhere = await shown(alice, f"{QUEUE}{other}")
        assert ("Tried again after 1 minute" in elsewhere, "Schedule of" in elsewhere) == (True, False)
        assert ("Change its schedule" in elsewhere) == (other == "mx:fast.example")

    removal = {"do": "remove", "destination": "slow.example"}
    assert "Remove this schedule?" in (await alice.post(SCHEDULES, data=removal)).text
    assert "Remove schedule" in await shown(alice, SCHEDULES)
    assert (await alice.post(SCHEDULES, data=removal | {"meant": "on"})).headers[
        "location"
    ] == f"{SCHEDULES}?done=remove"
    assert "Remove schedule" not in await shown(alice, SCHEDULES)


async def test_a_schedule_that_can_not_be_is_said_above_what_was_entered(alice: httpx2.AsyncClient) -> None:
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
        entered = SLOW | changed
        if "told" in changed:
            del entered["untold"]
        answer = await alice.post(SCHEDULES, data=entered)
        assert (answer.status_code, says.casefold() in html.unescape(answer.text).casefold()) == (400, True), changed
        assert f'value="{entered["returned"]}"' in answer.text
    assert (
        await alice.post(SCHEDULES, data={"do": "remove", "destination": "none.example", "meant": "on"})
    ).status_code == 404
    assert (await alice.post(SCHEDULES, data={"do": "dance"})).status_code == 400


async def test_the_page_is_in_italian_with_what_providers_mean(site: Site, alice: httpx2.AsyncClient) -> None:
    def speaks_italian() -> None:
        with opened(site) as place, write(place.engine) as connection:
            users.edit(connection, ALICE, language="it")

    await alice.post(RULES, data=BUSY)
    await asyncio.to_thread(speaks_italian)
    shown = html.unescape((await alice.get(RULES)).text)
    assert "Ne partono al massimo 60 all'ora per 90 minuti." in shown
    assert "Più di tre connessioni contemporanee di una casella." in shown
