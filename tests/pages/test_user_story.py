"""The user's story in a browser: from log-in to an address that leaves by its own server, in both languages."""

import pytest
from playwright.async_api import Browser, Page, expect

from outgate.web.words import words
from pages.browser import csp_reports, person
from pages.conftest import ALICE, PARTNER, Town
from way.place import GATEWAY_PASSWORD
from way.submit import submit

pytestmark = pytest.mark.asyncio(loop_scope="module")
AT_MOST = 12  # clicks beside typing, from log-in to an address that works


class Counted:
    """A page whose clicks are counted; texts are looked for in its language."""

    def __init__(self, page: Page, language: str) -> None:
        self.page, self.said, self.clicks = page, words(language), 0

    async def press(self, text: str, role: str = "button") -> None:
        """Press what bears a text of the catalogue."""
        self.clicks += 1
        await self.page.get_by_role(role, name=self.said(text), exact=True).click()  # type: ignore[arg-type]  # a literal of Playwright's

    async def fill(self, text: str, value: str) -> None:
        """Type into the field with this label."""
        await self.page.get_by_label(self.said(text), exact=True).fill(value)


@pytest.mark.parametrize("language", ["en", "it"])
async def test_an_address_of_a_partner_leaves_by_its_own_server(town: Town, browser: Browser, language: str) -> None:
    await town.site.switch(True)
    await town.speak(language)
    before, came = csp_reports(), len(town.exchanger.messages)
    async with person(browser, town.base, language) as alice:
        page = Counted(alice.page, language)
        await alice.at("/")
        await alice.log_in(ALICE)
        page.clicks += 1
        await page.press("Accounts", "link")
        await page.press("Add another email address", "link")
        await page.fill("Email address", PARTNER)
        await page.press("Next")
        await page.fill("SMTP Server", "localhost")
        await page.fill("Port", str(town.gateway.port))
        await page.fill("Password", "not the password")
        await page.press("Add Account")
        await expect(page.page.get_by_role("alert")).to_contain_text(page.said("Log-in refused"))
        assert not await page.page.locator(".journey li.done").filter(has_text="535").count()
        await page.fill("Password", GATEWAY_PASSWORD)
        await page.press("Add Account")
        await page.fill("Code", await town.code(came + 1))
        await page.press("Confirm")
        await expect(page.page.get_by_role("status")).to_contain_text(
            page.said("The address is confirmed. You can send as it now.")
        )
        row = page.page.get_by_role("row").filter(has_text=PARTNER)
        await expect(row).to_contain_text("localhost")
        await expect(row).to_contain_text(
            page.said("Secured connection on port %(port)s using TLS", port=town.gateway.port)
        )
        assert page.clicks <= AT_MOST, f"{page.clicks} clicks"
        assert alice.said == []
        sent = len(town.gateway.messages)
        await submit(town.site, PARTNER)
        received = (await town.gateway.wait_for(sent + 1))[-1]
        assert (received.reverse_path, received.username) == (PARTNER, PARTNER)
        assert b"Sender:" not in received.content
        await row.get_by_role("link", name=page.said("delete")).click()
        await page.press("Delete the address")
        await expect(page.page.get_by_role("row").filter(has_text=PARTNER)).to_have_count(0)
    assert csp_reports() == before


async def test_with_the_switch_off_next_says_what_the_reference_says(town: Town, browser: Browser) -> None:
    await town.site.switch(False)
    await town.speak("en")
    async with person(browser, town.base) as alice:
        await alice.at(f"/settings/accounts/add?address={PARTNER}")
        await alice.log_in(ALICE)
        await alice.page.get_by_role("button", name="Next").click()
        await expect(alice.page.get_by_role("alert")).to_have_text(
            "Functionality not enabled. You must send through dominiopartner.example SMTP servers when you send as"
            " alice@dominiopartner.example. However, this functionality is not available for your account. Please"
            " contact your domain administrator for more information."
        )
        await expect(alice.page.get_by_label("SMTP Server")).to_have_count(0)


async def test_without_scripts_the_trial_is_shown_at_its_end(town: Town, browser: Browser) -> None:
    await town.site.switch(True)
    await town.speak("en")
    async with person(browser, town.base, java_script_enabled=False) as alice:
        await alice.at(f"/settings/accounts/add/server?address={PARTNER}")
        await alice.log_in(ALICE)
        page = Counted(alice.page, "en")
        await page.fill("SMTP Server", "localhost")
        await page.fill("Port", str(town.gateway.port))
        await page.fill("Password", "not the password")
        await page.press("Add Account")
        await expect(alice.page.get_by_role("alert")).to_contain_text("Log-in refused")
        await expect(alice.page.get_by_label("SMTP Server")).to_have_value("localhost")
