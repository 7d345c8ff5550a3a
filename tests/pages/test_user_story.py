"""The user's story in a browser: from log-in to an address that works, counted; all of it by keyboard alone, to a
message at the partner's recipient; without scripts; and what is left when the switch is turned off."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from outgate.directory import users
from outgate.operations import propagation
from outgate.sendas import send_as_addresses
from outgate.store.engine import write
from outgate.web.words import Words, words
from pages.browser import Person, csp_reports, person
from pages.conftest import ALICE, PARTNER, Town
from way.place import GATEWAY_PASSWORD, PASSWORD
from way.submit import submit
from web.links import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")
AT_MOST = 12  # interactions beside typing, from log-in to an address that works


class Reader:
    """Somebody who finds what they press, and what they write into, by its words."""

    def __init__(self, somebody: Person, said: Words) -> None:
        self.somebody, self.page, self.said = somebody, somebody.page, said

    def field(self, text: str) -> Locator:
        """The field with this label."""
        return self.page.get_by_label(self.said(text), exact=True)

    async def press(self, text: str, role: str = "button") -> None:
        """With the mouse."""
        await self.page.get_by_role(role, name=self.said(text), exact=True).click()  # type: ignore[arg-type]  # a literal of Playwright's

    async def write(self, text: str, value: str) -> None:
        """Click into the field if the cursor is elsewhere, and type."""
        await self.somebody.write(self.field(text), value)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def without_partner(town: Town) -> AsyncIterator[None]:
    """Alice has no address at the partner's before any of these, however the one before it ended."""
    yield
    await asyncio.to_thread(_take_partner, town)


def _take_partner(town: Town) -> None:
    with opened(town.site) as place:
        with write(place.engine) as connection:
            alice = users.find(connection, ALICE).id
            if PARTNER in {one.address for one in send_as_addresses.addresses(connection, alice)}:
                send_as_addresses.remove(connection, alice, PARTNER)
        propagation.wait(place.engine)


@pytest.mark.parametrize("language", ["en", "it"])
async def test_from_log_in_to_an_address_that_works_is_a_dozen_clicks(
    town: Town, browser: Browser, language: str
) -> None:
    await town.site.switch(True)
    await town.speak(language)
    before, came = csp_reports(), len(town.exchanger.messages)
    async with person(browser, town.base, language) as alice:
        does = Reader(alice, words(language))
        await alice.at("/")
        await does.write("Email address", ALICE)
        await does.write("Password", PASSWORD)
        await does.press("Log in")
        await does.press("Accounts", "link")
        await does.press("Add another email address", "link")
        await does.write("Email address", PARTNER)
        await does.press("Next")
        await does.write("SMTP Server", "localhost")
        await does.write("Port", str(town.gateway.port))
        await does.write("Password", GATEWAY_PASSWORD)
        await does.press("Add Account")
        alice.did.update(turn=3)  # to the partner's mailbox, to the letter, and back
        code = await town.code(came + 1)
        await does.write("Code", code)
        await does.press("Confirm")
        said = does.said
        await expect(does.page.get_by_role("status")).to_contain_text(
            said("The address is confirmed. You can send as it now.")
        )
        row = does.page.get_by_role("row").filter(has_text=PARTNER)
        await expect(row).to_contain_text("localhost")
        await expect(row).to_contain_text(said("Secured connection on port %(port)s using TLS", port=town.gateway.port))
        assert alice.interactions <= AT_MOST, alice.did
        typed = ALICE + PASSWORD + PARTNER + "localhost" + str(town.gateway.port) + GATEWAY_PASSWORD + code
        assert alice.did["key"] >= len(typed), alice.did  # it was counted
        sent = len(town.gateway.messages)
        await submit(town.site, PARTNER)
        received = (await town.gateway.wait_for(sent + 1))[-1]
        assert (received.reverse_path, received.username) == (PARTNER, PARTNER)
        assert b"Sender:" not in received.content
        await row.get_by_role("link", name=said("delete")).click()
        await does.press("Delete the address")
        await expect(does.page.get_by_role("row").filter(has_text=PARTNER)).to_have_count(0)
    assert csp_reports() == before


