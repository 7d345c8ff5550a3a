"""What the search in the console's head leads to: pages and settings, users, and the mail log."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import NotAllowed
from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.web import console_search, email_log_page, navigation, users_page
from outgate.web.console_search import Place
from outgate.web.visit import Visit
from outgate.web.visits import Visits

PATH: Final = navigation.SEARCH
FEW: Final = 10  # users


class SearchPage:
    """Finds, and changes nothing."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _find)]


def _find(visit: Visit) -> Response:
    entries = navigation.console(visit.holder.grants)
    if not entries:
        raise NotAllowed("the console is for administrators; ask one of yours for a role")
    text = visit.form.text("find")
    return visit.page(
        "search.html",
        text=text,
        places=console_search.find(text, entries, visit.said),
        elsewhere=list(_elsewhere(visit, text)) if text else [],
    )


def _elsewhere(visit: Visit, text: str) -> Iterator[Place]:
    """Pages that look for the text themselves."""
    if any(Privilege.USERS_READ in grant.privileges for grant in visit.holder.grants):
        yield Place(text, f"{users_page.PATH}?{urlencode({'user': text})}", visit.said("Users"))
    if visit.may(Privilege.LOG_READ):
        group = visit.said("Email log search")
        for field, title in (("sender", visit.said("Messages from")), ("recipient", visit.said("Messages to"))):
            yield Place(f"{title} {text}", f"{email_log_page.PATH}?{urlencode({field: text})}", group)
