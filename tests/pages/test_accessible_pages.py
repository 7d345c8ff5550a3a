"""axe-core finds nothing on any page, in both themes, languages and sizes; nothing scrolls sideways."""

import asyncio
import re
from collections.abc import AsyncIterator
from itertools import product
from typing import Final, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from sqlalchemy import insert

from inbox import letters
from outgate import clock
from outgate.queue.queue_id import to_text
from outgate.record import message_log, tallies
from outgate.store import tables
from outgate.store.engine import write
from pages.browser import DESKTOP, PHONE, person, violations
from pages.conftest import ALICE, ANNA, PARTNER, Town
from record.recorded import partly_delivered
from web.links import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITING = 1  # a message
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
USER_PAGES = (
    "/",
    "/inbox",
    "/inbox?q=nothing",
    "/inbox/1.html",
    "/?letter=1.html&as=all",
    "/sent",
    "/drafts",
    "/prove",
    "/settings/security",
    "/settings/security/password",
    "/settings/security/second-factor",
    "/settings/security/second-factor/remove",
    "/settings/security/passkeys/add",
    "/settings/mail-program",
    "/settings/accounts",
    "/settings/accounts/add",
    "/settings/accounts/add/server?address=me@studio.example&name=Me",
    "/settings/accounts/add/server?address=sales@example.com",
    f"/settings/accounts/{PARTNER}/edit",
    f"/settings/accounts/{PARTNER}/server",
    f"/settings/accounts/{PARTNER}/delete",
    "/settings/accounts/alice@pending.example/confirm",
)
CONSOLE_PAGES = (
    "/admin?look=1",
    "/admin/search?find=gmail",
    "/admin/directory/users",
    "/admin/directory/users/add",
    f"/admin/directory/users/{ALICE}",
    "/admin/directory/units?unit=/Sales",
    "/admin/directory/roles",
    "/admin/apps/mail/routing",
    "/admin/apps/mail/authenticate-email?look=1",
    "/admin/reporting/gateways?kind=all",
    "/admin/reporting/admin-log-events",
    "/admin/reporting/dashboard",
    "/admin/reporting/dashboard?span=week",
    "/admin/apps/mail/compliance",
    "/admin/apps/mail/compliance?unit=/Sales&setting=gatewayFooter",
    "/admin/apps/mail/compliance?setting=unknownFrom",
    "/admin/apps/mail/end-user-access",
    "/admin/apps/mail/end-user-access?unit=/Sales",
    "/admin/apps/mail/end-user-access?unit=/nowhere",
    "/admin/reporting/email-log-search",
    "/admin/reporting/email-log-search?recipient=nobody.example&since=2026-01-31T12:00",
    "/admin/reporting/email-log-search?since=never",
    f"/admin/reporting/email-log-search/{to_text(WAITING)}",
    "/admin/reporting/queue",
    "/admin/reporting/queue?queue=mx:recipient.example&done=hold",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def furnished(town: Town) -> AsyncIterator[Town]:
    """Alice has an address with a server, and one that waits for its code. A message of hers is on record."""
    await town.site.switch(True)
    await town.site.add_external(ALICE, PARTNER, town.gateway.port)
    await town.site.add_external(ALICE, "alice@pending.example", verified=False)
    await asyncio.to_thread(_record, town)
    await asyncio.to_thread(_fill_inbox, town)
    yield town


def _record(town: Town) -> None:
    with opened(town.site) as place, write(place.engine) as connection:
        message_log.add(connection, list(partly_delivered(WAITING, PARTNER, clock.now(), "450 4.2.2 mailbox is full")))
        hour = int(clock.now() // tallies.HOUR)
        counted = {"routed": "direct", "deferred": "direct", "took": "1.0"}
        rows = [{"hour": hour, "measure": one, "label": label, "count": 1234} for one, label in counted.items()]
        connection.execute(insert(tables.tally), rows)


def _fill_inbox(town: Town) -> None:
    letters.put(
        town.site, ALICE, "1.html", letters.html("<p>Prices <b>below</b></p><img src='https://x.example/a.png'>")
    )
    letters.put(town.site, ALICE, "2.text", letters.text("Only text", subject="Re: Prices"))


@pytest.mark.parametrize("language", ["en", "it"])
@pytest.mark.parametrize(("who", "paths"), [(ALICE, USER_PAGES), (ANNA, CONSOLE_PAGES)], ids=["user", "console"])
async def test_nobody_is_kept_out_of_a_page(
    furnished: Town, browser: Browser, language: str, who: str, paths: tuple[str, ...]
) -> None:
    await furnished.speak(language, ALICE, ANNA)
    async with person(browser, furnished.base, language) as somebody:
        await somebody.at("/")
        await _is_open_to_all(somebody.page)
        await somebody.log_in(who)
        await somebody.page.wait_for_url(re.compile("/$"))
        for path in paths:
            await somebody.at(path)
            await _is_open_to_all(somebody.page)


async def _is_open_to_all(page: Page) -> None:
    """In both themes and sizes: a page is opened once, since its styles alone make the difference."""
    for theme, size in product(THEMES, (DESKTOP, PHONE)):
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # no colour is looked at half-way
        await page.set_viewport_size(size)
        where = f"{page.url}, {theme}, {size['width']} wide"
        assert await violations(page) == [], where
        assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), (
            f"{where}: scrolls sideways"
        )
