"""Choosing the language: for a browser before anybody is logged in, and for a user, whose mail is in it as well."""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from outgate.directory.users import check_language
from outgate.http.http_route import HttpRoute
from outgate.operations import user_operations
from outgate.web.form import MAX_FORM, Form
from outgate.web.language import LANGUAGES, give
from outgate.web.log_in_page import own_path
from outgate.web.visit import Visit
from outgate.web.visits import LOG_IN, Visits

OF_BROWSER: Final = "/language"
OF_USER: Final = "/settings/language"
RATE: Final = "60/1minute"


class LanguagePage:
    """What the buttons at the foot of each page do."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [
            HttpRoute(
                path=OF_BROWSER,
                methods=frozenset({"POST"}),
                handler=choose_for_browser,
                kind="page",
                max_body=MAX_FORM,
                rate=RATE,
            ),
            visits.post(OF_USER, choose),
        ]


def choose_for_browser(request: Request) -> Response:
    """Until somebody logs in, whose language it is then. What is no language changes nothing."""
    answer = RedirectResponse(LOG_IN, 303)
    language = Form.sent_with(request).text("language")
    if language in LANGUAGES:
        give(answer, language)
    return answer


def choose(visit: Visit) -> Response:
    """For the user, wherever they log in; and for this browser when they have logged out."""
    language = visit.form.text("language")
    check_language(language)
    with visit.writing() as op:
        user_operations.prefer(op, visit.address, language=language)
    answer = visit.go_to(own_path(visit.form.text("to")))
    give(answer, language)
    return answer
