"""A page made of its texts: plain HTML without scripts. Knows no database."""

from collections.abc import Mapping, Sequence
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from outgate.web.texts import Text

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
    html = _PAGE.render(text=text, language=language, facts=facts, button=button, nonce=request.scope["nonce"])
    return HTMLResponse(html, status, headers={"Content-Language": language, **(headers or {})})
