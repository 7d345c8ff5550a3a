"""Logging in on the pages, at a running server: who gets in, with which cookie, until when."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from outgate import clock
from outgate.directory import application_passwords, users
from outgate.directory.application_passwords import Scope
from outgate.directory.users import Credentials
from outgate.directory.web_sessions import WebSessionLimits
from outgate.operations import session_operations, user_operations
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext, reading, writing
from outgate.store.engine import write
from way.place import PASSWORD, Site, install, running
from web.links import opened
from web.people import ALICE, BOB, browser_at, log_in, logged_in

CONSOLE = Actor.console("test")


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """Behind TLS, as its address says; few tries, and log-ins that end when a test says so."""
    web = {"public_url": "http://127.0.0.1", "port": port, "session_idle": 3600.0, "session_lifetime": 7200.0}
    return install(
        tmp_path_factory.mktemp("pages") / "outgate", web=web, log_in={"failures_per_account": "3/10minutes"}
    )


@pytest_asyncio.fixture
async def server(site: Site) -> AsyncIterator[None]:
    """Runs while the test does."""
    running_server = await running(site)
    yield
    await running_server.stop()


def do(site: Site, change: Callable[[OperationContext], object]) -> None:
    """What an administrator does at the console."""
    with opened(site) as place, writing(place.engine, place.vault, CONSOLE, clock.now()) as op:
        change(op)


@pytest.mark.usefixtures("server")
async def test_only_a_path_of_ours_is_gone_to(port: int) -> None:
    for to in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\tx", "", "x"):
        async with browser_at(port) as browser:
            assert (await log_in(browser, to=to)).headers["location"] == "/", to


@pytest.mark.usefixtures("server")
async def test_the_cookie_is_hidden_from_scripts_and_other_sites_and_new_at_each_log_in(port: int) -> None:
    async with browser_at(port) as browser:
        first = (await log_in(browser)).headers["set-cookie"]
        assert all(part in first for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=7200"))
        token = browser.cookies["session"]
        await log_in(browser)
        assert browser.cookies["session"] != token
        async with browser_at(port) as former:
            former.cookies.set("session", token)
            assert (await former.get("/")).headers["location"] == "/log-in"


async def test_behind_tls_the_cookie_is_of_this_host_alone(tmp_path_factory: pytest.TempPathFactory, port: int) -> None:
    web = {"public_url": "https://mail.example.com", "port": port}
    running_server = await running(install(tmp_path_factory.mktemp("pages") / "outgate", web=web))
    async with browser_at(port) as browser:
        cookie = (await log_in(browser)).headers["set-cookie"]
    await running_server.stop()
    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


@pytest.mark.usefixtures("server")
async def test_the_language_is_chosen_before_the_log_in_and_after(port: int) -> None:
    async with browser_at(port) as browser:
        assert "Italiano" in (await browser.get("/log-in")).text
        for language, heading in (("xx", "Log in"), ("it", "Accedi")):
            await browser.post("/language", data={"language": language})
            assert f"<h1>{heading}</h1>" in (await browser.get("/log-in")).text
        await log_in(browser)
        assert "Log out" in (await browser.get("/settings/accounts")).text, "it is the user's own, not the browser's"
        path = "/settings/accounts/add?name=A"
        chosen = await browser.post("/settings/language", data={"language": "it", "to": path})
        assert chosen.headers["location"] == path
        assert '<html lang="it">' in (await browser.get(path)).text
        assert (await browser.post("/settings/language", data={"language": "xx"})).status_code == 400
        elsewhere = await browser.post("/settings/language", data={"language": "it", "to": "//evil.example"})
        assert elsewhere.headers["location"] == "/"


@pytest.mark.usefixtures("server")
async def test_a_wrong_password_and_a_user_who_is_not_there_look_alike(port: int) -> None:
    async with browser_at(port) as browser:
        answers = [await log_in(browser, user, "wrong") for user in (ALICE, "nobody@example.com")]
    assert [one.status_code for one in answers] == [403, 403]
    texts = [one.text.replace(ALICE, "").replace("nobody@example.com", "") for one in answers]
    assert texts[0] == texts[1]
    assert "don&#39;t go together" in texts[0]
    assert "wrong" not in answers[0].text


@pytest.mark.usefixtures("server")
async def test_too_many_failures_shut_the_form_too(port: int) -> None:
    async with browser_at(port) as browser:
        assert [(await log_in(browser, ALICE, "wrong")).status_code for _ in range(4)] == [403, 403, 403, 429]
        assert (await log_in(browser, ALICE)).status_code == 429


@pytest.mark.usefixtures("server")
async def test_a_programs_password_opens_no_page(site: Site, port: int) -> None:
    def make() -> str:
        with opened(site) as place, write(place.engine) as connection:
            alice = users.find(connection, ALICE).id
            return application_passwords.create(connection, alice, "Phone", Scope.SMTP, clock.now())

    async with browser_at(port) as browser:
        assert (await log_in(browser, ALICE, await asyncio.to_thread(make))).status_code == 403


@pytest.mark.usefixtures("server")
async def test_another_site_can_neither_log_in_nor_out(port: int) -> None:
    async with logged_in(port) as browser:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
            assert (await browser.post("/log-out", headers=headers)).status_code == 403
            form = {"username": BOB, "password": PASSWORD}
            assert (await browser.post("/log-in", data=form, headers=headers)).status_code == 403
        assert (await browser.get("/")).headers.get("location") != "/log-in"


@pytest.mark.usefixtures("server")
async def test_after_logging_out_the_cookie_is_worth_nothing(port: int) -> None:
    async with logged_in(port) as browser:
        token = browser.cookies["session"]
        assert (await browser.post("/log-out")).headers["location"] == "/log-in"
        browser.cookies.set("session", token)
        assert (await browser.get("/")).headers["location"] == "/log-in"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "change",
    [
        lambda op: user_operations.suspend(op, ALICE),
        lambda op: user_operations.set_password(op, ALICE, Credentials.derive("another password", 4096)),
        lambda op: session_operations.end_all_sessions(op, ALICE),
    ],
    ids=["suspended", "new password", "ended"],
)
async def test_who_may_not_stay_is_out_at_the_next_request(
    site: Site, port: int, change: Callable[[OperationContext], object]
) -> None:
    async with logged_in(port) as browser, logged_in(port, BOB) as other:
        await asyncio.to_thread(do, site, change)
        assert (await browser.get("/")).headers["location"] == "/log-in"
        assert (await other.get("/")).headers.get("location") != "/log-in"


@pytest.mark.usefixtures("server")
async def test_a_log_in_ends_after_idle_time_and_at_its_end_in_any_case(site: Site, port: int) -> None:
    def age(idle: float, whole: float) -> None:
        with opened(site) as place, write(place.engine) as connection:
            sql = "UPDATE web_session SET seen_at = seen_at - ?, created_at = created_at - ?"
            connection.exec_driver_sql(sql, (idle, whole))

    async with logged_in(port) as browser:
        await asyncio.to_thread(age, 3500.0, 7100.0)
        assert (await browser.get("/")).headers.get("location") != "/log-in"  # and is seen again
        await asyncio.to_thread(age, 3500.0, 0.0)
        assert (await browser.get("/")).headers.get("location") != "/log-in"
        await asyncio.to_thread(age, 0.0, 200.0)
        assert (await browser.get("/")).headers["location"] == "/log-in"
    async with logged_in(port) as browser:
        await asyncio.to_thread(age, 3700.0, 0.0)
        assert (await browser.get("/")).headers["location"] == "/log-in"


@pytest.mark.usefixtures("server")
async def test_where_one_is_logged_in_is_listed_without_the_secret(site: Site, port: int) -> None:
    def listed() -> str:
        with opened(site) as place, reading(place.engine, place.vault, CONSOLE, clock.now()) as op:
            limits = WebSessionLimits(3600.0, 7200.0)
            return repr(session_operations.list_sessions(op, ALICE, limits))

    async with logged_in(port) as browser:
        said = await asyncio.to_thread(listed)
        assert "127.0.0.1" in said
        assert browser.cookies["session"] not in said
