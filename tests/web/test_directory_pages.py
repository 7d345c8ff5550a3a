"""Users, units and roles at a running server: found page by page, changed, and what is lost asked for twice."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pyotp
import pytest
import pytest_asyncio

from outgate import clock
from outgate.directory import passkeys, roles, second_factors, units, users
from outgate.directory.errors import NotFound
from outgate.directory.passkeys import VerifiedKey
from outgate.directory.users import Credentials, User
from outgate.operations.second_factor_operations import LogInFactors
from outgate.store.engine import read, write
from way.place import PASSWORD, Site, install, running
from web.links import opened
from web.people import ALICE, BOB, browser_at, log_in, logged_in

USERS, UNITS, ROLES = "/admin/directory/users", "/admin/directory/units", "/admin/directory/roles"
CAROL = "carol@example.com"  # looks after users of /Sales
HOSTILE = """"><script>alert(1)</script>{{7*7}}"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """120 users beside alice, who may do everything, and carol; one of them has a hostile name."""
    path: Path = tmp_path_factory.mktemp("directory") / "outgate"
    site = install(path, web={"public_url": f"http://127.0.0.1:{port}", "port": port})
    with opened(site) as place, write(place.engine) as connection:
        for unit in ("/Sales", "/Sales/North", "/Support"):
            units.create(connection, unit)
        for number in range(120):
            unit = "/Sales/North" if number % 2 else "/Support"
            users.create(connection, f"user{number:03}@example.com", None, 0.0, name="Someone", unit_path=unit)
        users.create(connection, "hostile@example.com", None, 0.0, name=HOSTILE, unit_path="/Support")
        users.create(connection, CAROL, Credentials.derive(PASSWORD, 4096), clock.now())
        users.move(connection, BOB, "/Support")
        roles.assign(connection, ALICE, "super-admin", "/", clock.now())
        roles.assign(connection, CAROL, "user-admin", "/Sales", clock.now())
    asyncio.run(site.add_external(BOB, "bob@studio.example"))
    return site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(site: Site, port: int) -> AsyncIterator[int]:
    """The port of a running server."""
    process = await running(site)
    yield port
    await process.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def alice(server: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Her browser."""
    async with logged_in(server) as browser:
        yield browser


def listed(page: str) -> list[str]:
    """The users of a page, in their order."""
    return re.findall(rf'href="{USERS}/([^"?]+@[^"?]+)"', page)


def read_text(page: str) -> str:
    """Its words."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2])))


async def known(site: Site, address: str) -> User | None:
    """As the database has them."""

    def look() -> User | None:
        with opened(site) as place, read(place.engine) as connection:
            try:
                return users.find(connection, address)
            except NotFound:
                return None

    return await asyncio.to_thread(look)


async def paths(site: Site) -> tuple[str, ...]:
    """The units there are."""

    def look() -> tuple[str, ...]:
        with opened(site) as place, read(place.engine) as connection:
            return units.paths(connection)

    return await asyncio.to_thread(look)


# --- users -----------------------------------------------------------------------------------------------------------


async def test_page_by_page_all_users_are_listed_once(alice: httpx2.AsyncClient) -> None:
    found, page = [], (await alice.get(USERS)).text
    while True:
        found += listed(page)
        further = re.search(rf'href="({USERS}\?[^"]*after=[^"]+)"', page)
        if not further:
            break
        page = (await alice.get(html.unescape(further.group(1)))).text
    assert len(found) == 124
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"user": "user00"}, 10),
        ({"user": "someone", "unit": "/Sales"}, 50),
        ({"unit": "/Sales/North", "after": "user100@example.com"}, 10),
        ({"user": "user00", "unit": "/Sales"}, 5),
        ({"user": "100%"}, 0),
        ({"state": "suspended", "unit": "/Sales"}, 0),
    ],
)
async def test_users_are_found_by_address_name_unit_and_state(
    alice: httpx2.AsyncClient, asked: dict[str, str], count: int
) -> None:
    assert len(listed((await alice.get(USERS, params=asked)).text)) == count


