"""Second factor and passkeys in a browser: set up, then used to log in, with an authenticator of Chromium's own."""

import time
from collections.abc import AsyncIterator

import pyotp
import pytest
import pytest_asyncio
from bench.scratch import free_port
from playwright.async_api import Browser, Page, expect

from outgate.web.words import words
from pages.browser import csp_reports, person
from pages.conftest import ALICE
from way.place import Site, install, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def base(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server with a name: passkeys are of names, not of addresses."""
    port = free_port()
    address = f"http://localhost:{port}"
    site: Site = install(tmp_path_factory.mktemp("keys") / "outgate", web={"public_url": address, "port": port})
    server = await running(site)
    yield address
    await server.stop()


async def with_authenticator(page: Page) -> None:
    """As if the computer had a fingerprint reader, and a finger on it."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": _AUTHENTICATOR})


@pytest.mark.parametrize("language", ["en", "it"])
async def test_a_passkey_is_made_and_logs_in_and_shows_again_who_one_is(
    base: str, browser: Browser, language: str
) -> None:
    before, said = csp_reports(), words("en")  # what alice sees is in her language
    async with person(browser, base, language) as alice:
        page = alice.page
        await with_authenticator(page)
        await alice.at("/settings/security")
        await alice.log_in(ALICE)
        await page.get_by_role("link", name=said("Add a passkey")).click()
        await page.get_by_label(said("Name"), exact=True).fill(f"Laptop {language}")
        await page.get_by_role("button", name=said("Make a passkey")).click()
        await expect(page.get_by_role("status")).to_have_text(said("You can log in with the passkey from now on."))
        await page.get_by_role("button", name=said("Log out"), exact=True).first.click()
        await page.get_by_role("button", name=words(language)("Log in with a passkey")).click()
        await page.wait_for_url("**/")
        await alice.at("/prove?to=/settings/security")
        await page.get_by_role("button", name=said("Use a passkey")).click()
        await expect(page.get_by_role("row").filter(has_text=f"Laptop {language}")).to_contain_text(said("Last used"))
        await page.get_by_role("button", name=said("Remove the passkey %(name)s", name=f"Laptop {language}")).click()
        await page.get_by_role("button", name=said("Log out"), exact=True).first.click()
        await page.get_by_role("button", name=words(language)("Log in with a passkey")).click()
        refused = words(language)("This passkey opens nothing here. Log in with your password.")
        await expect(page.get_by_role("alert")).to_contain_text(refused)
    assert csp_reports() == before


async def test_a_second_factor_is_set_up_and_asked_for(base: str, browser: Browser) -> None:
    before = csp_reports()
    async with person(browser, base, java_script_enabled=False) as alice:
        page = alice.page
        await alice.at("/settings/security")
        await alice.log_in(ALICE)
        await page.get_by_role("button", name="Set it up").click()
        await expect(page.get_by_role("img", name="QR code for your app")).to_be_visible()
        secret = (await page.locator("code").inner_text()).replace(" ", "")
        app = pyotp.TOTP(secret)
        await page.get_by_label("Code", exact=True).fill(app.now())
        await page.get_by_role("button", name="Turn it on").click()
        codes = await page.locator(".codes code").all_inner_texts()
        assert len(codes) == 10
        await page.get_by_role("button", name="Log out").click()
        await alice.log_in(ALICE)
        await page.get_by_label("Code", exact=True).fill(app.at(int(time.time()) + 30))
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url("**/")
        await alice.at("/settings/security")
        await page.get_by_role("link", name="Turn it off").click()
        await page.get_by_role("button", name="Turn it off").click()
        await expect(page.get_by_role("status")).to_have_text("The second factor is off.")
    assert csp_reports() == before
