"""Rules that read replies on their page: made, tried, shown as text whatever is in them, and removed."""

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

PATH = "/admin/reporting/reply-rules"
HOSTILE = """"><script>alert(1)</script>{{7*7}}"""
WANTED = {
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
    assert (await alice.post(PATH, data=WANTED)).headers["location"] == f"{PATH}?done=add"
    assert await rules(site) == [("partner-busy", ALICE, 72 * 3600.0)]
    tried = await alice.get(PATH, params={"reply": "450 4.2.1 busy <b>", "host": "mx.partner.example"})
    shown = html.unescape(tried.text)
    assert shown.count("At most 60 an hour go there for 90 minutes.") == 2  # of the reply, and in the list
    assert HOSTILE not in tried.text
    assert shown.count(HOSTILE) == 2
    assert "mx.partner.example" in tried.text
    elsewhere = await alice.get(PATH, params={"reply": "450 4.2.1 busy <b>", "host": "mx.else.example"})
    assert "No rule reads this" in elsewhere.text
    shipped = await alice.get(PATH, params={"reply": "550 5.4.5 Daily user sending limit", "host": "smtp.gmail.com"})
    assert shipped.text.count("google-daily-limit") == 2
    removal = {"do": "remove", "name": "partner-busy"}
    assert "Remove this rule?" in (await alice.post(PATH, data=removal)).text
    assert len(await rules(site)) == 1
    assert (await alice.post(PATH, data=removal | {"meant": "on"})).headers["location"] == f"{PATH}?done=remove"
    assert await rules(site) == []


async def test_what_can_not_be_is_said_above_what_was_entered(site: Site, alice: httpx2.AsyncClient) -> None:
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
        answer = await alice.post(PATH, data=WANTED | changed)
        assert answer.status_code == (409 if "name" in changed and "-" in changed["name"] else 400), changed
        assert says.casefold() in html.unescape(answer.text).casefold()
        if "words" not in changed:
            assert html.escape(WANTED["words"]) in answer.text.replace("&#34;", "&quot;")
    assert await rules(site) == []
    assert (await alice.post(PATH, data={"do": "remove", "name": "none", "meant": "on"})).status_code == 404
    assert (await alice.post(PATH, data={"do": "dance"})).status_code == 400


async def test_the_page_is_in_italian_with_what_providers_mean(site: Site, alice: httpx2.AsyncClient) -> None:
    def speaks_italian() -> None:
        with opened(site) as place, write(place.engine) as connection:
            users.edit(connection, ALICE, language="it")

    await alice.post(PATH, data=WANTED)
    await asyncio.to_thread(speaks_italian)
    shown = html.unescape((await alice.get(PATH)).text)
    assert "Ne partono al massimo 60 all'ora per 90 minuti." in shown
    assert "Più di tre connessioni contemporanee di una casella." in shown
