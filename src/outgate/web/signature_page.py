"""The signature of one From address: read, written as rich text or, without scripts, as lines of plain text."""

from typing import Final

from markupsafe import escape
from starlette.responses import Response

from outgate.http.http_route import HttpRoute
from outgate.mailbox.html_text import text_of
from outgate.operations import send_as_operations
from outgate.operations.account_lookup import entry_of
from outgate.web.accounts_page import PATH, address_of, path_of
from outgate.web.form import Form
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of

ONE: Final = PATH + "/{address:path}/signature"


class SignaturePage:
    """The form."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(ONE, ask), visits.post(ONE, keep)]


def ask(visit: Visit, status: int = 200, why: str = "") -> Response:
    """As it is kept, or as it was entered if that is refused."""
    with visit.reading() as op:
        entry = entry_of(send_as_operations.account(op, visit.address), address_of(visit))
        kept = send_as_operations.signatures(op, visit.address).get(entry.address, "")
    html = _html(visit.form) if why else kept
    path = path_of(entry.address)
    return visit.page("signature.html", status, why=why, entry=entry, path=path, html=html, text=text_of(html))


def keep(visit: Visit) -> Response:
    """Cleaned by the operation."""
    try:
        with visit.writing() as op:
            send_as_operations.set_signature(op, visit.address, address_of(visit), _html(visit.form))
    except Exception as error:
        return ask(visit, status_of(error), visit.said.error(error))
    return visit.go_to(f"{PATH}?done=signature")


def _html(form: Form) -> str:
    """What was entered. Nothing but empty lines is no signature."""
    html = form.long_text("html") or "".join(f"<div>{escape(line) or '<br>'}</div>" for line in _lines(form))
    return html if text_of(html).strip() else ""


def _lines(form: Form) -> list[str]:
    return form.long_text("text").replace("\r\n", "\n").rstrip("\n").split("\n")
