"""Writing in a browser by mouse, with all that the writer does by itself (by keyboard: test_user_story)."""

import re

import pytest
from playwright.async_api import Browser, expect

from outgate.operations.sent_operations import Dispatch
from outgate.web.services import PageServices
from pages.browser import person
from pages.conftest import ALICE, PARTNER, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def undo(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """For how long what is sent next can be taken back, in `seconds`: an hour, until the test says otherwise."""
    chosen = {"seconds": 3600.0}

    def dispatch(services: PageServices) -> Dispatch:
        return Dispatch(services.send_limits, services.config.hostname, chosen["seconds"])

    monkeypatch.setattr(PageServices, "dispatch", property(dispatch))
    return chosen


async def test_by_mouse_with_a_file_and_formatting_and_taken_back(
    town: Town, browser: Browser, undo: dict[str, float]
) -> None:
    await town.site.switch(True)
    await town.site.add_external(ALICE, PARTNER, town.gateway.port)
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
        await page.wait_for_load_state()  # the writer's script is there
        undo["seconds"] = 0.0
        await page.get_by_role("button", name="Send", exact=True).click()
        await page.wait_for_url("**/sent/**")
    received = (await town.gateway.wait_for(sent + 1))[-1]
    assert re.search(rb"<b>you</b>", received.content)
    assert b'filename="a.txt"' in received.content
