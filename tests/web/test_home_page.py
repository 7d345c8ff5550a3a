"""The console's home and its search at a running server: what is still to be done, and every place by its names."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from bench.scratch import free_port

from outgate import clock
from outgate.directory import roles, units, users
from outgate.operations.setup_operations import Setup
from outgate.store.engine import write
from outgate.web import setup_check
from outgate.web.setup_check import Checked
from outgate.web.visit import Visit
from way.place import Site, install, running
from web.links import opened
from web.people import ALICE, BOB, logged_in

PATH, CHECK, SEARCH = "/admin", "/admin/check", "/admin/search"
HOSTILE = """"><script>alert(1)</script>{{7*7}}"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """No nameserver answers, and nothing listens where mailboxes are. Bob has a role for a unit alone."""
    path: Path = tmp_path_factory.mktemp("home") / "outgate"
    site = install(
        path,
        web={"public_url": f"http://127.0.0.1:{port}", "port": port},
        delivery={"nameservers": [f"127.0.0.1:{free_port()}"]},
        local={"mailbox": f"smtp://127.0.0.1:{free_port()}"},
    )
    with opened(site) as place, write(place.engine) as connection:
        units.create(connection, "/Sales")
        roles.assign(connection, ALICE, "super-admin", "/", clock.now())
        roles.assign(connection, BOB, "help-desk", "/Sales", clock.now())
    return site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(site: Site, port: int) -> AsyncIterator[int]:
    """The port of a running server."""
    process = await running(site)
    yield port
    await process.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def admin(server: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Alice's browser."""
    async with logged_in(server) as browser:
        yield browser


def read(page: str) -> str:
    """Its words."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2] or page))).strip()


async def speak(site: Site, language: str) -> None:
    """What alice sees is in this language from now on."""

    def change() -> None:
        with opened(site) as place, write(place.engine) as connection:
            users.edit(connection, ALICE, language=language)

    await asyncio.to_thread(change)


async def test_the_home_is_there_at_once_and_each_check_comes_later(
    admin: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    look = setup_check.checked

    async def noted(visit: Visit, setup: Setup, name: str) -> Checked:
        looked_at.append(name)
        return await look(visit, setup, name)

    monkeypatch.setattr(setup_check, "checked", noted)
    page = (await admin.get(PATH)).text
    assert looked_at == [], "it waited for the DNS"
    assert page.count("hx-get=") == 8
    assert "looking …" in page
    assert "1 node delivers." in read(page)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pages", "to do Without TLS, passwords are read on the way."),
        ("certificate", "to do The certificate is not for mail.example.com, so mail programs refuse it."),
        ("users", "done There are 2 users."),
        ("mailbox", "to do The mailbox server (local.mailbox) does not answer:"),
        ("notices", "to do Nobody is told of failing gateways"),
        ("switch", "done Off for everybody"),
        ("host", "not known The DNS gives no answer now."),
        ("dns:example.com", "not known The DNS gives no answer now."),
    ],
)
async def test_a_check_says_what_it_found(admin: httpx2.AsyncClient, name: str, said: str) -> None:
    answer = await admin.get(CHECK, params={"name": name})
    assert answer.status_code == 200
    assert read(answer.text).startswith(said)


async def test_without_scripts_all_checks_are_waited_for(admin: httpx2.AsyncClient) -> None:
    page = (await admin.get(PATH, params={"look": "1"})).text
    assert "hx-get=" not in page
    assert read(page).count("to do ") == 4


async def test_a_check_that_nobody_knows_is_not_found(admin: httpx2.AsyncClient) -> None:
    answer = await admin.get(CHECK, params={"name": HOSTILE})
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


async def test_who_has_a_role_for_a_unit_alone_sees_no_checks_of_the_whole(server: int) -> None:
    async with logged_in(server, BOB) as bob:
        page = await bob.get(PATH)
        assert page.status_code == 200
        assert "hx-get=" not in page.text
        assert (await bob.get(CHECK, params={"name": "pages"})).status_code == 403


def found(page: str) -> list[str]:
    """The places, in their order."""
    listed = page.partition('id="places"')[2].partition("</section>")[0]
    return re.findall(r'<li><a href="([^"]+)"', html.unescape(listed))


@pytest.mark.parametrize(
    ("language", "text", "first"),
    [
        (
            "en",
            "per-user outbound gateways",
            "/admin/apps/mail/end-user-access?setting=allowUsersToUseExternalSmtpServers",
        ),
        ("it", "gateway in uscita", "/admin/apps/mail/end-user-access?setting=allowUsersToUseExternalSmtpServers"),
        ("it", "outbound GATEWAYS", "/admin/apps/mail/end-user-access?setting=allowUsersToUseExternalSmtpServers"),
        ("en", "gmail", "/admin/apps/mail/end-user-access"),
        ("it", "Gmail accesso", "/admin/apps/mail/end-user-access"),
        ("it", "unita", "/admin/directory/units"),
        ("en", "append footer", "/admin/apps/mail/compliance?setting=gatewayFooter"),
        ("it", "piè di pagina", "/admin/apps/mail/compliance?setting=gatewayFooter"),
        ("en", "mail log", "/admin/reporting/email-log-search"),
    ],
)
async def test_a_place_is_found_by_any_of_its_names(
    site: Site, admin: httpx2.AsyncClient, language: str, text: str, first: str
) -> None:
    await speak(site, language)
    page = (await admin.get(SEARCH, params={"find": text})).text
    assert f'<html lang="{language}"' in page
    assert first in found(page)
    assert 'href="/admin/reporting/email-log-search?sender=' in page


async def test_what_nothing_is_called_is_said_and_shown_as_text(site: Site, admin: httpx2.AsyncClient) -> None:
    await speak(site, "en")
    page = (await admin.get(SEARCH, params={"find": HOSTILE})).text
    assert "No page and no setting has such a name." in page
    assert "<script>alert" not in page
    assert HOSTILE in html.unescape(page)
    assert found((await admin.get(SEARCH)).text) == []


async def test_only_what_somebody_may_see_is_found(server: int) -> None:
    async with logged_in(server, BOB) as bob:
        page = (await bob.get(SEARCH, params={"find": "queue"})).text
        assert found(page) == []
