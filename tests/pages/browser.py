"""Chromium as Debian packages it, and what every test of pages in it asks for."""

import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright
from prometheus_client import REGISTRY

from way.place import PASSWORD

DESKTOP: Final = ViewportSize(width=1200, height=800)
PHONE: Final = ViewportSize(width=390, height=844)
PATIENCE: Final = 10_000  # milliseconds


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
    """Somebody at a browser. What the page's console says is kept: nothing is expected there."""

    page: Page
    base: str
    said: list[str]

    async def at(self, path: str) -> None:
        """Open an address."""
        await self.page.goto(self.base + path)

    async def log_in(self, user: str) -> None:
        """By the form, wherever one was sent to."""
        await self.page.fill("#username", user)
        await self.page.fill("#password", PASSWORD)
        await self.page.click("form[action='/log-in'] button")


@asynccontextmanager
async def person(
    browser: Browser, base: str, language: str = "en", *, theme: Any = "light", size: Any = DESKTOP, **more: Any
) -> AsyncIterator[Person]:
    """A browser of somebody's own, without cookies."""
    context: BrowserContext = await browser.new_context(
        locale={"en": "en-GB", "it": "it-IT"}[language], color_scheme=theme, viewport=size, **more
    )
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if _is_fault(message.text) else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    try:
        yield Person(page, base, said)
    finally:
        await context.close()


async def violations(page: Page) -> Sequence[str]:
    """What axe-core finds against WCAG and good practice, each with an element that shows it."""
    results = await Axe().run(page)
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in results.response["violations"]]


def csp_reports() -> float:
    """How many reports browsers have sent to this process."""
    return REGISTRY.get_sample_value("outgate_csp_reports_total") or 0.0


def _is_fault(text: str) -> bool:
    """A form that is answered 4xx says so on the console; that is meant."""
    return not re.match(r"Failed to load resource: the server responded with a status of 4\d\d", text)
