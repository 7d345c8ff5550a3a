"""Hostile input in every field that a page shows: nothing runs, nothing is asked of others, no browser reports any."""

import asyncio

import pytest
from playwright.async_api import Browser, Page

from inbox import letters
from outgate import clock
from outgate.directory import units, users
from outgate.queue.queue_id import to_text
from outgate.record import events, message_log
from outgate.record.events import MessageEvent
from outgate.sendas import send_as_addresses
from outgate.store.engine import write
from pages.browser import csp_reports, person
from pages.conftest import ALICE, ANNA, PARTNER, Town
from pages.every_page import AUTHORIZE, PAGES_OF, WAITING, furnish
from record.recorded import accepted, partly_delivered
from web.links import opened
from web.people import browser_at, log_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = """"><img src=x onerror=alert(1)>'{{7*7}}"""  # without a slash: it is a unit's name as well
# What the page itself says, also in its fields: not the rail, which has the user's name everywhere, nor the strip.
SAID = """() => [...document.querySelectorAll("#room > :not([aria-label='Not delivered'])")].flatMap((part) =>
  [part.innerText, ...[...part.querySelectorAll("input, textarea, select")].map((field) => field.value)]).join(" ")"""
PUT_OFF, REFUSED = 100, 101  # messages
MORE = {
    ALICE: ("/inbox/bad.1", "/?letter=bad.1&as=all", "/sent", "/drafts", f"/?draft=1&q={BAD}"),
    ANNA: (
        f"/admin/search?find={BAD}",
        f"/admin/directory/users?user={BAD}",
        f"/admin/directory/units?unit=/Sales/{BAD}",
        f"/admin/apps/mail/end-user-access?unit=/Sales/{BAD}",
        f"/admin/apps/mail/compliance?unit=/Sales/{BAD}",
        f"/admin/reporting/email-log-search?recipient={BAD}&message_id={BAD}",
        f"/admin/reporting/email-log-search/{to_text(PUT_OFF)}",
        f"/admin/reporting/email-log-search/{to_text(REFUSED)}",
        f"/admin/reporting/queue?queue={BAD}",
        f"/admin/reporting/retry-schedules?destination={BAD}",
        f"/admin/reporting/reply-rules?reply={BAD}&host={BAD}",
        f"/admin/reporting/admin-log-events?about={BAD}&operation={BAD}",
    ),
}

# Pages on which nothing stands that anybody wrote, or only what every_page wrote.
OF_NO_TEXT = {
    "/inbox?q=nothing",
    "/inbox/1.html",
    "/prove",
    "/settings/security/password",
    "/settings/security/second-factor/remove",
    "/settings/security/passkeys/add",
    "/settings/mail-program",
    AUTHORIZE,  # names of programs have letters and digits alone
    "/settings/accounts/add/server?address=me@studio.example&name=Me&provider=Fastmail",
    "/settings/accounts/add/server?address=sales@example.com",
    *(f"/settings/accounts/{PARTNER}/{one}" for one in ("server", "signature", "delete")),
    "/settings/accounts/alice@pending.example/confirm",
    "/admin?look=1",
    "/admin/search?find=gmail",
    "/admin/account/proven-domains?domain=studio.example",
    "/admin/apps/mail/granted-addresses/gateway?address=sales@studio.example&unit=/Sales",
    "/admin/apps/mail/routing",
    "/admin/apps/mail/authenticate-email?look=1",
    "/admin/apps/mail/end-user-access?unit=/nowhere",
    "/admin/reporting/dashboard",
    "/admin/reporting/dashboard?span=week",
    "/admin/reporting/email-log-search?recipient=nobody.example&since=2026-01-31T12:00",
    "/admin/reporting/email-log-search?since=never",
    "/admin/reporting/tls-reports",
    "/admin/reporting/tls-reports/recipient.example",
    "/admin/reporting/webhooks/tickets",
    f"/admin/reporting/email-log-search/{to_text(WAITING)}",
}


