"""Browsers of sorts of the organisation's people, logged in or not. Used in threads: the server's loop runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from way.place import PASSWORD, PLAIN

ALICE, BOB = "alice@example.com", "bob@example.com"


def browser_at(port: int) -> httpx2.AsyncClient:
    """Nobody's yet; it sends what browsers send, and follows no redirect by itself."""
    headers = {"Sec-Fetch-Site": "same-origin"}
    url = f"http://127.0.0.1:{port}"
    return httpx2.AsyncClient(base_url=url, trust_env=False, verify=PLAIN, headers=headers, timeout=30)


async def log_in(
    browser: httpx2.AsyncClient, user: str = ALICE, password: str = PASSWORD, **more: str
) -> httpx2.Response:
    """What the form sends."""
    return await browser.post("/log-in", data={"username": user, "password": password, **more})


@asynccontextmanager
async def logged_in(port: int, user: str = ALICE) -> AsyncIterator[httpx2.AsyncClient]:
    """The browser of a user."""
    async with browser_at(port) as browser:
        assert (await log_in(browser, user)).status_code == 303
        yield browser
