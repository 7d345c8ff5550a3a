"""The pages' own files: light, kept by browsers while they are the same, and nothing else served beside them."""

import re
from importlib.resources import files

import httpx2

from outgate.web.static_files import static

SCRIPTS = 80 * 1024  # bytes, in all


def test_the_scripts_of_a_page_are_light() -> None:
    """The writer's take the place of htmx."""
    folder = files("outgate.web") / "static"
    sizes = {one.name: len(one.read_bytes()) for one in folder.iterdir() if one.name.endswith(".js")}
    writer = {"pages.js", "squire.js", "writer.js"}
    others = {*sizes} - {"squire.js", "writer.js"}
    assert sum(sizes[name] for name in writer) < SCRIPTS
    assert sum(sizes[name] for name in others) < SCRIPTS
    assert '"htmx' not in (files("outgate.web") / "templates" / "write.html").read_text()


async def test_a_file_is_kept_under_an_address_that_changes_with_it(browser: httpx2.AsyncClient) -> None:
    page = await browser.get("/log-in")
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await browser.get(static("look.css"))).headers["content-type"].startswith("text/css")


async def test_no_other_file_is_there(browser: httpx2.AsyncClient) -> None:
    digest = static("look.css").split("/")[2]
    for path in (
        "/static/0/look.css",
        f"/static/{digest}/pages.js",
        f"/static/{digest}/htmx-4.0.1.LICENSE",
        f"/static/{digest}/..%2fpage.py",
        f"/static/{digest}/%2e%2e/page.py",
    ):
        assert (await browser.get(path)).status_code == 404, path
