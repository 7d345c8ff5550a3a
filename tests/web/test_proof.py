"""Whoever finds a browser open can change neither passwords nor rights: what does that asks again who it is."""

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import httpx2
import pytest
import pytest_asyncio

from outgate.operations.operation_table import OPERATIONS
from outgate.record import audit_trail
from outgate.record.audit_trail import DONE, AuditFilter
from outgate.store.engine import read, write
from outgate.web import queue_page, roles_page, routing_page, units_page, user_page, webhooks_page
from outgate.web.safety_question import MEANT
from way.place import PASSWORD, Site, install, running
from web.all_pages import all_pages
from web.links import opened
from web.people import ALICE, BOB, logged_in

WEB: Final = Path(__file__).parents[2] / "src" / "outgate" / "web"
PARTNER: Final = "alice@dominiopartner.example"
SERVER: Final = {"host": "localhost", "port": "1", "server_username": "u", "server_password": "p"}
# Forms that change credentials: what is sent, and the page that one comes back to.
ASKED_AGAIN: Final[dict[str, tuple[dict[str, str], str]]] = {
    "/settings/security/password": ({"password": PASSWORD, "again": PASSWORD}, "/settings/security/password"),
    "/settings/security/second-factor": ({}, "/settings/security/second-factor"),
    "/settings/security/second-factor/confirm": ({"code": "123456"}, "/settings/security/second-factor"),
    "/settings/security/second-factor/codes": ({}, "/settings/security/second-factor"),
    "/settings/security/second-factor/remove": ({}, "/settings/security/second-factor/remove"),
    "/settings/security/passkeys/1/remove": ({}, "/settings/security"),
    "/settings/security/app-passwords": ({"name": "Car"}, "/settings/security"),
    "/settings/security/app-passwords/revoke": ({"name": "Phone"}, "/settings/security"),
    "/settings/accounts/add/server": ({**SERVER, "address": "a@new.example"}, "/settings/accounts/add/server"),
    f"/settings/accounts/{PARTNER}/server": (SERVER, f"/settings/accounts/{PARTNER}/server"),
    f"/settings/accounts/{PARTNER}/server/remove": ({}, f"/settings/accounts/{PARTNER}/server"),
}


