"""Reporting > Admin log events: who changed what, from where, with old and new value."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.operations import audit_operations
from outgate.operations.operation_table import OPERATIONS
from outgate.record.audit_trail import AuditFilter, Recorded
from outgate.web.time_field import time_asked, time_shown
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_, zone_of

PATH: Final = "/admin/reporting/admin-log-events"
ON_A_PAGE: Final = 50
OUTCOMES: Final = {"denied": N_("denied"), "refused": N_("refused"), "failed": N_("failed")}
_TIMES: Final = ("since", "until")
_FIELDS: Final = ("about", "operation", *_TIMES)


@frozen
class ChangedValue:
    """Something that is recorded of a change; `old` is None if there is no pair of values."""

    name: str
    old: str | None
    new: str


class AdminLogEventsPage:
    """The form, and what was found."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show)]


def _show(visit: Visit) -> Response:
    form = visit.form
    zone = zone_of(form.text("zone")) if "zone" in form else visit.zone
    asked = {name: form.text(name) for name in _FIELDS}
    asked |= {name: time_shown(asked[name], zone, visit.zone) for name in _TIMES}
    found: list[Recorded] = []
    why, status = "", 200
    try:
        wanted = AuditFilter(
            text=form.text("about") or None,
            operation=form.text("operation") or None,
            since=time_asked(form.text("since"), zone),
            until=time_asked(form.text("until"), zone),
            limit=ON_A_PAGE + 1,  # so it is known whether there are more
            before=form.number("older_than"),
        )
        with visit.reading() as op:
            found = list(audit_operations.search(op, wanted).entries)
    except Invalid as error:
        why, status = visit.said.error(error), status_of(error)
    return visit.page(
        "audit.html",
        status,
        why=why,
        path=PATH,
        asked=asked,
        is_asked=any(asked.values()),
        operations=sorted(name for name, one in OPERATIONS.items() if one.changes),
        outcomes=OUTCOMES,
        found=found[:ON_A_PAGE],
        values={one.number: list(_values(one.entry.detail)) for one in found},
        older=_behind(visit, asked, found),
    )


def _values(detail: Mapping[str, object]) -> Iterator[ChangedValue]:
    for name, value in detail.items():
        match value:
            case [old, new]:
                yield ChangedValue(name, _text(old), _text(new))
            case _:
                yield ChangedValue(name, None, _text(value))


def _text(value: object) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case list():
            return ", ".join(_text(one) for one in value)
        case None:
            return ""
    return str(value)


def _behind(visit: Visit, asked: Mapping[str, str], found: list[Recorded]) -> str:
    """The address of the page behind this one; empty if this is the last."""
    if len(found) <= ON_A_PAGE:
        return ""
    query = {name: text for name, text in asked.items() if text}
    last = found[ON_A_PAGE - 1].number
    return f"{PATH}?{urlencode({**query, 'zone': str(visit.zone), 'older_than': last})}"