@pytest.mark.parametrize("language", ["en", "it"])
async def test_by_keyboard_alone_from_log_in_to_the_partners_recipient(
    town: Town, browser: Browser, language: str
) -> None:
    """With a password that is refused first."""
    await town.site.switch(True)
    await town.speak(language)
    before, said = csp_reports(), words(language)
    came, sent = len(town.exchanger.messages), len(town.gateway.messages)
    async with person(browser, town.base, language) as alice:
        page, keys = alice.page, alice.page.keyboard
        await alice.at("/")
        await alice.tab_to("#username")
        await keys.type(ALICE)
        await alice.tab_to("#password")
        await keys.type(PASSWORD)
        await keys.press("Enter")
        await page.wait_for_selector("#writer")
        await alice.tab_to("[href='/settings/accounts']")
        await keys.press("Enter")
        await page.wait_for_url("**/settings/accounts")
        await alice.tab_to("[href$='/add']")
        await keys.press("Enter")
        await page.wait_for_url("**/add")
        await alice.tab_to("#address")
        await keys.type(PARTNER)
        await keys.press("Enter")
        await page.wait_for_url("**/add/server?*")
        for field, text in (("#host", "localhost"), ("#port", str(town.gateway.port)), ("#server_password", "wrong")):
            await alice.tab_to(field)
            await keys.type(text)
        await keys.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text(said("Log-in refused"))
        assert not await page.locator(".journey li.done").filter(has_text="535").count()
        await alice.tab_to("#server_password")
        await keys.press("Control+A")
        await keys.type(GATEWAY_PASSWORD)
        await keys.press("Enter")
        await page.wait_for_url("**/confirm?*")
        await alice.tab_to("#code")
        await keys.type(await town.code(came + 1))
        await keys.press("Enter")
        await page.wait_for_url("**/settings/accounts?done=*")
        await alice.tab_to("nav [href='/']")
        await keys.press("Enter")
        await page.wait_for_selector("#writer")
        await alice.tab_to("#from")
        await keys.press("ArrowDown")  # the one address besides her own
        await expect(page.locator("[data-way]:not([hidden])")).to_contain_text("localhost")
        for field, text in (("#to", "carol@recipient.example"), ("#subject", "By keys"), ("#text", "Hello")):
            await alice.tab_to(field)
            await keys.type(text)
        await alice.tab_to("button.primary")
        await keys.press(" ")
        await page.wait_for_url("**/sent/**")
        await expect(page.locator(".tag.good")).to_have_text(said("delivered"))
        await alice.at(f"/settings/accounts/{PARTNER}/delete")
        await alice.tab_to("button.danger")
        await keys.press("Enter")
        await page.wait_for_url("**/settings/accounts?done=*")
        assert alice.did["click"] == 0
    received = (await town.gateway.wait_for(sent + 1))[-1]
    assert (received.reverse_path, received.recipients) == (PARTNER, ["carol@recipient.example"])
    assert b"By keys" in received.content
    assert csp_reports() == before


async def test_with_the_switch_off_a_server_is_not_used_and_none_can_be_added(town: Town, browser: Browser) -> None:
    """What there is stays, and says so; what is new is refused as the reference refuses it."""
    await town.site.add_external(ALICE, PARTNER, town.gateway.port)
    await town.site.switch(False)
    await town.speak("en")
    async with person(browser, town.base) as alice:
        page = alice.page
        await alice.at("/settings/accounts")
        await alice.log_in(ALICE)
        row = page.get_by_role("row").filter(has_text=PARTNER)
        await expect(row).to_contain_text("on behalf of alice@example.com")
        await expect(row).to_contain_text("Its server localhost is not used: your administrator does not allow it now.")
        await page.get_by_role("link", name="Write").click()
        await page.get_by_label("From").select_option(PARTNER)
        await expect(page.locator("[data-way]:not([hidden]) .way")).to_have_class("way behalf")
        await alice.at("/settings/accounts/add?address=alice@another.example")
        await page.get_by_role("button", name="Next").click()
        await expect(page.get_by_role("alert")).to_have_text(
            "Functionality not enabled. You must send through another.example SMTP servers when you send as"
            " alice@another.example. However, this functionality is not available for your account. Please"
            " contact your domain administrator for more information."
        )
        await expect(page.get_by_label("SMTP Server")).to_have_count(0)


async def test_without_scripts_the_trial_is_shown_at_its_end(town: Town, browser: Browser) -> None:
    await town.site.switch(True)
    await town.speak("en")
    async with person(browser, town.base, java_script_enabled=False) as alice:
        await alice.at("/settings/accounts/add/server?address=alice@another.example")
        await alice.log_in(ALICE)
        does = Reader(alice, words("en"))
        await does.field("SMTP Server").fill("localhost")
        await does.field("Port").fill(str(town.gateway.port))
        await does.field("Password").fill("not the password")
        await does.press("Add Account")
        await expect(alice.page.get_by_role("alert")).to_contain_text("Log-in refused")
        await expect(does.field("SMTP Server")).to_have_value("localhost")
