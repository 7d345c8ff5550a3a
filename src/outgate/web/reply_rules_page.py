"""Reporting > Reply rules: what servers mean by their replies; rules of one's own; a trial of a reply."""

import re
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.directory.privileges import Privilege
from outgate.directory.reply_rules import ReplyRule, RuleAction
from outgate.http.http_route import HttpRoute
from outgate.operations import reply_rule_operations
from outgate.operations.reply_rule_operations import RuleSettings
from outgate.web import safety_question
from outgate.web.form import Form
from outgate.web.rate_fields import PERIODS, rate_entered, said_rate
from outgate.web.safety_question import SafetyQuestion
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_, Words

PATH: Final = "/admin/reporting/reply-rules"

ACTIONS: Final = {
    RuleAction.SUSPEND: N_("Suspend the queue"),
    RuleAction.SLOW_DOWN: N_("Slow down"),
    RuleAction.WAIT: N_("Let this message wait"),
    RuleAction.GIVE_UP: N_("Give up: return the message"),
}
_DONE: Final = {
    "add": N_("The rule is made. The next reply that it fits is read by it."),
    "remove": N_("The rule is removed. What it has suspended or slowed down stays so until its end."),
}


class ReplyRulesPage:
    """Shows rules, and changes those of administrators."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _act)]


def _show(visit: Visit, status: int = 200, why: str = "") -> Response:
    form, installed = visit.form, visit.services.reply_rules
    reply, host = form.text("reply"), form.text("host")
    with visit.reading() as op:
        rules = reply_rule_operations.listed(op, installed)
        found = reply_rule_operations.reading(op, installed, reply, host) if reply else None
    done = _DONE.get(form.text("done"))
    return visit.page(
        "reply_rules.html",
        status,
        path=PATH,
        why=why,
        done=visit.said(done) if done else "",
        entered=form if why else Form(()),
        own=[one for one in rules if one.own],
        installed=[one for one in rules if not one.own],
        reply=reply,
        host=host,
        found=found,
        follows=lambda rule: follows(visit.said, rule),
        actions=ACTIONS,
        periods=PERIODS,
        may_manage=visit.may(Privilege.QUEUE_MANAGE),
    )


def follows(said: Words, rule: ReplyRule) -> str:
    """What a rule does, in a sentence."""
    time = said.duration(rule.seconds)
    match rule.action:
        case RuleAction.SUSPEND:
            return said("The queue is suspended for %(time)s.", time=time)
        case RuleAction.SLOW_DOWN:
            return said("At most %(rate)s go there for %(time)s.", rate=said_rate(said, rule.rate), time=time)
        case RuleAction.WAIT:
            return said("The message is tried again after %(time)s.", time=time)
        case RuleAction.GIVE_UP:
            return said("The message is returned at once.")


# --- changes ---------------------------------------------------------------------------------------------------------


def _act(visit: Visit) -> Response:
    """Do it; what can't be done is said on the page."""
    do = visit.form.text("do")
    if do not in _DONE:
        raise Invalid("“{text}” can't be done with a rule; choose a button of the page", text=do)
    try:
        if do == "remove" and not safety_question.is_meant(visit):
            return _ask(visit)
        _add(visit) if do == "add" else _remove(visit)
    except Exception as error:
        return _show(visit, status_of(error), visit.said.error(error))
    return visit.go_to(f"{PATH}?{urlencode({'done': do})}")


def _add(visit: Visit) -> None:
    wanted = _entered(visit.form)
    hours = _number(visit.form, "hours")
    with visit.writing() as op:
        reply_rule_operations.add(op, visit.services.reply_rules, wanted, None if hours is None else hours * 3600.0)


def _entered(form: Form) -> RuleSettings:
    action = form.text("action")
    if action not in ACTIONS:
        raise Invalid("“{text}” is nothing that a rule can do; choose one of the list", text=action)
    return RuleSettings(
        form.text("name"),
        form.text("words"),
        RuleAction(action),
        form.text("reason"),
        tuple(filter(None, re.split(r"[\s,;]+", form.text("hosts")))),
        (_number(form, "minutes") or 0) * 60.0,
        rate_entered(form),
    )


def _number(form: Form, name: str) -> int | None:
    """A number of at least 1; None if nothing was entered. Raises Invalid."""
    text = form.text(name)
    if text and not form.number(name):
        raise Invalid("“{text}” is not a number; write it as 60, or leave the field empty", text=text)
    return form.number(name)


def _remove(visit: Visit) -> None:
    with visit.writing() as op:
        reply_rule_operations.remove(op, visit.form.text("name"))


def _ask(visit: Visit) -> Response:
    said, name = visit.said, visit.form.text("name")
    asked = SafetyQuestion(
        said("Remove this rule?"),
        said("Replies that it has read are read by the next rule that fits, or as they say."),
        said("Remove rule"),
        "remove",
        [name],
        {"name": name},
        is_loss=True,
    )
    return safety_question.ask(visit, PATH, PATH, asked)
