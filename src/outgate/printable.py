"""The one place that makes text from outside fit for a log line, a terminal or a database. Pure."""

from typing import Final

_ELLIPSIS: Final = "…"


def printable(text: str, limit: int | None = None) -> str:
    """`text` with all that a terminal would obey, or that would end the line, escaped as Python writes it (`\\x1b`).

    That is every character that is not printable: controls, line separators, marks that turn the direction of
    writing, lone surrogates. Of more than `limit` characters the first ones are left, and an ellipsis.
    """
    if limit is not None and len(text) > limit:
        text = text[:limit] + _ELLIPSIS
    return text if text.isprintable() else "".join(map(_escaped, text))


def printable_lines(text: str) -> str:
    """As `printable`, of a text of several lines; line feeds alone end them."""
    return "\n".join(map(printable, text.split("\n")))


def without_nul(text: str) -> str:
    """`text` as a database keeps it: PostgreSQL has no NUL in texts, so what stands for the unknown is in its place."""
    return text.replace("\0", "\ufffd")


def _escaped(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
