"""Writing in a browser, by keyboard alone and by mouse, in both languages: from log-in to a message at the partner's
recipient; what the writer does by itself; how it is named to a screen reader."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from outgate.web.words import words
from pages.browser import csp_reports, person
from pages.conftest import ALICE, PARTNER, Town
from way.place import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCRIPTS_AT_MOST = 80_000  # bytes of one page


async def _prepare(town: Town, language: str) -> None:
    await town.site.switch(True)
    await town.speak(language)
    if not town.has_partner:
        await town.site.add_external(ALICE, PARTNER, town.gateway.port)
        town.has_partner = True


async def _tab_to(page: Page, selector: str) -> None:
    """As somebody without a mouse comes there."""
    for _ in range(40):
        if await page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


@pytest.mark.parametrize("language", ["en", "it"])
async def test_by_keyboard_alone_a_message_leaves_by_its_own_server(
    town: Town, browser: Browser, language: str
) -> None:
    await _prepare(town, language)
    sent, before = len(town.gateway.messages), csp_reports()
    said = words(language)
    async with person(browser, town.base, language) as alice:
        page, keys = alice.page, alice.page.keyboard
        await alice.at("/")
        await _tab_to(page, "#username")
        await keys.type(ALICE)
        await keys.press("Tab")
        await keys.type(PASSWORD)
        await keys.press("Enter")
        await page.wait_for_selector("#writer")
        await page.evaluate("document.activeElement.blur()")
        await _tab_to(page, "#from")
        await keys.type("Alice <alice@dom")
        shown = page.locator("[data-way]:not([hidden])")
        await expect(shown).to_contain_text("localhost")
        for field, text in (("#to", "carol@recipient.example"), ("#subject", "By keys"), ("#text", "Hello")):
            await _tab_to(page, field)
            await keys.type(text)
        await _tab_to(page, "button.primary")
        await keys.press("Enter")
        await page.wait_for_url("**/sent/**")
        await expect(page.locator(".tag.good")).to_have_text(said("delivered"))
        assert alice.said == []
    received = (await town.gateway.wait_for(sent + 1))[-1]
    assert (received.reverse_path, received.recipients) == (PARTNER, ["carol@recipient.example"])
    assert b"By keys" in received.content
    assert csp_reports() == before


async def test_by_mouse_with_a_file_and_formatting_and_taken_back(town: Town, browser: Browser) -> None:
    await _prepare(town, "en")
    sent = len(town.gateway.messages)
    async with person(browser, town.base) as alice:
        page = alice.page
        await alice.at("/")
        await alice.log_in(ALICE)
        await page.get_by_label("From").select_option(PARTNER)
        await page.get_by_label("To", exact=True).fill("nobody")
        await page.get_by_label("Subject").click()
        await expect(page.locator("#to-said")).not_to_be_empty()
        await page.get_by_label("To", exact=True).fill("carol@recipient.example")
        await page.get_by_label("Subject").fill("By mouse")
        await expect(page.locator("#to-said")).to_be_empty()
        await page.get_by_role("button", name="Formatting").click()
        await page.get_by_role("textbox", name="Message").press_sequentially("Hello ")
        await page.get_by_role("button", name="Bold").click()
        await page.get_by_role("textbox", name="Message").press_sequentially("you")
        await page.get_by_label("Attach files").first.set_input_files(
            {"name": "a.txt", "mimeType": "text/plain", "buffer": b"figures"}
        )
        await expect(page.get_by_role("list", name="Files")).to_contain_text("a.txt")
        await expect(page.locator("#draft-state")).to_contain_text("Draft saved")
        await page.get_by_role("button", name="Send", exact=True).click()
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_role("status").first).to_contain_text("taken back")
        await expect(page.get_by_role("textbox", name="Message")).to_contain_text("Hello you")
        await page.get_by_role("button", name="Send", exact=True).click()
        await page.wait_for_url("**/sent/**")
        assert alice.said == []
    received = (await town.gateway.wait_for(sent + 1))[-1]
    assert re.search(rb"<b>you</b>", received.content)
    assert b'filename="a.txt"' in received.content


async def test_the_writer_is_named_to_a_screen_reader_and_its_scripts_are_few(town: Town, browser: Browser) -> None:
    await _prepare(town, "en")
    weights: dict[str, int] = {}
    async with person(browser, town.base) as alice:
        await alice.at("/")
        await alice.log_in(ALICE)
        await alice.page.wait_for_selector("#writer")
        tree = await alice.page.locator("#writer").aria_snapshot()
        for named in (
            'combobox "From"',
            'textbox "To"',
            'textbox "Cc"',
            'textbox "Bcc"',
            'textbox "Subject"',
            'textbox "Message"',
            'button "Send"',
            'button "Formatting"',
        ):
            assert named in tree, named
        for path in ("/", "/inbox", "/sent"):
            scripts: list[int] = []
            await alice.at(path)
            for script in await alice.page.locator("script[src]").all():
                answer = await alice.page.request.get(town.base + (await script.get_attribute("src") or ""))
                scripts.append(len(await answer.body()))
            weights[path] = sum(scripts)
    assert all(0 < weight < SCRIPTS_AT_MOST for weight in weights.values()), weights
