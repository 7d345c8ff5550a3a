"""The plain text that an HTML text says: for programs that show no HTML, for quoting and for searching. Pure."""

import re
from html.parser import HTMLParser
from typing import Final

_SILENT: Final = frozenset({"script", "style", "head", "title", "template", "svg", "math", "noscript", "iframe"})
_BLOCKS: Final = frozenset({"p", "div", "table", "tr", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "hr"})


def text_of(html: str) -> str:
    """Paragraphs apart, list items with a dash, quotations with a bracket, links with their address."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in reader.lines())).strip("\n")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line, self._depth, self._silent = "", 0, 0
        self._link, self._linked = "", ""

    def lines(self) -> list[str]:
        """All that was read."""
        self._end_line()
        return self._lines

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """HTMLParser's."""
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self._end_line(even_empty=True)
        elif tag == "li":
            self._end_line()
            self._line = "- "
        elif tag == "blockquote":
            self._end_line()
            self._depth += 1
        elif tag in _BLOCKS:
            self._end_line()
        elif tag == "a":
            self._link, self._linked = dict(attrs).get("href") or "", ""

    def handle_endtag(self, tag: str) -> None:
        """HTMLParser's."""
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "blockquote":
            self._end_line()
            self._depth = max(0, self._depth - 1)
        elif tag in _BLOCKS:
            self._end_line()
            if tag == "p":
                self._lines.append(self._prefix())
        elif tag == "a":
            if self._link.startswith(("http:", "https:")) and self._link not in self._linked:
                self._line += f" <{self._link}>"
            self._link = ""

    def handle_data(self, data: str) -> None:
        """HTMLParser's."""
        if self._silent:
            return
        self._linked += data
        text = re.sub(r"\s+", " ", data)
        self._line += text.lstrip() if not self._line or self._line.endswith(" ") else text

    def _end_line(self, *, even_empty: bool = False) -> None:
        if self._line.strip() or even_empty:
            self._lines.append(self._prefix() + self._line)
        self._line = ""

    def _prefix(self) -> str:
        return "> " * self._depth
