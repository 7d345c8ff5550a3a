"""A mailbox of sixty hostile letters in a real browser: nothing runs, nothing is fetched, nothing leads away."""

import asyncio

import pytest
from playwright.async_api import Browser

from inbox import hostile, letters
from pages.browser import csp_reports, person
from pages.conftest import ALICE, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


SCRIPT = "Bare <p></p><script>document.querySelector(`p`).textContent = `It runs`</script>"


class Listener:
    """Counts whoever connects."""

    def __init__(self) -> None:
        self.connections = 0

    async def heard(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nobody should be here."""
        self.connections += 1
        writer.close()


async def test_nothing_in_a_letter_runs_or_is_fetched(town: Town, browser: Browser) -> None:
    assert hostile.COUNT == 60
    listener = Listener()
    server = await asyncio.start_server(listener.heard, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    attacks = list(hostile.letters_at(url))
    for number, html in enumerate(attacks):
        await asyncio.to_thread(letters.put, town.site, ALICE, f"{number}.h", letters.html(html))
    before = csp_reports()
    async with server, person(browser, town.base) as alice:
        dialogs: list[str] = []
        alice.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        alice.page.on("popup", lambda popup: dialogs.append(popup.url))
        await alice.at("/inbox")
        await alice.log_in(ALICE)
        await alice.page.wait_for_url("**/inbox")
        for number in range(len(attacks)):
            await alice.at(f"/inbox/{number}.h")
            frame = alice.page.frame_locator("iframe.letter")
            assert await frame.get_by_text(f"letter {number}", exact=True).count() == 1
            assert alice.page.url == f"{town.base}/inbox/{number}.h"
        assert dialogs == []
    assert listener.connections == 0
    assert csp_reports() == before


async def test_the_frame_lets_nothing_run_even_if_the_cleaning_failed(town: Town, browser: Browser) -> None:
    """The second wall by itself: its policy, on what a browser is given uncleaned."""
    async with person(browser, town.base) as alice:
        await asyncio.to_thread(letters.put, town.site, ALICE, "99.h", letters.html("<p>Hi</p>"))
        await alice.at("/inbox/99.h")
        await alice.log_in(ALICE)
        answer = await alice.page.request.get(f"{town.base}/inbox/99.h/text")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
        assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
        assert await alice.page.locator("iframe.letter").get_attribute("sandbox") == (
            "allow-popups allow-popups-to-escape-sandbox"
        )
        await alice.page.route("**/99.h/text", lambda route: route.fulfill(body=SCRIPT, headers=answer.headers))
        await alice.page.reload()
        frame = alice.page.frame_locator("iframe.letter")
        await frame.get_by_text("Bare").wait_for()
        assert await frame.get_by_text("It runs").count() == 0
        assert alice.said  # the console tells of what was stopped
        alice.said.clear()
        await alice.page.goto("about:blank")
        await alice.page.set_content(f"<iframe class=letter srcdoc='{SCRIPT}'></iframe>")
        await alice.page.frame_locator("iframe.letter").get_by_text("It runs").wait_for()  # without both walls
