"""Chromium as Debian packages it, and what every test of pages in it asks for."""

import os
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, Locator, Page, ViewportSize, async_playwright, expect
from prometheus_client import REGISTRY

from way.place import PASSWORD

DESKTOP: Final = ViewportSize(width=1200, height=800)
PHONE: Final = ViewportSize(width=390, height=844)
PATIENCE: Final = 20_000  # milliseconds
TRACES: Final = Path(__file__).parents[2] / "results" / "traces"

expect.set_options(timeout=PATIENCE)

# The browser counts what a person does, so that no test can forget to.
_COUNT: Final = """
const types = (field) => field.matches("textarea, input:not([type=checkbox], [type=radio], [type=submit])");
addEventListener("pointerdown", (event) => event.isTrusted && personDid("click"), true);
addEventListener("change", (event) => event.target instanceof HTMLSelectElement && personDid("choice"), true);
addEventListener("keydown", (event) => {
  const presses = event.key === "Enter" || (event.key === " " && !types(event.target));
  personDid(presses ? "press" : "key");
}, true);
"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """One browser; as root it has no sandbox."""
    program = shutil.which("chromium")
    assert program, "make test installs chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        await browser.close()


@dataclass
class Person:
    """Somebody at a browser. What the page's console says is kept: nothing is expected there. What they did is counted:
    a `click`, a `press` of Enter or of the space bar on what is no text, a `choice` from a list, a `turn` to another
    page than Outgate's and back, a `key` of typing.
    """

    page: Page
    base: str
    said: list[str] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)

    @property
    def interactions(self) -> int:
        """All but typing."""
        return self.did.total() - self.did["key"]

    async def at(self, path: str) -> None:
        """Open an address."""
        await self.page.goto(self.base + path)

    async def log_in(self, user: str) -> None:
        """By the form, wherever one was sent to; until the page behind it is whole, with its scripts."""
        await self.page.fill("#username", user)
        await self.page.fill("#password", PASSWORD)
        async with self.page.expect_navigation():
            await self.page.click("form[action='/log-in'] button")

    async def write(self, field: Locator, text: str) -> None:
        """As people do with a mouse: click where the cursor is not yet, then type over what is there."""
        await field.wait_for()
        if not await field.evaluate("field => field === document.activeElement"):
            await field.click()
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.type(text)

    async def tab_to(self, selector: str) -> None:
        """As people without a mouse come there."""
        for _ in range(60):
            if await self.page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached by Tab")


@asynccontextmanager
async def person(
    browser: Browser, base: str, language: str = "en", *, theme: Any = "light", size: Any = DESKTOP, **more: Any
) -> AsyncIterator[Person]:
    """A browser of somebody's own, without cookies. What goes wrong is traced (Playwright's trace viewer shows it)."""
    context: BrowserContext = await browser.new_context(
        locale={"en": "en-GB", "it": "it-IT"}[language], color_scheme=theme, viewport=size, **more
    )
    context.set_default_timeout(PATIENCE)
    trace = _trace_file(len(browser.contexts))
    await context.tracing.start()  # its snapshots would run scripts in the frames of letters
    somebody = Person(await context.new_page(), base)
    await context.expose_function("personDid", lambda what: somebody.did.update([what]))
    await context.add_init_script(_COUNT)
    said = somebody.said
    somebody.page.on("console", lambda message: said.append(message.text) if _is_fault(message.text) else None)
    somebody.page.on("pageerror", lambda error: said.append(str(error)))
    try:
        yield somebody
        assert said == [], said
    except BaseException:
        await context.tracing.stop(path=trace)
        await somebody.page.screenshot(path=trace.with_suffix(".png"), full_page=True)
        raise
    finally:
        await context.close()


def _trace_file(number: int) -> Path:
    """Of the test that runs, for one of the browsers that it has open."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "none").rpartition("::")[2].partition(" ")[0]
    return TRACES / f"{re.sub(r'[^a-z0-9_]+', '-', test.lower()).strip('-')}-{number}.zip"


async def violations(page: Page, *, of_colour: bool = False) -> Sequence[str]:
    """What axe-core finds against WCAG and good practice, or by its rules of colour alone, each with an element that
    shows it.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
    rules = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}} if of_colour else {}
    found = await page.evaluate(
        "(rules) => axe.run({resultTypes: ['violations'], ...rules}).then((results) => results.violations)", rules
    )
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


def csp_reports() -> float:
    """How many reports browsers have sent to this process."""
    return REGISTRY.get_sample_value("outgate_csp_reports_total") or 0.0


def _is_fault(text: str) -> bool:
    """A form that is answered 4xx says so on the console; that is meant."""
    return not re.match(r"Failed to load resource: the server responded with a status of 4\d\d", text)
