"""The plain text that an HTML text says: for programs that show no HTML, for quoting and for searching. Pure.

It is read by a browser's rules first (nh3), so that what is walked through here is well-formed: Python's own reader
takes minutes for some of what is not.
"""

import re
from html.parser import HTMLParser
from typing import Final

import nh3

from outgate.mailbox.clean_html import SILENT

MAX_DEPTH: Final = 20  # quotations within each other that have brackets of their own
_BLOCKS: Final = frozenset({"p", "div", "table", "tr", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "hr"})
_READ: Final = _BLOCKS | {"a", "blockquote", "br", "li"}


def text_of(html: str) -> str:
    """Paragraphs apart, list items with a dash, quotations with a bracket, links with their address."""
    reader = _Reader()
    reader.feed(_well_formed(html))
    reader.close()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in reader.lines())).strip("\n")


def _well_formed(html: str) -> str:
    return nh3.clean(
        html,
        tags=set(_READ),
        clean_content_tags=set(SILENT),
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel=None,
    )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line, self._depth = list[str](), 0
        self._link, self._linked = "", list[str]()

    def lines(self) -> list[str]:
        """All that was read."""
        self._end_line()
        return self._lines

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """HTMLParser's."""
        if tag == "br":
            self._end_line(even_empty=True)
        elif tag == "li":
            self._end_line()
            self._line.append("- ")
        elif tag == "blockquote":
            self._end_line()
            self._depth += 1
        elif tag in _BLOCKS:
            self._end_line()
        else:
            self._link = dict(attrs).get("href") or ""
            self._linked.clear()

    def handle_endtag(self, tag: str) -> None:
        """HTMLParser's."""
        if tag == "blockquote":
            self._end_line()
            self._depth -= 1
        elif tag in _BLOCKS:
            self._end_line()
            if tag == "p":
                self._lines.append(self._prefix())
        elif tag == "a":
            if self._link and self._link not in "".join(self._linked):
                self._line.append(f" <{self._link}>")
            self._link = ""

    def handle_data(self, data: str) -> None:
        """HTMLParser's."""
        self._linked.append(data)
        text = re.sub(r"\s+", " ", data)
        if text := text if self._line and not self._line[-1].endswith(" ") else text.lstrip():
            self._line.append(text)

    def _end_line(self, *, even_empty: bool = False) -> None:
        line = "".join(self._line)
        if line.strip() or even_empty:
            self._lines.append(self._prefix() + line)
        self._line.clear()

    def _prefix(self) -> str:
        return "> " * min(self._depth, MAX_DEPTH)
