"""What tests of pages lean on: a browser that counts what was done, and keeps a trace of what went wrong."""

import zipfile

import pytest
from playwright.async_api import Browser

from pages.browser import TRACES, person
from way.place import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = "data:text/html,<input id=a><select id=b><option>1<option>2</select><button id=c>c</button>"


async def test_the_browser_counts_what_a_person_does_beside_typing(browser: Browser) -> None:
    async with person(browser, PAGE) as somebody:
        page, keys = somebody.page, somebody.page.keyboard
        await somebody.at("")
        await page.click("#a")
        await keys.type("two words")
        await keys.press("Enter")
        await page.select_option("#b", "2")
        await page.focus("#c")
        await keys.press(" ")
        await eventually(lambda: somebody.did.total() >= 13, "the browser has told of all")
        assert somebody.did == {"click": 1, "key": 9, "press": 2, "choice": 1}
        assert somebody.interactions == 4


async def test_of_what_goes_wrong_a_trace_and_a_picture_are_kept(browser: Browser) -> None:
    name = "test_of_what_goes_wrong_a_trace_and_a_picture_are_kept-1"
    trace, picture = TRACES / f"{name}.zip", TRACES / f"{name}.png"
    for path in (trace, picture):
        path.unlink(missing_ok=True)
    with pytest.raises(AssertionError, match="what went wrong"):
        async with person(browser, PAGE) as somebody:
            await somebody.at("<script>console.error('what went wrong')</script>")
    with zipfile.ZipFile(trace) as kept:
        assert b"data:text/html" in kept.read("trace.trace")
    assert picture.read_bytes().startswith(b"\x89PNG")
    for path in (trace, picture):
        path.unlink()
