"""Inbox: the conversations of a user's mailbox, and search in them."""

from typing import Final

from starlette.responses import Response

from outgate.http.http_route import HttpRoute
from outgate.mailbox.conversations import conversations
from outgate.mailbox.user_mailbox import MailboxUnavailable
from outgate.web.visit import Visit
from outgate.web.visits import Visits

PATH: Final = "/inbox"
AT_ONCE: Final = 50  # conversations of one page
_LONGEST: Final = 200  # characters that are searched for


class InboxPage:
    """The list."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, show)]


async def show(visit: Visit) -> Response:
    """Conversations, the one with the newest letter first; those with a text in them if one is searched for."""
    wanted, page = visit.form.text("q")[:_LONGEST], visit.form.number("page") or 0
    try:
        heads = await visit.in_mailbox(lambda mailbox: mailbox.search(wanted) if wanted else mailbox.heads())
    except MailboxUnavailable as error:
        why = visit.said.error(error)
        return visit.page("inbox.html", 503, shown=[], wanted=wanted, why=why, page=0, has_more=False)
    found = conversations(heads)
    shown = found[page * AT_ONCE : (page + 1) * AT_ONCE]
    has_more = len(found) > (page + 1) * AT_ONCE
    return visit.page("inbox.html", shown=shown, wanted=wanted, why="", page=page, has_more=has_more)