async def test_an_administrator_of_a_unit_sees_its_users_and_no_others(server: int) -> None:
    async with logged_in(server, CAROL) as carol:
        assert all(int(one[4:7]) % 2 for one in listed((await carol.get(USERS)).text))
        assert (await carol.get(USERS, params={"unit": "/Support"})).status_code == 403
        assert (await carol.get(f"{USERS}/{BOB}")).status_code == 403
        assert (await carol.get(f"{USERS}/user001@example.com")).status_code == 200
        added = await carol.post(f"{USERS}/add", data={"address": "no@example.com", "unit": "/Support"})
        assert added.status_code == 403


async def test_a_user_is_added_with_a_password_that_is_shown_once(
    site: Site, server: int, alice: httpx2.AsyncClient
) -> None:
    sent = {"address": "Dora@example.com", "name": "Dora Neri", "unit": "/Sales", "language": "it"}
    made = await alice.post(f"{USERS}/add", data=sent)
    shown = re.search(r'<code class="large">([^<]+)</code>', made.text)
    assert made.status_code == 200
    assert shown
    assert shown.group(1) not in (await alice.get(f"{USERS}/dora@example.com")).text
    dora = await known(site, "dora@example.com")
    assert dora
    assert (dora.name, dora.unit, dora.language) == ("Dora Neri", "/Sales", "it")
    async with browser_at(server) as browser:
        assert (await log_in(browser, "dora@example.com", shown.group(1))).status_code == 303


@pytest.mark.parametrize(
    ("sent", "status", "why"),
    [
        ({"address": ALICE}, 409, "There is a user alice@example.com already."),
        ({"address": "x@elsewhere.example"}, 400, "elsewhere.example is not one of the organisation's domains"),
        ({"address": "y@example.com", "unit": "/Nowhere"}, 404, "There is no unit /Nowhere"),
        ({"address": "z@example.com", "password": "short"}, 400, "A password has 8 to 1024 characters."),
        ({"address": HOSTILE}, 400, ""),
    ],
)
async def test_who_can_not_be_added_is_said_with_the_form(
    alice: httpx2.AsyncClient, sent: dict[str, str], status: int, why: str
) -> None:
    answer = await alice.post(f"{USERS}/add", data=sent)
    assert answer.status_code == status
    assert why in html.unescape(answer.text)
    assert "<script>alert" not in answer.text
    assert f'value="{html.escape(sent["address"], quote=True)}"' in answer.text.replace("&#34;", "&quot;")


async def test_a_user_is_renamed_moved_suspended_and_resumed(site: Site, alice: httpx2.AsyncClient) -> None:
    page = f"{USERS}/user050@example.com"
    await alice.post(page, data={"do": "edit", "name": "Fifty", "language": "it"})
    await alice.post(page, data={"do": "move", "unit": "/Sales/North"})
    asked = await alice.post(page, data={"do": "suspend"})
    assert "Suspend this user?" in asked.text
    fifty = await known(site, "user050@example.com")
    assert fifty
    assert (fifty.name, fifty.unit, fifty.suspended) == ("Fifty", "/Sales/North", False)
    done = await alice.post(page, data={"do": "suspend", "meant": "on"})
    assert done.headers["location"] == f"{page}?done=suspend"
    assert "Suspended: neither log-in nor sending." in (await alice.get(done.headers["location"])).text
    assert listed((await alice.get(USERS, params={"state": "suspended"})).text) == ["user050@example.com"]
    await alice.post(page, data={"do": "resume"})
    fifty = await known(site, "user050@example.com")
    assert fifty
    assert not fifty.suspended


async def test_a_new_password_ends_all_log_ins(server: int, alice: httpx2.AsyncClient) -> None:
    async with logged_in(server, BOB) as bob:
        reset = await alice.post(f"{USERS}/{BOB}", data={"do": "password", "password": "a new password"})
        assert reset.headers["location"] == f"{USERS}/{BOB}?done=password"
        assert (await bob.get("/settings/accounts")).status_code == 303
        assert (await log_in(bob, BOB, PASSWORD)).status_code != 303
        assert (await log_in(bob, BOB, "a new password")).status_code == 303
        await alice.post(f"{USERS}/{BOB}", data={"do": "log-out"})
        assert (await bob.get("/settings/accounts")).status_code == 303


