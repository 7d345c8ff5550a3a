"""A page that only says something, and the pages for what is refused. Knows no database."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from outgate.frozen import frozen
from outgate.web.language import language_of
from outgate.web.page import page
from outgate.web.words import N_, Words, words


@frozen
class Notice:
    """What such a page says, in English."""

    title: str
    paragraphs: tuple[str, ...]


FAULTS: Final = {
    400: Notice(N_("This request can't be answered"), (N_("Go back and try again."),)),
    403: Notice(
        N_("This was not asked for here"), (N_("Another site has sent you. Go to the page itself and try again."),)
    ),
    404: Notice(N_("There is no such page"), (N_("Check the address of the page."),)),
    405: Notice(N_("This page does not do that"), (N_("Go back and try again."),)),
    413: Notice(N_("That is too much"), (N_("This page does not take that much."),)),
    429: Notice(N_("Too many requests"), (N_("Wait a minute, then try again."),)),
    500: Notice(N_("Something went wrong"), (N_("Nothing has been changed. Try again later."),)),
    503: Notice(N_("Not available just now"), (N_("Nothing has been changed. Try again in a minute."),)),
}


def show_notice(
    said: Words,
    notice: Notice,
    status: int = 200,
    *,
    facts: Sequence[tuple[str, str]] = (),
    button: str = "",
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """`facts` are pairs of a name and a value; with `button` the page has one, that posts."""
    paragraphs = [said(one) for one in notice.paragraphs]
    shown = {"title": said(notice.title), "paragraphs": paragraphs, "facts": facts, "button": button}
    return page(said, "notice.html", shown, status, headers)


def error_page(request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A page that says no more than its status (http.error_response.ErrorPage)."""
    said = words(language_of(request))
    return show_notice(said, FAULTS.get(status) or FAULTS[400 if status < 500 else 500], status, headers=headers)
