"""Reporting > Retry schedules: when waiting mail is tried again, told of and returned, as the settings have it by way;
and the destinations where an administrator has it otherwise.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.deliver.usual_schedule import usual_schedules
from outgate.directory.errors import Invalid
from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.model import Schedule, ScheduleChange
from outgate.operations import schedule_operations
from outgate.web import safety_question
from outgate.web.dashboard_page import ROUTES
from outgate.web.form import Form
from outgate.web.safety_question import SafetyQuestion
from outgate.web.span_fields import UNITS, span_entered
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_, Words

PATH: Final = "/admin/reporting/retry-schedules"

_DONE: Final = {
    "set": N_("The schedule is set. What waits goes by it from its next attempt on."),
    "remove": N_("The schedule is removed. What waits goes by the settings' from its next attempt on."),
}


class RetrySchedulesPage:
    """Shows schedules, and changes those of destinations."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _act)]


def schedule_lines(said: Words, one: Schedule | ScheduleChange) -> Iterator[str]:
    """A schedule, or what is otherwise in one, a sentence each."""
    if one.retry_first is not None:
        yield said("Tried again after %(time)s", time=said.duration(one.retry_first))
    if one.retry_factor is not None:
        yield said("Each further wait %(number)s times as long", number=said.number(one.retry_factor))
    if one.retry_longest is not None:
        yield said("None longer than %(time)s", time=said.duration(one.retry_longest))
    if one.delay_report_after:
        yield said("Its sender is told after %(time)s", time=said.duration(one.delay_report_after))
    elif one.delay_report_after is not None:
        yield said("Its sender is not told that it waits")
    if one.give_up_after is not None:
        yield said("Returned after %(time)s", time=said.duration(one.give_up_after))


def _show(visit: Visit, status: int = 200, why: str = "") -> Response:
    form = visit.form
    with visit.reading() as op:
        own = schedule_operations.listed(op)
    done = _DONE.get(form.text("done"))
    return visit.page(
        "retry_schedules.html",
        status,
        path=PATH,
        why=why,
        done=visit.said(done) if done else "",
        entered=form if why else Form([("destination", form.text("destination"))]),
        own=own,
        usual={ROUTES[way][0]: one for way, one in usual_schedules(visit.services.config.delivery).items()},
        lines=lambda one: schedule_lines(visit.said, one),
        units=UNITS,
        may_manage=visit.may(Privilege.QUEUE_MANAGE),
    )


# --- changes ---------------------------------------------------------------------------------------------------------


def _act(visit: Visit) -> Response:
    """Do it; what can't be done is said on the page."""
    do = visit.form.text("do")
    if do not in _DONE:
        raise Invalid("“{text}” can't be done with a schedule; choose a button of the page", text=do)
    try:
        if do == "remove" and not safety_question.is_meant(visit):
            return _ask(visit)
        _set(visit) if do == "set" else _remove(visit)
    except Exception as error:
        return _show(visit, status_of(error), visit.said.error(error))
    return visit.go_to(f"{PATH}?{urlencode({'done': do})}")


def _set(visit: Visit) -> None:
    form, usual = visit.form, usual_schedules(visit.services.config.delivery)
    change, lasts = _entered(form), span_entered(form, "lasts")
    with visit.writing() as op:
        schedule_operations.set_schedule(op, usual, form.text("destination"), change, form.text("reason"), lasts)


def _entered(form: Form) -> ScheduleChange:
    return ScheduleChange(
        span_entered(form, "first"),
        _factor(form.text("factor")),
        span_entered(form, "longest"),
        0.0 if form.ticked("untold") else span_entered(form, "told"),
        span_entered(form, "returned"),
    )


def _factor(text: str) -> float | None:
    """With a point or a comma. Raises Invalid."""
    try:
        return float(text.replace(",", ".")) if text else None
    except ValueError:
        raise Invalid("“{text}” is not a number; write it as 3 or 1.5, or leave the field empty", text=text) from None


def _remove(visit: Visit) -> None:
    with visit.writing() as op:
        schedule_operations.remove(op, visit.form.text("destination"))


def _ask(visit: Visit) -> Response:
    said, destination = visit.said, visit.form.text("destination")
    asked = SafetyQuestion(
        said("Remove this schedule?"),
        said("The settings' schedule holds again: what has waited longer than it allows is returned to its sender."),
        said("Remove schedule"),
        "remove",
        [destination],
        {"destination": destination},
        is_loss=True,
    )
    return safety_question.ask(visit, PATH, PATH, asked)
