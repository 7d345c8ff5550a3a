"""Which language to take, of those that there are texts in. Knows no text."""

from collections.abc import Iterator
from typing import Final

LANGUAGES: Final = ("en", "it")
DEFAULT: Final = "en"


def preferred(accept_language: str) -> str:
    """The language of ours that a browser likes best (RFC 9110 12.5.4); English if it names none."""
    best = max(_wanted(accept_language), default=(0.0, DEFAULT), key=lambda wanted: wanted[0])
    return best[1] if best[0] > 0 else DEFAULT


def _wanted(accept_language: str) -> Iterator[tuple[float, str]]:
    """Weights and languages, as far as we have texts in them and understand the header."""
    for part in accept_language.split(","):
        tag, _, weight = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in LANGUAGES:
            try:
                yield float(weight.strip().removeprefix("q=") or 1), language
            except ValueError:
                continue