async def test_what_a_user_has_lost_is_shown_and_removed_once_that_was_said_twice(
    site: Site, server: int, alice: httpx2.AsyncClient
) -> None:
    def factors(make: bool) -> LogInFactors:
        with opened(site) as place, write(place.engine) as connection:
            user = users.find(connection, BOB).id
            if make:
                second_factors.begin(connection, place.vault, user)
                app = pyotp.TOTP(second_factors.enrolment(connection, place.vault, user, BOB).secret)
                second_factors.confirm(connection, place.vault, user, app.at(int(clock.now())), clock.now())
                passkeys.add(connection, user, "Telephone", VerifiedKey(b"id", b"key", 0), clock.now())
            return LogInFactors(second_factors.find(connection, user), passkeys.listed(connection, user))

    path, sent = f"{USERS}/{BOB}", {"do": "reset-second-factor"}
    assert sent["do"] not in (await alice.get(path)).text, "there is nothing to remove"
    await asyncio.to_thread(factors, make=True)
    shown = (await alice.get(path)).text
    assert sent["do"] in shown
    assert all(one in read_text(shown) for one in ("10 recovery codes are left", "Passkey Telephone"))
    asked = await alice.post(path, data=sent)
    assert "Remove second factor and passkeys?" in asked.text
    async with logged_in(server, CAROL) as carol:  # of another unit
        assert (await carol.post(path, data={**sent, "meant": "on"})).status_code == 403
    assert (await asyncio.to_thread(factors, make=False)).passkeys
    assert (await alice.post(path, data={**sent, "meant": "on"})).status_code == 303
    assert await asyncio.to_thread(factors, make=False) == LogInFactors(None, ())


async def test_a_user_shows_addresses_roles_and_their_ways(alice: httpx2.AsyncClient) -> None:
    bob = read_text((await alice.get(f"{USERS}/{BOB}")).text)
    assert "bob@studio.example example.com's servers, on behalf of bob@example.com" in bob
    carol = read_text((await alice.get(f"{USERS}/{CAROL}")).text)
    assert "user-admin for /Sales" in carol


async def test_a_user_is_deleted_once_that_was_said_twice(site: Site, alice: httpx2.AsyncClient) -> None:
    page = f"{USERS}/user117@example.com"
    assert "Delete this user?" in (await alice.post(page, data={"do": "remove"})).text
    assert await known(site, "user117@example.com")
    gone = await alice.post(page, data={"do": "remove", "meant": "on"})
    assert gone.headers["location"] == f"{USERS}?done=remove"
    assert await known(site, "user117@example.com") is None
    assert (await alice.get(page)).status_code == 404


@pytest.mark.parametrize("path", [USERS, f"{USERS}/hostile@example.com", f"{USERS}?user={HOSTILE}"])
async def test_a_name_is_shown_as_text(alice: httpx2.AsyncClient, path: str) -> None:
    page = (await alice.get(path, params={"user": "hostile"} if path == USERS else None)).text
    assert HOSTILE in html.unescape(page)
    assert "<script>alert" not in page


async def test_what_can_not_be_done_to_a_user_is_said(alice: httpx2.AsyncClient) -> None:
    page = f"{USERS}/{BOB}"
    assert (await alice.post(page, data={"do": "burn"})).status_code == 400
    moved = await alice.post(page, data={"do": "move", "unit": "/Nowhere"})
    assert moved.status_code == 404
    assert "There is no unit /Nowhere" in moved.text


# --- units -----------------------------------------------------------------------------------------------------------


async def test_a_unit_is_added_renamed_and_removed(site: Site, alice: httpx2.AsyncClient) -> None:
    made = await alice.post(UNITS, data={"do": "create", "unit": "/Sales", "new": "South"})
    assert "The unit is added." in (await alice.get(made.headers["location"])).text
    moved = await alice.post(UNITS, data={"do": "move", "unit": "/Sales/South", "name": "Süd", "above": "/"})
    assert "/Süd" in await paths(site)
    assert 'aria-current="true"><bdi>Süd</bdi>' in (await alice.get(moved.headers["location"])).text
    assert "Remove this unit?" in (await alice.post(UNITS, data={"do": "remove", "unit": "/Süd"})).text
    await alice.post(UNITS, data={"do": "remove", "unit": "/Süd", "meant": "on"})
    assert "/Süd" not in await paths(site)


