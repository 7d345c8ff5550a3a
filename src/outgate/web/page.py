"""A page made of its texts: plain HTML without scripts; and the pages for what is refused. Knows no database."""

from collections.abc import Mapping, Sequence
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from outgate.http.security_headers import nonce_of
from outgate.web.texts import TEXTS, Text, preferred

_PAGE: Final = Environment(
    loader=PackageLoader("outgate.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
).get_template("page.html")


def page(
    request: Request,
    text: Text,
    language: str,
    status: int = 200,
    *,
    facts: Sequence[tuple[str, str]] = (),
    button: str = "",
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """The answer to a request. `facts` are pairs of a name and a value; with `button` the page has one, that posts."""
    html = _PAGE.render(text=text, language=language, facts=facts, button=button, nonce=nonce_of(request))
    return HTMLResponse(html, status, headers={"Content-Language": language, **(headers or {})})


def error_page(request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A page that says no more than its status (http.error_response.ErrorPage)."""
    language = preferred(request.headers.get("accept-language", ""))
    faults = TEXTS[language].faults
    text = faults.get(status) or faults[400 if status < 500 else 500]
    return page(request, text, language, status, headers=headers)
