"""The tests of pages and of the API open the database of a running server in threads alone."""

import re
from pathlib import Path

import pytest

from way.place import Site
from web.links import opened

TESTS = Path(__file__).parents[1]


async def test_what_would_lock_the_loop_out_says_so(site: Site) -> None:
    with pytest.raises(RuntimeError, match=r"in a thread: await asyncio\.to_thread"), opened(site):
        pass


def test_there_is_no_other_way_to_open_it() -> None:
    files = [file for room in ("web", "pages", "api") for file in (TESTS / room).rglob("*.py")]
    assert [file.name for file in files if re.search(r"\.place\(\)|open_installation\(", file.read_text())] == [
        "links.py"
    ]
