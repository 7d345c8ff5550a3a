"""Reporting > Gateways: the send-as addresses of the whole organisation, the server that each leaves by, its health."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.model import Restriction
from outgate.operations import address_overview, restriction_operations
from outgate.operations.address_overview import AddressPage, AddressStanding
from outgate.route import gateway_queue
from outgate.sendas.address_search import AddressFilter, AddressKind
from outgate.web import queue_page
from outgate.web.users_page import path_of, unit_asked, units_of
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from outgate.web.way import Way, way_of
from outgate.web.words import N_

PATH: Final = "/admin/reporting/gateways"
ON_A_PAGE: Final = 50

IN_TROUBLE: Final = "trouble"
KINDS: Final = {
    AddressKind.OUTSIDE: N_("outside addresses"),
    AddressKind.GATEWAY: N_("with a server of their own"),
    IN_TROUBLE: N_("whose server does not work"),
    AddressKind.WITHOUT: N_("without a server"),
    AddressKind.PENDING: N_("not confirmed"),
    AddressKind.ALL: N_("all addresses"),
}
_FIELDS: Final = ("address", "kind", "unit")


@frozen
class StandingRow:
    """One line of the list; `queue` leads to what waits for its server, `held_back` is what restricts that most."""

    standing: AddressStanding
    way: Way
    queue: str = ""
    held_back: Restriction | None = None


class GatewaysPage:
    """Shows addresses and gateways, and changes nothing."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show)]


def _show(visit: Visit) -> Response:
    form = visit.form
    kind, unit = form.text("kind", AddressKind.OUTSIDE), unit_asked(visit, Privilege.SEND_AS_READ)
    if kind not in KINDS:
        raise Invalid("“{text}” is no kind of address; choose one of the list", text=kind)
    wanted = AddressFilter(
        kind=AddressKind.GATEWAY if kind == IN_TROUBLE else AddressKind(kind),
        text=form.text("address"),
        after=_after(visit),
        limit=ON_A_PAGE + 1,  # so it is known whether there are more
    )
    with visit.reading() as op:
        page = address_overview.addresses(op, wanted, unit, in_trouble=kind == IN_TROUBLE)
        held_back = restriction_operations.by_queue(op) if visit.may(Privilege.QUEUE_READ) else None
    return visit.page(
        "gateways.html",
        path=PATH,
        rows=[_row(page, one, held_back) for one in page.addresses[:ON_A_PAGE]],
        more=_behind(visit, page),
        text=wanted.text,
        kind=kind,
        kinds=KINDS,
        unit=unit,
        units=units_of(visit),
        is_asked=any(form.text(name) for name in _FIELDS),
        user_path=path_of if visit.may(Privilege.USERS_READ, unit) else None,
    )


def _row(page: AddressPage, one: AddressStanding, held_back: Mapping[str, Sequence[Restriction]] | None) -> StandingRow:
    """With what of its queue its visitor may see: nothing, if `held_back` is None."""
    way = way_of(one.account, page.organisation, one.entry)
    if way.gateway is None or held_back is None:
        return StandingRow(one, way)
    queue = str(gateway_queue(way.gateway))
    restriction = next(iter(held_back.get(queue, ())), None)
    return StandingRow(one, way, f"{queue_page.PATH}?{urlencode({'queue': queue})}", restriction)


def _after(visit: Visit) -> tuple[str, int] | None:
    """Address and account behind which the page begins."""
    account = visit.form.number("of")
    return (visit.form.text("after"), account) if account is not None else None


def _behind(visit: Visit, page: AddressPage) -> str:
    """The address of the page behind this one; empty if this is the last."""
    if len(page.addresses) <= ON_A_PAGE:
        return ""
    last = page.addresses[ON_A_PAGE - 1]
    query = {name: text for name in _FIELDS if (text := visit.form.text(name))}
    return f"{PATH}?{urlencode({**query, 'after': last.entry.address, 'of': last.account.id})}"
