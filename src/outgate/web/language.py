"""Which language to take, of those that there are texts in. Knows no text."""

from collections.abc import Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

LANGUAGES: Final = ("en", "it")
NAMES: Final = {"en": "English", "it": "Italiano"}  # each as it calls itself
DEFAULT: Final = "en"

_COOKIE: Final = "language"
_YEAR: Final = 31_536_000  # seconds


def language_of(request: Request) -> str:
    """The language for a browser that nobody is logged in at: what was chosen there, else what it likes best."""
    chosen = request.cookies.get(_COOKIE, "")
    return chosen if chosen in LANGUAGES else preferred(request.headers.get("accept-language", ""))


def give(response: Response, language: str) -> None:
    """Let the browser keep what was chosen."""
    response.set_cookie(_COOKIE, language, max_age=_YEAR, path="/", httponly=True, samesite="lax")


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
