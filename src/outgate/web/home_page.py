"""The console's home: what is still to be done, with a check of each, and how it stands with mail now.

The page is there at once; what a check finds comes into it when it is found.
"""

import asyncio
from typing import Final

from starlette.responses import HTMLResponse, Response

from outgate.directory.errors import NotAllowed, NotFound
from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.operations import setup_operations, status_operations
from outgate.operations.setup_operations import Setup
from outgate.operations.status_operations import State
from outgate.web import setup_check
from outgate.web.navigation import HOME
from outgate.web.setup_check import Checked
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from outgate.web.wizard_page import RATE

CHECK: Final = f"{HOME.path}/check"


class HomePage:
    """All that is done there."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(HOME.path, _show, rate=RATE), visits.get(CHECK, _check, rate=RATE)]


async def _show(visit: Visit) -> Response:
    """At once, unless somebody without scripts has asked for all checks."""
    if not visit.holder.grants:
        raise NotAllowed("the console is for administrators; ask one of yours for a role")
    setup, state = await visit.in_thread(_seen, visit)
    titles = setup_check.titles(visit, setup) if setup else {}
    found: dict[str, Checked] = {}
    if setup and "look" in visit.form:
        results = await asyncio.gather(*(setup_check.checked(visit, setup, name) for name in titles))
        found = dict(zip(titles, results, strict=True))
    return visit.page("home.html", path=HOME.path, check=CHECK, titles=titles, found=found, state=state)


async def _check(visit: Visit) -> Response:
    """What one check finds, as a part of the page."""
    name = visit.form.text("name")
    setup, _ = await visit.in_thread(_seen, visit)
    if setup is None:
        raise NotAllowed("this needs a role for the whole organisation")
    if name not in setup_check.titles(visit, setup):
        raise NotFound("there is no check of this name")
    found = await setup_check.checked(visit, setup, name)
    return HTMLResponse(visit.fragment("home_check.html", one=found))


def _seen(visit: Visit) -> tuple[Setup | None, State | None]:
    """As far as its visitor may know."""
    with visit.reading() as op:
        setup = setup_operations.setup(op) if visit.may(Privilege.UNITS_READ) else None
        state = status_operations.state(op) if visit.may(Privilege.QUEUE_READ) else None
    return setup, state
