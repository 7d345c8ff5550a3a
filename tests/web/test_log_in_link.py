"""Links that log in once in place of the password, at a running server: what opens them, what ends them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pyotp
import pytest
import pytest_asyncio

from outgate import clock
from outgate.directory import log_in_links, roles, second_factors, users
from outgate.directory.users import Credentials, External
from outgate.operations import log_in_link_operations, user_operations
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext, writing
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditFilter
from outgate.store import dump
from outgate.store.engine import read, write
from outgate.web.log_in_link_page import PATH
from way.place import Site, install, running
from web.links import opened
from web.people import ALICE, BOB, browser_at, log_in, logged_in
from web.test_security_page import ticket_in

T = TypeVar("T")
CONSOLE = Actor.console("test")
CHOOSE = {"to": "/settings/security/password"}
NEW = "a new password of hers"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """Alice may do everything."""
    web = {"public_url": f"http://127.0.0.1:{port}", "port": port}
    site = install(tmp_path_factory.mktemp("links") / "outgate", web=web)
    with opened(site) as place, write(place.engine) as connection:
        roles.assign(connection, ALICE, roles.SUPER_ADMIN, "/", clock.now())
    return site


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def pages(site: Site, port: int) -> AsyncIterator[int]:
    """The port of a running server."""
    server = await running(site)
    yield port
    await server.stop()


def do(site: Site, change: Callable[[OperationContext], T], now: float | None = None) -> T:
    """What an administrator does at the console."""
    at = clock.now() if now is None else now
    with opened(site) as place, writing(place.engine, place.vault, CONSOLE, at) as op:
        return change(op)


async def new_link(site: Site, user: str = BOB, now: float | None = None) -> str:
    """The path of a new one."""
    base = "https://mail.example.com"
    link = await asyncio.to_thread(do, site, lambda op: log_in_link_operations.make_link(op, user, base), now)
    return link.url.removeprefix(base)


async def test_a_link_logs_in_once_and_only_when_its_button_is_pressed(site: Site, port: int) -> None:
    path = await new_link(site)
    async with browser_at(port) as browser, browser_at(port) as second:
        for _ in range(2):  # programs that look for harm in mail open it, too
            asked = await browser.get(path)
            assert asked.status_code == 200
            assert BOB in asked.text
        assert not browser.cookies
        answers = await asyncio.gather(*(one.post(path, data=CHOOSE) for one in (browser, second)))
        assert sorted(one.status_code for one in answers) == [303, 410], "of two at once one gets in"
        winner = browser if answers[0].status_code == 303 else second
        assert max(answers, key=lambda one: one.status_code == 303).headers["location"] == CHOOSE["to"]
        assert "session" in winner.cookies
        assert (await winner.get(CHOOSE["to"])).status_code == 200, "who they are was shown just now"
        security = (await winner.get("/settings/security")).text
        assert "by log-in link" in security
        done = await winner.post(CHOOSE["to"], data={"password": NEW, "again": NEW})
        assert done.headers["location"].endswith("done=password")
        spent = await winner.get(path)
        assert (spent.status_code, "logs nobody in" in spent.text) == (410, True)
    async with browser_at(port) as browser:
        assert (await log_in(browser, BOB, NEW)).status_code == 303

    def entries() -> list[tuple[str, str]]:
        with opened(site) as place, read(place.engine) as connection:
            assert not audit_trail.verify(connection, place.vault)
            found = audit_trail.search(connection, AuditFilter(operation="user.log-in-link"))
            return [(one.entry.actor, one.entry.target) for one in found]

    assert (await asyncio.to_thread(entries))[:2] == [("log-in link", BOB), (CONSOLE.name, BOB)]


async def test_only_a_path_of_ours_is_gone_to_and_no_other_site_presses_the_button(site: Site, port: int) -> None:
    path = await new_link(site)
    async with browser_at(port) as browser:
        forged = await browser.post(path, headers={"Sec-Fetch-Site": "cross-site"})
        assert forged.status_code == 403
        assert (await browser.post(path, data={"to": "//evil.example"})).headers["location"] == "/"


async def test_of_a_links_secret_the_database_has_the_digest_alone(site: Site) -> None:
    token = (await new_link(site)).rpartition("/")[2].encode()

    def held(secret: bytes) -> bool:
        with opened(site) as place, read(place.engine) as connection:
            names = dump.table_names(place.engine)
            return any(secret in value for name in names for _, _, value in dump.values(connection, name))

    assert not await asyncio.to_thread(held, token)
    assert await asyncio.to_thread(held, hashlib.sha256(token).digest())


@pytest.mark.parametrize(
    "change",
    [
        lambda op: user_operations.set_password(op, BOB, Credentials("", "")),
        lambda op: [user_operations.suspend(op, BOB), user_operations.resume(op, BOB)],
        lambda op: log_in_link_operations.make_link(op, BOB, "https://mail.example.com"),
    ],
    ids=["a new password", "a suspension, though it is undone", "a newer link"],
)
async def test_a_link_ends_by(site: Site, port: int, change: Callable[[OperationContext], object]) -> None:
    path = await new_link(site)
    await asyncio.to_thread(do, site, change)
    async with browser_at(port) as browser:
        assert [(await browser.get(path)).status_code, (await browser.post(path)).status_code] == [410, 410]


async def test_a_link_is_good_for_a_day(site: Site, port: int) -> None:
    almost, over = (clock.now() - log_in_links.VALID_SECONDS + seconds for seconds in (60, -1))
    async with browser_at(port) as browser:
        assert (await browser.get(await new_link(site, now=almost))).status_code == 200
        assert (await browser.get(await new_link(site, now=over))).status_code == 410


async def test_a_second_factor_is_asked_for_after_a_link_as_well(site: Site, port: int) -> None:
    def with_factor() -> pyotp.TOTP:
        with opened(site) as place, write(place.engine) as connection:
            user = users.create(connection, "dora@example.com", None, clock.now())
            second_factors.begin(connection, place.vault, user.id)
            app = pyotp.TOTP(second_factors.enrolment(connection, place.vault, user.id, user.address).secret)
            now = clock.now()
            second_factors.confirm(connection, place.vault, user.id, app.at(int(now) - 30), now)
            return app

    app = await asyncio.to_thread(with_factor)
    path = await new_link(site, "dora@example.com")
    async with browser_at(port) as browser:
        asked = await browser.post(path, data=CHOOSE)
        assert (asked.status_code, "session" in browser.cookies) == (200, False)
        sent = {"ticket": ticket_in(asked), **CHOOSE}
        assert (await browser.post("/log-in/code", data={**sent, "code": "000000"})).status_code == 403
        entered = await browser.post("/log-in/code", data={**sent, "code": app.now()})
        assert (entered.status_code, entered.headers["location"]) == (303, CHOOSE["to"])
        assert "by log-in link" in (await browser.get("/settings/security")).text


async def test_who_can_not_log_in_by_what_is_kept_here_gets_no_link(site: Site, port: int) -> None:
    """In the words of the console's page."""

    def others() -> None:
        with opened(site) as place, write(place.engine) as connection:
            users.create(connection, "erin@example.com", None, clock.now(), external=External("1", "cn=erin"))
            users.create(connection, "frank@example.com", None, clock.now())
            users.suspend(connection, "frank@example.com")

    await asyncio.to_thread(others)
    async with logged_in(port, ALICE) as browser:
        for user, word in (("erin", "LDAP"), ("frank", "resume them first")):
            answer = await browser.post(f"/admin/directory/users/{user}@example.com", data={"do": "link"})
            assert (answer.status_code, word in answer.text) == (403, True)
        made = await browser.post(f"/admin/directory/users/{BOB}", data={"do": "link"})
        assert f"http://127.0.0.1:{port}{PATH.removesuffix('{token}')}" in made.text
    link = await new_link(site, BOB)
    await asyncio.to_thread(do, site, lambda op: user_operations.link(op, BOB, External("2", "cn=bob")))
    async with browser_at(port) as browser:
        assert (await browser.post(link)).status_code == 410, "the password is the directory's from now on"


async def test_no_link_is_made_where_there_are_no_pages(site: Site) -> None:
    with pytest.raises(Exception, match=r"web\.public_url"):
        await asyncio.to_thread(do, site, lambda op: log_in_link_operations.make_link(op, ALICE, ""))
