"""Pictures of every page for docs/screens (`make screenshots`): light on a desktop, dark on a phone.

    python -m pages.screenshots [--every] FOLDER

With --every both themes in both sizes. WebP, as small as Chromium makes them.
"""

import asyncio
import base64
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from playwright.async_api import Browser, Page

from outgate.web.words import words
from pages.browser import DESKTOP, PHONE, chromium, person
from pages.conftest import ALICE, Town, town_at
from pages.every_page import PAGES_OF, PUBLIC_PAGES, furnish

Look = tuple[str, str, Any]  # its name, the theme, the size
SHOWN: Final[Sequence[Look]] = (("light", "light", DESKTOP), ("dark-phone", "dark", PHONE))
EVERY: Final[Sequence[Look]] = (*SHOWN, ("dark", "dark", DESKTOP), ("light-phone", "light", PHONE))
QUALITY: Final = 60  # of 100
_LONGEST: Final = 80  # characters of a picture's name
_WHOLE: Final = "({x: 0, y: 0, scale: 1, width: innerWidth, height: document.documentElement.scrollHeight})"


async def make(folder: Path, looks: Sequence[Look]) -> None:
    """All pictures."""
    with TemporaryDirectory() as scratch:
        async with town_at(Path(scratch)) as town, chromium() as browser:
            await furnish(town.site)
            for name, theme, size in looks:
                async with person(browser, town.base, theme=theme, size=size) as stranger:
                    for path in PUBLIC_PAGES:
                        await stranger.at(path)
                        await _take(stranger.page, folder / f"{named(path)}.{name}.webp")
                for who, paths in PAGES_OF.items():
                    async with person(browser, town.base, theme=theme, size=size) as somebody:
                        await somebody.at("/")
                        await somebody.log_in(who)
                        await somebody.page.wait_for_selector("#writer")
                        for path in paths:
                            await somebody.at(path)
                            await _take(somebody.page, folder / f"{named(path)}.{name}.webp")
            await _take_wizard(town, browser, folder / "wizard-it.light.webp")


def named(path: str) -> str:
    """A page's address as the name of a file."""
    return re.sub(r"[^\w]+", "-", path.removeprefix("/"))[:_LONGEST].strip("-") or "write"


async def _take_wizard(town: Town, browser: Browser, path: Path) -> None:
    """In the middle, in Italian: a password was refused."""
    await town.speak("it")
    async with person(browser, town.base, "it") as alice:
        await alice.at("/settings/accounts/add/server?address=alice@studio.example")
        await alice.log_in(ALICE)
        await alice.page.fill("#host", "localhost")
        await alice.page.fill("#port", str(town.gateway.port))
        await alice.page.fill("#server_password", "not the password")
        await alice.page.get_by_role("button", name=words("it")("Add Account")).click()
        await alice.page.get_by_role("alert").wait_for()
        await _take(alice.page, path)


async def _take(page: Page, path: Path) -> None:
    """The whole page."""
    await page.wait_for_load_state("networkidle")
    devtools = await page.context.new_cdp_session(page)
    whole = await page.evaluate(_WHOLE)
    asked = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": True, "clip": whole}
    taken = await devtools.send("Page.captureScreenshot", asked)
    await devtools.detach()
    await asyncio.to_thread(path.write_bytes, base64.b64decode(taken["data"]))


if __name__ == "__main__":
    *every, target = sys.argv[1:]
    Path(target).mkdir(parents=True, exist_ok=True)
    asyncio.run(make(Path(target), EVERY if every == ["--every"] else SHOWN))
