"""docs/screens has the pictures of all pages, and of no page that is not there any more; no browser is asked."""

from pathlib import Path

from pages.every_page import PAGES_OF, PUBLIC_PAGES
from pages.screenshots import SHOWN, named

SCREENS = Path(__file__).parents[2] / "docs" / "screens"


def test_every_page_has_its_pictures_and_there_are_no_others() -> None:
    paths = [*PUBLIC_PAGES, *(path for paths in PAGES_OF.values() for path in paths)]
    pages = {f"{named(path)}.{look[0]}.webp" for path in paths for look in SHOWN}
    there = {one.name for one in SCREENS.iterdir() if not one.name.startswith("drawing-")}
    assert there == pages | {"wizard-it.light.webp"}
