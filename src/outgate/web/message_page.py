"""Email log search > a message: why it went which way, each attempt with what the peer said, what became of whom."""

from typing import Final

from starlette.responses import Response

from outgate.directory.errors import NotFound
from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.operations import message_log_operations, queue_operations
from outgate.operations.context import OperationContext
from outgate.operations.queue_names import queue_names
from outgate.queue.admin import Selection, Waiting
from outgate.queue.queue_id import from_text, to_text
from outgate.record.message_log import MessageOutcome
from outgate.web import email_log_page, queue_page
from outgate.web.email_log_page import OUTCOMES
from outgate.web.journey import Journey, journey_of
from outgate.web.queue_page import ACTIONS
from outgate.web.visit import Visit
from outgate.web.visits import Visits

MOVES: Final = (
    600.0  # seconds after it came that its page follows it by itself: an open page keeps no log-in alive longer
)
MANY: Final = 1000  # recipients of it whose state in the queue is shown
PATH: Final = f"{email_log_page.PATH}/{{identity}}"


class MessagePage:
    """Shows one message's journey."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show)]


def _show(visit: Visit) -> Response:
    identity = _identity(visit)
    with visit.reading() as op:
        found = message_log_operations.history(op, identity)
        waiting = _waiting(visit, op, identity)
        names = queue_names(op, {event.detail["queue"] for event in found if "queue" in event.detail})
    journey = journey_of(found)
    if journey is None:
        raise NotFound("there is no message {identity} in the mail log", identity=to_text(identity))
    done = ACTIONS.get(visit.form.text("done"))
    return visit.page(
        "message.html",
        done=visit.said(done.done) if done else "",
        waiting={one.recipient: one for one in waiting},
        queue=queue_page.PATH,
        actions=ACTIONS if waiting and visit.may(Privilege.QUEUE_MANAGE) else {},
        log=email_log_page.PATH,
        identity=to_text(identity),
        journey=journey,
        is_moving=_is_moving(visit, journey),
        sender=_sender(journey),
        names=names,
        outcomes=OUTCOMES,
        days=_days(visit, journey),
    )


def _waiting(visit: Visit, op: OperationContext, identity: int) -> list[Waiting]:
    """What the queue says of it, to who may see the queue."""
    if not visit.may(Privilege.QUEUE_READ):
        return []
    return queue_operations.waiting(op, Selection(message_id=identity), MANY)


def _identity(visit: Visit) -> int:
    text = visit.request.path_params["identity"]
    try:
        return from_text(text)
    except ValueError:
        raise NotFound("“{text}” is not a queue id: 13 letters and digits, as in 0c8sm2v1r0003", text=text) from None


def _is_moving(visit: Visit, journey: Journey) -> bool:
    """Whether more is to come soon, so that the page looks again by itself."""
    is_young = visit.services.now() - journey.first.at < MOVES
    return is_young and any(one.outcome is MessageOutcome.WAITING for one in journey.recipients)


def _sender(journey: Journey) -> str:
    """As in From; a report has no sender at all."""
    detail = journey.first.detail
    return ", ".join(detail["from"]) or detail["mail_from"] or detail["account"] or "<>"


def _days(visit: Visit, journey: Journey) -> list[str]:
    """For each step the day, if it is another one than the step's before."""
    days = [visit.said.day(step.at, visit.zone) for step in journey.steps]
    return [day if day != before else "" for before, day in zip(["", *days], days, strict=False)]
