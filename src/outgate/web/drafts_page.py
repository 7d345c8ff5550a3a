"""Drafts: the list of what is not sent yet."""

from typing import Final

from starlette.responses import Response

from outgate.directory.errors import NotFound
from outgate.http.http_route import HttpRoute
from outgate.operations import draft_operations
from outgate.web.form import number_in
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from outgate.web.words import N_

PATH: Final = "/drafts"
DONE: Final = {"deleted": N_("The draft is deleted.")}


class DraftsPage:
    """The list, and throwing one away."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, show), visits.post(f"{PATH}/{{draft}}/delete", delete)]


def show(visit: Visit) -> Response:
    """The newest first."""
    with visit.reading() as op:
        drafts = draft_operations.list_drafts(op, visit.address)
    done = DONE.get(visit.form.text("done"), "")
    return visit.page("drafts.html", drafts=drafts, done=visit.said(done) if done else "")


def delete(visit: Visit) -> Response:
    """Throw it away."""
    draft = number_in(visit.request.path_params["draft"])
    if draft is None:
        raise NotFound("this draft is not there any more")
    with visit.writing() as op:
        draft_operations.delete_draft(op, visit.address, draft)
    return visit.go_to(f"{PATH}?done=deleted")
