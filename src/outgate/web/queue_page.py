"""Reporting > Queue: what waits where and since when; and what is done with it, of a queue or of one message.

What stops or loses mail is asked for once more, with what it means. Changes of a whole queue go on after the answer.
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid, NotFound
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.operations import queue_operations
from outgate.operations.context import OperationContext
from outgate.operations.queue_names import queue_names
from outgate.operations.waiting_mail import LaterChange
from outgate.queue.admin import Selection
from outgate.queue.queue_id import from_text, to_text
from outgate.web import email_log_page
from outgate.web.form import Form
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from outgate.web.words import N_

PATH: Final = "/admin/reporting/queue"
SHOWN: Final = 100  # recipients of a queue


@frozen
class QueueAction:
    """What can be done with waiting mail. `asks` is the question before it, `means` what it leads to."""

    change: Callable[[OperationContext, Selection], LaterChange]
    button: str
    done: str
    asks: str = ""
    means: str = ""


ACTIONS: Final = {
    "retry": QueueAction(queue_operations.retry, N_("Retry now"), N_("What is not held is tried again now.")),
    "release": QueueAction(queue_operations.release, N_("Release"), N_("What was held goes on.")),
    "hold": QueueAction(
        queue_operations.hold,
        N_("Hold"),
        N_("It is held until somebody releases it."),
        N_("Hold this mail?"),
        N_("It is not tried again until somebody releases it. An attempt that is under way is not broken off."),
    ),
    "delete": QueueAction(
        queue_operations.delete,
        N_("Delete"),
        N_("It is deleted, except what is being handed over at this moment."),
        N_("Delete this mail for good?"),
        N_("It is not delivered, and nobody is told, not even its sender. The mail log says that it was deleted."),
    ),
}


class QueuePage:
    """Shows the queue, and changes it."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _act)]


def _show(visit: Visit) -> Response:
    """All queues; of the one that is asked for what waits longest."""
    queue = visit.form.text("queue")
    with visit.reading() as op:
        counts = queue_operations.counts(op)
        found = queue_operations.waiting(op, Selection(queue=queue), SHOWN) if queue else []
        names = queue_names(op, {*(one.queue for one in counts), *(one.queue for one in found)})
    done = ACTIONS.get(visit.form.text("done"))
    return visit.page(
        "queue.html",
        path=PATH,
        log=email_log_page.PATH if visit.may(Privilege.LOG_READ) else "",
        counts=counts,
        queue=queue,
        name=names.get(queue, queue),
        names=names,
        found=found,
        shown=SHOWN,
        actions=ACTIONS if visit.may(Privilege.QUEUE_MANAGE) else {},
        done=visit.said(done.done) if done else "",
        to_text=to_text,
    )


def _act(visit: Visit) -> Response:
    """Do it, or ask whether it is meant."""
    form = visit.form
    name, wanted = form.text("do"), _selection(form)
    action = ACTIONS.get(name)
    if action is None:
        raise Invalid("“{text}” can't be done with waiting mail; choose a button of the queue's page", text=name)
    if action.asks and not form.ticked("meant"):
        return _ask(visit, name, wanted)
    with visit.writing() as op:
        action.change(op, wanted)
    if wanted.message_id is not None:
        return visit.go_to(f"{email_log_page.PATH}/{to_text(wanted.message_id)}?{urlencode({'done': name})}")
    return visit.go_to(f"{PATH}?{urlencode({'queue': wanted.queue, 'done': name})}")


def _ask(visit: Visit, name: str, wanted: Selection) -> Response:
    """Raises NotFound if nothing waits there."""
    with visit.reading() as op:
        facts = _of_queue(op, wanted.queue) if wanted.queue else _of_message(op, wanted.message_id or 0)
    return visit.page("queue_ask.html", path=PATH, do=name, action=ACTIONS[name], **facts)


def _of_queue(op: OperationContext, queue: str) -> dict[str, Any]:
    found = next((one for one in queue_operations.counts(op) if one.queue == queue), None)
    if found is None:
        raise NotFound("nothing waits there any more")
    called = queue_names(op, {queue})[queue]
    back = f"{PATH}?{urlencode({'queue': queue})}"
    return {
        "back": back,
        "queue": queue,
        "name": called,
        "message": "",
        "messages": found.messages,
        "recipients": found.recipients,
    }


def _of_message(op: OperationContext, message_id: int) -> dict[str, Any]:
    message, recipients = to_text(message_id), len(queue_operations.of_message(op, message_id))
    back = f"{email_log_page.PATH}/{message}"
    return {"back": back, "queue": "", "name": "", "message": message, "messages": 1, "recipients": recipients}


def _selection(form: Form) -> Selection:
    """Of one message, else of one queue: never of all that waits."""
    message, queue = form.text("message"), form.text("queue")
    if not message and not queue:
        raise Invalid("say which mail is meant: a message, or a queue")
    try:
        return Selection(message_id=from_text(message)) if message else Selection(queue=queue)
    except ValueError:
        raise Invalid("“{text}” is not a queue id: 13 letters and digits, as in 0c8sm2v1r0003", text=message) from None
