"""Directory > Admin roles: the roles with their privileges, and who has which for which unit."""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.directory.privileges import BUILT_IN, IN_WORDS, Privilege
from outgate.http.http_route import HttpRoute
from outgate.operations import role_operations
from outgate.web import safety_question
from outgate.web.safety_question import SafetyQuestion
from outgate.web.users_page import path_of, units_of
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_

PATH: Final = "/admin/directory/roles"

_DONE: Final = {
    "assign": N_("The role is given. It holds from the next page on."),
    "unassign": N_("The role is taken away."),
    "create": N_("The role is made."),
    "remove": N_("The role is removed."),
}


class RolesPage:
    """Shows roles, and changes them."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _act)]


def _show(visit: Visit, status: int = 200, why: str = "") -> Response:
    with visit.reading() as op:
        roles = role_operations.list_roles(op)
        assigned = role_operations.assignments(op)
    done = _DONE.get(visit.form.text("done"))
    return visit.page(
        "roles.html",
        status,
        why=why,
        done=visit.said(done) if done else "",
        path=PATH,
        roles=roles,
        built_in=BUILT_IN,
        assigned=assigned,
        privileges=IN_WORDS,
        units=units_of(visit),
        path_of=path_of,
        may_manage=visit.may(Privilege.ROLES_MANAGE),
    )


def _act(visit: Visit) -> Response:
    """Do it; what can't be done is said on the page."""
    acts = {"assign": _assign, "unassign": _unassign, "create": _create, "remove": _remove}
    do = visit.form.text("do")
    if do not in acts:
        raise Invalid("“{text}” can't be done with a role; choose a button of the page", text=do)
    try:
        if do in _QUESTIONS and not safety_question.is_meant(visit):
            return _ask(visit, do)
        acts[do](visit)
    except Exception as error:
        return _show(visit, status_of(error), visit.said.error(error))
    return visit.go_to(f"{PATH}?{urlencode({'done': do})}")


_QUESTIONS: Final = {
    "unassign": (N_("Take this role away?"), N_("What it allows is not allowed any more, from the next page on.")),
    "remove": (N_("Remove this role?"), N_("Lost is the list of its privileges. Nobody may have it any more.")),
}
_BUTTONS: Final = {"unassign": N_("Take away"), "remove": N_("Remove role")}


def _ask(visit: Visit, do: str) -> Response:
    said, form = visit.said, visit.form
    asks, means = _QUESTIONS[do]
    fields = {name: form.text(name) for name in ("user", "role", "unit") if name in form}
    about = [" · ".join(fields.values())]
    asked = SafetyQuestion(said(asks), said(means), said(_BUTTONS[do]), do, about, fields, is_loss=do == "remove")
    return safety_question.ask(visit, PATH, PATH, asked)


def _assign(visit: Visit) -> None:
    form = visit.form
    with visit.writing() as op:
        role_operations.assign(op, form.text("user"), form.text("role"), form.text("unit", "/"))


def _unassign(visit: Visit) -> None:
    form = visit.form
    with visit.writing() as op:
        role_operations.unassign(op, form.text("user"), form.text("role"), form.text("unit", "/"))


def _create(visit: Visit) -> None:
    form = visit.form
    wanted = [one.value for one in Privilege if form.ticked(one.value)]
    with visit.writing() as op:
        role_operations.create(op, form.text("role"), wanted, form.text("summary"))


def _remove(visit: Visit) -> None:
    with visit.writing() as op:
        role_operations.remove(op, visit.form.text("role"))