@pytest.mark.parametrize(
    ("sent", "status", "why"),
    [
        ({"do": "create", "unit": "/", "new": "Sales"}, 409, "There is a unit /Sales already."),
        ({"do": "create", "unit": "/", "new": "a/b"}, 400, "A unit's name has no slash"),
        ({"do": "create", "unit": "/", "new": ""}, 400, "Enter the unit's name."),
        ({"do": "create", "unit": "/", "new": "x" * 61}, 400, "is not the path of a unit"),
        ({"do": "remove", "unit": "/Sales", "meant": "on"}, 403, "/Sales has units below it, such as /Sales/North"),
        ({"do": "remove", "unit": "/Support", "meant": "on"}, 403, "/Support has users"),
        ({"do": "move", "unit": "/Sales", "name": "Sales", "above": "/Sales/North"}, 400, "can't be put below itself"),
        ({"do": "burn", "unit": "/Sales"}, 400, "can't be done with a unit"),
    ],
)
async def test_what_can_not_be_done_to_a_unit_is_said(
    site: Site, alice: httpx2.AsyncClient, sent: dict[str, str], status: int, why: str
) -> None:
    before = await paths(site)
    answer = await alice.post(UNITS, data=sent)
    assert answer.status_code == status
    assert why in html.unescape(answer.text)
    assert await paths(site) == before


async def test_a_units_name_is_shown_as_text(alice: httpx2.AsyncClient) -> None:
    name = """"><img src=x onerror=alert(2)>"""
    made = await alice.post(UNITS, data={"do": "create", "unit": "/", "new": name})
    for page in (made.headers["location"], USERS, ROLES, "/admin/apps/mail/end-user-access"):
        text = (await alice.get(page)).text
        assert name in html.unescape(text), page
        assert "<img src=x" not in text, page
    await alice.post(UNITS, data={"do": "remove", "unit": f"/{name}", "meant": "on"})


# --- roles -----------------------------------------------------------------------------------------------------------


async def test_a_role_is_made_given_taken_away_and_removed(server: int, alice: httpx2.AsyncClient) -> None:
    made = await alice.post(ROLES, data={"do": "create", "role": "watcher", "summary": HOSTILE, "log-read": "on"})
    page = (await alice.get(made.headers["location"])).text
    assert "watcher" in page
    assert HOSTILE in html.unescape(page)
    assert "<script>alert" not in page
    given = {"user": "dora@example.com", "role": "watcher", "unit": "/"}
    assert (await alice.post(ROLES, data={"do": "assign", **given})).status_code == 303
    assert "dora@example.com watcher /" in read_text((await alice.get(ROLES)).text)
    held = await alice.post(ROLES, data={"do": "remove", "role": "watcher", "meant": "on"})
    assert (held.status_code, "take it away first" in held.text) == (403, True)
    assert "Take this role away?" in (await alice.post(ROLES, data={"do": "unassign", **given})).text
    await alice.post(ROLES, data={"do": "unassign", **given, "meant": "on"})
    await alice.post(ROLES, data={"do": "remove", "role": "watcher", "meant": "on"})
    assert "watcher" not in read_text((await alice.get(ROLES)).text)


@pytest.mark.parametrize(
    ("sent", "status", "why"),
    [
        ({"do": "assign", "user": "nobody@example.com", "role": "auditor", "unit": "/"}, 404, "There is no user"),
        ({"do": "assign", "user": BOB, "role": "emperor", "unit": "/"}, 404, "There is no role 'emperor'"),
        ({"do": "create", "role": "Big Name", "log-read": "on"}, 400, "is not a role's name"),
        ({"do": "create", "role": "empty"}, 400, "A role has at least one privilege"),
        ({"do": "remove", "role": "auditor", "meant": "on"}, 403, "auditor is built in"),
        ({"do": "burn"}, 400, "can't be done with a role"),
    ],
)
async def test_what_can_not_be_done_to_a_role_is_said(
    alice: httpx2.AsyncClient, sent: dict[str, str], status: int, why: str
) -> None:
    answer = await alice.post(ROLES, data=sent)
    assert answer.status_code == status
    assert why in html.unescape(answer.text)