async def test_what_is_hostile_is_shown_and_nothing_runs(town: Town, browser: Browser) -> None:
    await furnish(town.site)
    await asyncio.to_thread(_record, town)
    await asyncio.to_thread(_put_letter, town)
    town.exchanger.answer = _refuse
    port = int(town.base.rpartition(":")[2])
    await _by_the_pages(port)
    before = csp_reports()
    for who, paths in PAGES_OF.items():
        async with person(browser, town.base, user_agent=f"Chrome/1 {BAD}") as somebody:
            page = somebody.page
            ran, asked = _watch(page)
            await somebody.at("/")
            await somebody.log_in(who)
            await page.wait_for_selector("#writer")
            shown = set[str]()
            for path in (*paths, *MORE[who]):
                await somebody.at(path)
                if await page.locator("[hx-trigger=load]").count():
                    await page.wait_for_load_state("networkidle")
                assert await page.locator("[onerror], img[src=x]").count() == 0, path
                text = await page.locator("body").inner_text()
                assert "'49" not in text, f"{path}: what users write is no template"
                if "onerror=alert" in await page.evaluate(SAID):
                    shown.add(path)
            assert ran == []
            assert {url for url in asked if not url.startswith(town.base)} <= {"data:,"}
            assert {*paths, *MORE[who]} - OF_NO_TEXT == shown, f"of {who}"
    assert csp_reports() == before


def _watch(page: Page) -> tuple[list[str], set[str]]:
    """The dialogs that come up, and the addresses that are asked for."""
    ran: list[str] = []
    asked: set[str] = set()
    page.on("dialog", lambda dialog: ran.append(dialog.message))
    page.on("request", lambda request: asked.add(request.url))
    return ran, asked


def _record(town: Town) -> None:
    """Names and events: what the operations of the pages and delivery write."""
    with opened(town.site) as place, write(place.engine) as connection:
        for who in (ALICE, ANNA):
            users.edit(connection, who, name=BAD)
        units.create(connection, f"/Sales/{BAD}")
        send_as_addresses.edit(connection, users.find(connection, ALICE).id, PARTNER, display_name=BAD)
        told = accepted(REFUSED, BAD, BAD, at=clock.now())
        detail = told.detail | {"message_id": BAD, "mail_from": BAD, "account": BAD, "peer": BAD, "protocol": BAD}
        refused = events.refused(MessageEvent(REFUSED, told.at, told.kind, detail), f"550 5.7.1 {BAD}")
        message_log.add(connection, [*partly_delivered(PUT_OFF, BAD, clock.now(), f"450 4.2.2 {BAD}"), refused])


def _put_letter(town: Town) -> None:
    quoted = BAD.replace('"', '\\"')
    fields = {"subject": BAD, "from": f'"{quoted}" <carol@recipient.example>'}
    letters.put(town.site, ALICE, "bad.1", letters.with_files(BAD, {BAD: b"x"}, **fields))


def _refuse(line: str) -> str | None:
    return f"550 5.7.1 {BAD}" if line.startswith("RCPT") else None


async def _by_the_pages(port: int) -> None:
    """A draft, a message that is refused, an application password, a policy; what steers a queue."""
    async with browser_at(port) as alice:
        alice.headers["User-Agent"] = BAD
        assert (await log_in(alice, ALICE)).status_code == 303
        written = {"from": ALICE, "to": "carol@recipient.example", "subject": BAD, "text": BAD, "html": BAD}
        assert (await alice.post("/", data={**written, "do": "save"})).status_code == 303
        assert (await alice.post("/", data={**written, "do": "send"})).status_code == 303
        made = await alice.post("/settings/security/app-passwords", data={"name": BAD, "scope": "mail"})
        assert "onerror" in made.text
    async with browser_at(port) as anna:
        assert (await log_in(anna, ANNA)).status_code == 303
        setting = {"unit": "/Sales", "setting": "gatewayFooter", "value": BAD}
        assert (await anna.post("/admin/apps/mail/compliance", data=setting)).status_code == 303
        suspended = {"do": "suspend", "queue": "mx:recipient.example", "reason": BAD, "meant": "on"}
        assert (await anna.post("/admin/reporting/queue", data=suspended)).status_code == 303
        ceiling = {"do": "limit", "queue": "mx:recipient.example", "most": "300", "reason": BAD}
        assert (await anna.post("/admin/reporting/queue", data=ceiling)).status_code == 303
        schedule = {"do": "set", "destination": "recipient.example", "factor": "2", "reason": BAD}
        assert (await anna.post("/admin/reporting/retry-schedules", data=schedule)).status_code == 303
        rule = {"do": "add", "name": "bad", "words": BAD, "action": "give-up", "reason": BAD}
        assert (await anna.post("/admin/reporting/reply-rules", data=rule)).status_code == 303
