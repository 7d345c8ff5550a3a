"""Reporting > Dashboard: messages by route, deferrals, delivery times and gateways, each as a chart and as a table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from babel.dates import format_skeleton, format_time
from starlette.responses import Response

from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.operations import traffic_operations
from outgate.operations.traffic_operations import GatewayCensus
from outgate.record.tallies import HOUR, Measure, Tally
from outgate.route import RouteKind
from outgate.web.chart import Chart, Series, chart
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from outgate.web.words import N_

PATH: Final = "/admin/reporting/dashboard"

# How far back, by name: the hours of one bar, how many bars, and below every which of them stands its time.
SPANS: Final = {"day": (1, 24, 4), "week": (6, 28, 4), "month": (24, 30, 5)}
_DAY: Final = 24  # hours
_SPAN_WORDS: Final = {"day": N_("24 hours"), "week": N_("7 days"), "month": N_("30 days")}
ROUTES: Final = {
    RouteKind.USER_GATEWAY: (N_("by users' own servers"), "gateway"),
    RouteKind.DOMAIN_GATEWAY: (N_("by the outbound gateway"), "organisation"),
    RouteKind.DIRECT: (N_("to mail exchangers"), "behalf"),
    RouteKind.LOCAL: (N_("to local mailboxes"), "quiet"),
}
_TROUBLES: Final = {
    Measure.DEFERRED: (N_("put off"), "behalf"),
    Measure.BOUNCED: (N_("returned"), "bad"),
    Measure.REFUSED: (N_("refused"), "quiet"),
}


class DashboardPage:
    """Shows charts."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show)]


def _show(visit: Visit) -> Response:
    span = visit.form.text("span")
    if span not in SPANS:
        span = "day"
    hours, bars, every = SPANS[span]
    last = int(visit.services.now() // HOUR)
    first = last - hours * bars + 1
    with visit.reading() as op:
        found = traffic_operations.traffic(op, first, hours)
        gateways = traffic_operations.gateway_census(op) if visit.may(Privilege.SEND_AS_READ) else None
    times = [_time(visit, first + number * hours, hours) for number in range(bars)]

    def over_time(measure: Measure, label: str | None) -> tuple[int, ...]:
        counts = Counter[int]()
        for one in found:
            if one.measure is measure and label in (None, one.label):
                counts[(one.hour - first) // hours] += one.count
        return tuple(counts[number] for number in range(bars))

    said = visit.said
    charts = {
        "routes": chart(
            [Series(said(text), look, over_time(Measure.ROUTED, kind)) for kind, (text, look) in ROUTES.items()],
            times,
            every,
        ),
        "troubles": chart(
            [Series(said(text), look, over_time(one, None)) for one, (text, look) in _TROUBLES.items()], times, every
        ),
        "took": _took(visit, found),
    }
    if gateways:
        charts["gateways"] = _gateways(visit, gateways)
    return visit.page("dashboard.html", path=PATH, span=span, spans=_SPAN_WORDS, charts=charts, titles=TITLES)


TITLES: Final = {
    "routes": N_("Recipients by route"),
    "troubles": N_("Put off, returned, refused"),
    "took": N_("Time until delivery"),
    "gateways": N_("Users' gateways now"),
}


def _time(visit: Visit, hour: int, hours: int) -> str:
    """What stands below a bar."""
    then, language = datetime.fromtimestamp(hour * HOUR, visit.zone), visit.said.language
    day, clock = format_skeleton("MMMd", then, locale=language), format_time(then, "short", locale=language)
    return clock if hours == 1 else f"{day} {clock}" if hours < _DAY else day


def _took(visit: Visit, found: Iterable[Tally]) -> Chart:
    """Deliveries by class of how long they took."""
    counts = Counter[str]()
    for one in found:
        if one.measure is Measure.TOOK:
            counts[one.label] += one.count
    classes: Sequence[str] = sorted(counts, key=float)
    series = Series(visit.said("deliveries"), "gateway", tuple(counts[one] for one in classes))
    return chart([series], [_at_most(visit, one) for one in classes])


def _at_most(visit: Visit, label: str) -> str:
    """A class in words."""
    seconds = float(label)
    if seconds == float("inf"):
        return visit.said("longer")
    for unit, text in ((3600, N_("≤ %(number)s h")), (60, N_("≤ %(number)s min"))):
        if seconds >= unit:
            return visit.said(text, number=visit.said.number(seconds / unit))
    return visit.said("≤ %(number)s s", number=visit.said.number(seconds))


def _gateways(visit: Visit, census: GatewayCensus) -> Chart:
    said = visit.said
    works = max(0, census.known - census.failing - census.without_password)
    counts = ((said("work"), "gateway", works), (said("failing"), "bad", census.failing))
    rows = [*counts, (said("wait for a password"), "behalf", census.without_password)]
    series = [
        Series(name, look, tuple(count if number == place else 0 for place in range(len(rows))))
        for number, (name, look, count) in enumerate(rows)
    ]
    return chart(series, [name for name, _, _ in rows])
