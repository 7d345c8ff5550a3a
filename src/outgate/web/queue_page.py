"""Reporting > Queue: what waits where and since when; and what is done with it: with a queue, with what a search finds,
with one message. A queue can be suspended and get a ceiling, too (queue_restrictions).

What stops or loses mail is asked for once more, with what it means. Changes of much mail go on after the answer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Self
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.deliver.usual_schedule import usual_schedules
from outgate.directory.errors import Invalid, NotFound
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.model import Cause, QueueKey
from outgate.operations import queue_operations, restriction_operations, schedule_operations
from outgate.operations.context import OperationContext
from outgate.operations.queue_names import queue_names
from outgate.operations.waiting_mail import LaterChange
from outgate.queue.admin import Count, Selection, Waiting
from outgate.queue.queue_id import from_text, to_text
from outgate.web import email_log_page, queue_restrictions, retry_schedules_page, safety_question
from outgate.web.form import Form
from outgate.web.rate_fields import PERIODS
from outgate.web.retry_schedules_page import schedule_lines
from outgate.web.safety_question import SafetyQuestion
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from outgate.web.words import N_

PATH: Final = "/admin/reporting/queue"
SHOWN: Final = 100  # recipients on a page
QUEUES: Final = 50  # on a page
MANY: Final = 1000  # recipients: more are not counted before a question
_LAST: Final = 2**63 - 1  # message


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


@frozen
class QueueAsked:
    """Which waiting mail is meant; what is empty is not asked for. `address` is part of the sender's, the recipient's
    or the account's.
    """

    message: str = ""
    queue: str = ""
    address: str = ""

    @classmethod
    def of(cls, form: Form) -> Self:
        """As the form says it."""
        return cls(form.text("message"), form.text("queue"), form.text("address"))

    @property
    def fields(self) -> dict[str, str]:
        """What says the same in a form."""
        every = {"message": self.message, "queue": self.queue, "address": self.address}
        return {name: text for name, text in every.items() if text}

    @property
    def path(self) -> str:
        """Where it is shown."""
        if self.message:
            return f"{email_log_page.PATH}/{self.message}"
        return f"{PATH}?{urlencode(self.fields)}" if self.fields else PATH

    def done(self, do: str) -> str:
        """The same, with what was done there."""
        return f"{self.path}{'&' if '?' in self.path else '?'}{urlencode({'done': do})}"

    def selection(self) -> Selection:
        """Never all that waits. Raises Invalid."""
        if not self.fields:
            raise Invalid("say which mail is meant: a message, a queue, or part of an address")
        try:
            message = from_text(self.message) if self.message else None
        except ValueError:
            raise Invalid(
                "“{text}” is not a queue id: 13 letters and digits, as in 0c8sm2v1r0003", text=self.message
            ) from None
        return Selection(message_id=message, queue=self.queue or None, address=self.address or None)


def _show(visit: Visit) -> Response:
    """All queues; of what is asked for the mail that waits longest."""
    asked = QueueAsked.of(visit.form)
    with visit.reading() as op:
        counts = queue_operations.counts(op, QUEUES + 1, _behind(visit))
        found, further = _found(visit, op, asked)
        held_back = restriction_operations.by_queue(op)
        newest = sorted(held_back.items(), key=lambda one: -max(each.since for each in one[1]))
        suspended = dict(newest[:QUEUES])
        waits = {*(one.queue for one in counts), *(one.queue for one in found)}
        names = queue_names(op, {*_known(asked), *suspended, *waits})
        schedules = schedule_operations.of_queues(op, usual_schedules(visit.services.config.delivery), _known(asked))
    done = _DONE.get(visit.form.text("done"))
    return visit.page(
        "queue.html",
        path=PATH,
        log=email_log_page.PATH if visit.may(Privilege.LOG_READ) else "",
        counts=counts[:QUEUES],
        fewer=_fewer(counts),
        suspended=suspended,
        asked=asked,
        name=names.get(asked.queue, asked.queue),
        names=names,
        found=found,
        further=further,
        held_back=held_back,
        suspension=next((one for one in held_back.get(asked.queue, ()) if one.suspends), None),
        ceiling=next((one for one in held_back.get(asked.queue, ()) if one.cause is Cause.LIMIT), None),
        ceiling_words=lambda one: queue_restrictions.ceiling_words(visit.said, one),
        periods=PERIODS,
        schedule=next(iter(schedules.values()), None),
        lines=lambda one: schedule_lines(visit.said, one),
        schedules=retry_schedules_page.PATH,
        actions=ACTIONS if visit.may(Privilege.QUEUE_MANAGE) else {},
        may_manage=visit.may(Privilege.QUEUE_MANAGE),
        done=visit.said(done) if done else "",
        to_text=to_text,
    )


def _behind(visit: Visit) -> tuple[int, str] | None:
    """Recipients and queue behind which the list begins."""
    recipients = visit.form.number("fewer")
    return (recipients, visit.form.text("after")) if recipients is not None else None


def _fewer(counts: Sequence[Count]) -> str:
    """The address of the page behind this one; empty if this is the last."""
    if len(counts) <= QUEUES:
        return ""
    last = counts[QUEUES - 1]
    return f"{PATH}?{urlencode({'fewer': last.recipients, 'after': last.queue})}"


def _known(asked: QueueAsked) -> list[str]:
    """The queue that is asked for, if it is one."""
    try:
        return [str(QueueKey.parse(asked.queue))]
    except ValueError:
        return []


def _found(visit: Visit, op: OperationContext, asked: QueueAsked) -> tuple[list[Waiting], str]:
    """A page of what waits, and the address of the page behind it; messages are not divided if that can be."""
    if not asked.queue and not asked.address:
        return [], ""
    begin = visit.form.text("from")
    try:
        first = from_text(begin) if begin else 0
    except ValueError:
        raise Invalid("“{text}” is not a queue id; look again from the oldest message", text=begin) from None
    wanted = replace(asked.selection(), message_id=None, within=(first, _LAST))
    found = queue_operations.waiting(op, wanted, SHOWN + 1)
    if len(found) <= SHOWN:
        return found, ""
    last = found[SHOWN].message_id
    whole = [one for one in found if one.message_id < last]
    behind = last if whole else last + 1
    return whole or found[:SHOWN], f"{asked.path}&{urlencode({'from': to_text(behind)})}"


# --- changes ---------------------------------------------------------------------------------------------------------


def _act(visit: Visit) -> Response:
    """Do it, or ask whether it is meant."""
    form = visit.form
    do, asked = form.text("do"), QueueAsked.of(form)
    if do in queue_restrictions.ACTS:
        queue_restrictions.ACTS[do](visit, asked.queue)
        return visit.go_to(asked.done(do))
    action = ACTIONS.get(do)
    if action is None:
        raise Invalid("“{text}” can't be done with waiting mail; choose a button of the queue's page", text=do)
    wanted = asked.selection()
    if action.asks and not safety_question.is_meant(visit):
        return _ask(visit, do, asked, wanted)
    with visit.writing() as op:
        action.change(op, wanted)
    return visit.go_to(asked.done(do))


def _ask(visit: Visit, do: str, asked: QueueAsked, wanted: Selection) -> Response:
    """Names what is concerned. Raises NotFound if nothing waits there."""
    action, said = ACTIONS[do], visit.said
    with visit.reading() as op:
        about = [*_about(visit, op, asked), *_how_much(visit, op, asked, wanted)]
    question = SafetyQuestion(
        said(action.asks), said(action.means), said(action.button), do, about, asked.fields, is_loss=do == "delete"
    )
    return safety_question.ask(visit, PATH, asked.path, question)


def _about(visit: Visit, op: OperationContext, asked: QueueAsked) -> Iterator[str]:
    if asked.message:
        yield visit.said("The message %(message)s", message=asked.message)
    if asked.queue:
        names = queue_names(op, _known(asked))
        yield visit.said("For %(name)s", name=names.get(asked.queue, asked.queue))
    if asked.address:
        yield visit.said("With “%(text)s” in an address", text=asked.address)


def _how_much(visit: Visit, op: OperationContext, asked: QueueAsked, wanted: Selection) -> Iterator[str]:
    if wanted.message_id is not None:
        number = len(queue_operations.of_message(op, wanted.message_id))
    else:
        number = len(queue_operations.waiting(op, wanted, MANY))
    if not number:
        raise NotFound("nothing waits there any more")
    if number == MANY:
        yield visit.said("%(number)s recipients or more", number=visit.said.number(number))
    else:
        yield visit.said.several("%(num)s recipient", "%(num)s recipients", number)


_DONE: Final = {
    **{name: action.done for name, action in ACTIONS.items()},
    **queue_restrictions.DONE,
}