# Forms with several buttons, and what those are called.
DEEDS: Final = {
    "/": ("attach", "save", "later", "send", "detach-1", "discard"),
    queue_page.PATH: tuple(queue_page.ACTIONS),
    roles_page.PATH: ("create", "assign", "unassign", "remove"),
    routing_page.PATH: ("save", "remove"),
    units_page.PATH: ("create", "move", "remove"),
    webhooks_page.ONE: ("test", "rotate", "enable", "disable", "remove"),
    user_page.ONE: ("edit", "move", "password", "link", *user_page.ACTIONS),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """Alice, who may do everything, has an address with a server."""
    web = {"public_url": f"http://127.0.0.1:{port}", "port": port}
    site = install(tmp_path_factory.mktemp("proof") / "outgate", web=web)
    asyncio.run(site.switch(True))
    asyncio.run(site.add_external(ALICE, PARTNER, 1))
    return site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(site: Site, port: int) -> AsyncIterator[int]:
    """The port of a running server."""
    server = await running(site)
    yield port
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def left_open(site: Site, pages: int) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in which alice has logged in an hour ago."""
    async with logged_in(pages) as browser:
        await asyncio.to_thread(age, site)
        yield browser


def age(site: Site) -> None:
    """Let time pass since somebody was last asked."""
    with opened(site) as place, write(place.engine) as connection:
        connection.exec_driver_sql("UPDATE web_session SET proven_at = proven_at - 3600")


def posted(site: Site) -> list[str]:
    """The paths of all forms there are, for who is logged in."""
    return [route.path for route in all_pages(site) if route.methods == frozenset({"POST"})]


def done(site: Site) -> set[str]:
    """What the audit trail says was done."""
    with opened(site) as place, read(place.engine) as connection:
        entries = [one.entry for one in audit_trail.search(connection, AuditFilter(limit=1000))]
    return {entry.operation for entry in entries if entry.outcome == DONE}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ASKED_AGAIN)
async def test_it_asks_who_it_is_and_leads_back(left_open: httpx2.AsyncClient, path: str) -> None:
    form, back = ASKED_AGAIN[path]
    answer = await left_open.post(path, data=form)
    assert answer.status_code == 303
    assert httpx2.URL(answer.headers["location"]).params["to"] == back
    live = await left_open.post(path, data=form, headers={"HX-Request": "true"})
    assert live.headers["hx-redirect"].startswith("/prove?to=")


@pytest.mark.asyncio(loop_scope="module")
async def test_whoever_comes_back_from_a_provider_is_asked_before_its_code_is_used_up(
    left_open: httpx2.AsyncClient,
) -> None:
    back = "/settings/accounts/signed-in?code=good-once&state=some"
    answer = await left_open.get(back)
    assert answer.status_code == 303
    assert httpx2.URL(answer.headers["location"]).params["to"] == back
    proven = await left_open.post("/prove", data={"password": PASSWORD, "to": back})
    assert proven.headers["location"] == back
    assert (await left_open.get(back)).status_code == 400  # no sign-in has begun here


@pytest.mark.asyncio(loop_scope="module")
async def test_who_shows_who_they_are_goes_on_with_a_new_secret(site: Site, pages: int) -> None:
    async with logged_in(pages) as browser:
        await asyncio.to_thread(age, site)
        asked = await browser.get("/settings/security")
        assert asked.headers["location"] == "/prove?to=%2Fsettings%2Fsecurity"
        former = browser.cookies["session"]
        wrong = await browser.post("/prove", data={"password": "not it", "to": "/settings/security"})
        assert wrong.status_code == 403
        right = await browser.post("/prove", data={"password": PASSWORD, "to": "/settings/security"})
        assert right.headers["location"] == "/settings/security"
        assert browser.cookies["session"] != former
        assert (await browser.get("/settings/security")).status_code == 200
        elsewhere = await browser.post("/prove", data={"password": PASSWORD, "to": "//evil.example"})
        assert elsewhere.headers["location"] == "/"
        browser.cookies.clear()
        browser.cookies.set("session", former)
        assert (await browser.get("/settings/security")).headers["location"].startswith("/log-in")


@pytest.mark.asyncio(loop_scope="module")
async def test_no_form_of_any_page_does_it_in_a_browser_left_open(site: Site, left_open: httpx2.AsyncClient) -> None:
    """What a new page forgets, its operation doesn't: so all forms are sent, whatever they may be for."""
    form = {"unit": "/", "address": PARTNER, "role": "super-admin", "name": "x", "password": PASSWORD, "code": "1"}
    form |= {"user": BOB, "again": PASSWORD, MEANT: "on", "privileges": "send-as-manage", "purpose": "bounces"}
    form |= {"url": "https://hooks.example/", "message.bounced": "on"}
    asked = set[str]()
    skipped = {"/log-out", "/log-in/code", "/log-in/passkey", "/csp-reports", "/prove", "/prove/passkey"}
    forms = await asyncio.to_thread(posted, site)
    for path in sorted(set(forms) - skipped, key=lambda path: path.endswith("/delete")):
        where = re.sub(r"\{address\b.*?\}", BOB if path == user_page.ONE else PARTNER, path)
        where = re.sub(r"\{.*?\}", "1", where)
        for do in DEEDS.get(path, [""]):
            answer = await left_open.post(where, data=form | {"do": do})
            if answer.headers.get("location", "").startswith("/prove"):
                asked.add(path)
    assert asked >= {path for path in forms if path.startswith("/settings/security/app-passwords")}
    sensitive = {name for name, operation in OPERATIONS.items() if operation.proof}
    assert not sensitive & await asyncio.to_thread(done, site)


def test_pages_act_as_the_holder_of_a_session_and_as_nobody_else() -> None:
    """Only the session knows when its user was asked; an actor that a page made itself would not."""
    made = [path.name for path in WEB.glob("*.py") for name in _names(path) if name in {"Actor", "writing"}]
    assert set(made) <= {"visit.py", "confirmation_page.py"}


def _names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (name.name for name in node.names)
