"""A page made of a template and the facts that it shows: HTML, everything in it escaped. Knows no database."""

from collections.abc import Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from outgate.web.language import NAMES
from outgate.web.static_files import static
from outgate.web.words import Words, words


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("outgate.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(words(language).translations, newstyle=True)  # type: ignore[attr-defined]  # of the extension
    environment.globals.update(static=static, words=words(language), languages=NAMES)
    return environment


def page(
    said: Words,
    template: str,
    facts: Mapping[str, object],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """The answer to a request, in the language of `said`."""
    html = fragment(said, template, facts)
    return HTMLResponse(html, status, headers={"Content-Language": said.language, **(headers or {})})


def fragment(said: Words, template: str, facts: Mapping[str, object]) -> str:
    """A page, or a part of one, as HTML."""
    return _environment(said.language).get_template(template).render(**facts)


def is_live(request: Request) -> bool:
    """Whether a script of a page asks for a part of it."""
    return request.headers.get("hx-request") == "true"
