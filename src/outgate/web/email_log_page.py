"""Reporting > Email log search: any message, found by what people know of it.

Every search has an address that can be sent to a colleague: its times are there with the zone that they are meant in.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.operations import message_log_operations
from outgate.operations.context import OperationContext
from outgate.operations.queue_names import queue_names
from outgate.queue.queue_id import from_text, to_text
from outgate.record.message_log import LoggedMessage, MessageFilter, MessageOutcome
from outgate.web.form import Form
from outgate.web.journey import look_of_route
from outgate.web.time_field import time_asked, time_shown
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_, zone_of

PATH: Final = "/admin/reporting/email-log-search"
ON_A_PAGE: Final = 50

OUTCOMES: Final = {
    MessageOutcome.WAITING: N_("waits"),
    MessageOutcome.DELIVERED: N_("delivered"),
    MessageOutcome.BOUNCED: N_("returned"),
    MessageOutcome.REFUSED: N_("refused"),
}
_TIMES: Final = ("since", "until")
_FIELDS: Final = ("sender", "recipient", "message_id", "outcome", *_TIMES)


@frozen
class LoggedWay:
    """By which server some recipients of a message were to get it; `queue` as people call it, `look`
    the class that it is shown by."""

    look: str
    queue: str


class EmailLogPage:
    """The form, and what was found."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _search)]


def _search(visit: Visit) -> Response:
    """The newest messages that match; what is a queue id leads to its message."""
    form = visit.form
    if (identity := _queue_id(form.text("message_id"))) is not None:
        return visit.go_to(f"{PATH}/{to_text(identity)}")
    zone = zone_of(form.text("zone")) if "zone" in form else visit.zone
    asked = {name: form.text(name) for name in _FIELDS}
    asked |= {name: time_shown(asked[name], zone, visit.zone) for name in _TIMES}
    try:
        wanted = _wanted(form, zone)
        with visit.reading() as op:
            found = message_log_operations.messages(op, wanted)
            ways = _ways(op, found)
    except Invalid as error:
        return _shown(visit, asked, status=status_of(error), why=visit.said.error(error))
    return _shown(visit, asked, found, ways)


def _shown(
    visit: Visit,
    asked: dict[str, str],
    found: list[LoggedMessage] | None = None,
    ways: Mapping[int, Sequence[LoggedWay]] | None = None,
    status: int = 200,
    why: str = "",
) -> Response:
    """The form as it was filled in, with what was found or why nothing was looked for."""
    return visit.page(
        "email_log.html",
        status,
        why=why,
        path=PATH,
        asked=asked,
        is_asked=any(asked.values()),
        found=None if found is None else found[:ON_A_PAGE],
        leaves_by=ways or {},
        older=_behind(visit, asked, found or []),
        outcomes=OUTCOMES,
        to_text=to_text,
    )


def _ways(op: OperationContext, found: Sequence[LoggedMessage]) -> Mapping[int, Sequence[LoggedWay]]:
    """By message."""
    routed = message_log_operations.routes(op, [one.event.message_id for one in found])
    names = queue_names(op, {one.detail["queue"] for one in routed})
    ways = defaultdict[int, list[LoggedWay]](list)
    for one in routed:
        ways[one.message_id].append(LoggedWay(look_of_route(one.detail), names[one.detail["queue"]]))
    return ways


def _wanted(form: Form, zone: tzinfo) -> MessageFilter:
    """Raises Invalid."""
    older_than = form.text("older_than")
    behind = _queue_id(older_than)
    if older_than and behind is None:
        raise Invalid("“{text}” is not a queue id; search again from the newest message", text=older_than)
    return MessageFilter(
        sender=form.text("sender") or None,
        recipient=form.text("recipient") or None,
        message_id=form.text("message_id") or None,
        outcome=_outcome(form.text("outcome")),
        since=time_asked(form.text("since"), zone),
        until=time_asked(form.text("until"), zone),
        limit=ON_A_PAGE + 1,  # so it is known whether there are more
        older_than=behind,
    )


def _outcome(text: str) -> MessageOutcome | None:
    try:
        return MessageOutcome(text) if text else None
    except ValueError:
        raise Invalid("“{text}” is no outcome; choose one of the list", text=text) from None


def _queue_id(text: str) -> int | None:
    try:
        return from_text(text)
    except ValueError:
        return None


def _behind(visit: Visit, asked: dict[str, str], found: list[LoggedMessage]) -> str:
    """The address of the page behind this one; empty if this is the last."""
    if len(found) <= ON_A_PAGE:
        return ""
    query = {name: text for name, text in asked.items() if text}
    last = to_text(found[ON_A_PAGE - 1].event.message_id)
    return f"{PATH}?{urlencode({**query, 'zone': str(visit.zone), 'older_than': last})}"
