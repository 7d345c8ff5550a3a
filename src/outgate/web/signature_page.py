"""The signature of one From address: read, written as rich text or, without scripts, as lines of plain text."""

from typing import Final

from markupsafe import Markup, escape
from starlette.responses import Response

from outgate.http.http_route import HttpRoute
from outgate.mailbox.html_text import text_of
from outgate.model import SendAs
from outgate.operations import send_as_operations
from outgate.operations.account_lookup import entry_of
from outgate.operations.context import OperationContext
from outgate.operations.send_as_operations import WrittenSignature
from outgate.web.accounts_page import PATH, address_of, path_of
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of

ONE: Final = PATH + "/{address:path}/signature"


class SignaturePage:
    """The form."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(ONE, ask), visits.post(ONE, keep)]


def ask(visit: Visit) -> Response:
    """As it is kept."""
    with visit.reading() as op:
        entry = _entry(visit, op)
        html = send_as_operations.signatures(op, visit.address).get(entry.address, "")
    return _page(visit, entry, html, text_of(html))


def _entry(visit: Visit, op: OperationContext) -> SendAs:
    return entry_of(send_as_operations.account(op, visit.address), address_of(visit))


def _page(visit: Visit, entry: SendAs, html: str, text: str, status: int = 200, why: str = "") -> Response:
    path = path_of(entry.address)
    return visit.page("signature.html", status, why=why, entry=entry, path=path, html=html, text=text)


def keep(visit: Visit) -> Response:
    """Cleaned first. As it was entered if it is refused; what is too long is not read for a text."""
    form = visit.form
    html = form.long_text("html") or _of_lines(form.long_text("text"))
    try:
        signature = _kept(html)
        with visit.writing() as op:
            send_as_operations.set_signature(op, visit.address, address_of(visit), signature)
    except Exception as error:
        status, why = status_of(error), visit.said.error(error)
        with visit.reading() as op:
            entry = _entry(visit, op)
        return _page(visit, entry, html, form.long_text("text"), status, why)
    return visit.go_to(f"{PATH}?done=signature")


def _of_lines(text: str) -> str:
    return "".join(f"<div>{escape(line) or '<br>'}</div>" for line in text.rstrip("\n").split("\n"))


def _kept(html: str) -> WrittenSignature:
    """Nothing but empty lines is no signature. Raises Invalid."""
    found = WrittenSignature.of(html)
    return found if Markup(found.html).striptags() else WrittenSignature("")  # noqa: S704  # it is not shown
