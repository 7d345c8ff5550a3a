"""Directory > Organizational units: the tree; adding, renaming, moving and removing a unit."""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.directory.privileges import Privilege
from outgate.http.http_route import HttpRoute
from outgate.operations import domain_operations, unit_operations
from outgate.web import safety_question, unit_tree
from outgate.web.safety_question import SafetyQuestion
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_

PATH: Final = "/admin/directory/units"

_DONE: Final = {
    "create": N_("The unit is added. It inherits the policy of the one above."),
    "move": N_("The unit is moved, with all below it."),
    "remove": N_("The unit is removed."),
}


class UnitsPage:
    """Shows the tree, and changes it."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _act)]


def path_of(unit: str, done: str = "") -> str:
    """Where a unit is shown."""
    return f"{PATH}?{urlencode({'unit': unit, **({'done': done} if done else {})})}"


def _show(visit: Visit, status: int = 200, why: str = "") -> Response:
    tops = unit_tree.tops(visit.holder.grants) or ["/"]
    with visit.reading() as op:
        listed = [unit_operations.list_units(op, top) for top in tops]
        unit = visit.form.text("unit") or listed[0][0]
        unit_operations.list_units(op, unit)  # or it says that there is none
        domain = domain_operations.list_domains(op)[0].name if visit.may(Privilege.UNITS_READ) else ""
    above = unit_tree.parent(unit)
    done = _DONE.get(visit.form.text("done"))
    every = [path for paths in listed for path in paths]
    return visit.page(
        "units_page.html",
        status,
        why=why,
        done=visit.said(done) if done else "",
        path=PATH,
        tree=[unit_tree.tree(paths[0], paths, domain, unit) for paths in listed],
        unit=unit,
        above=above,
        name=unit_tree.name(unit, domain),
        own_name=visit.form.text("name") if why else unit.rpartition("/")[2],
        places=unit_tree.to_choose_from([one for one in every if one != unit and not one.startswith(f"{unit}/")]),
        may_add=visit.may(Privilege.UNITS_MANAGE, unit),
        may_change=unit != "/" and visit.may(Privilege.UNITS_MANAGE, above),
        may_see_users=visit.may(Privilege.USERS_READ, unit),
    )


def _act(visit: Visit) -> Response:
    """Do it; what can't be done is said on the page."""
    acts = {"create": _create, "move": _move, "remove": _remove}
    do = visit.form.text("do")
    if do not in acts:
        raise Invalid("“{text}” can't be done with a unit; choose a button of the page", text=do)
    try:
        return acts[do](visit, visit.form.text("unit"))
    except Exception as error:
        return _show(visit, status_of(error), visit.said.error(error))


def _create(visit: Visit, unit: str) -> Response:
    with visit.writing() as op:
        made = unit_operations.create(op, _below(unit, visit.form.text("new")))
    return visit.go_to(path_of(made, "create"))


def _move(visit: Visit, unit: str) -> Response:
    with visit.writing() as op:
        moved = unit_operations.move(op, unit, _below(visit.form.text("above"), visit.form.text("name")))
    return visit.go_to(path_of(moved, "move"))


def _remove(visit: Visit, unit: str) -> Response:
    if not safety_question.is_meant(visit):
        said = visit.said
        means = said("Lost is the policy that it has of its own. Users and units below it stand in the way.")
        asked = SafetyQuestion(said("Remove this unit?"), means, said("Remove unit"), "remove", [unit], {"unit": unit})
        return safety_question.ask(visit, PATH, path_of(unit), asked)
    with visit.writing() as op:
        unit_operations.remove(op, unit)
    return visit.go_to(path_of(unit_tree.parent(unit), "remove"))


def _below(unit: str, name: str) -> str:
    """The path of a unit of this name. Raises Invalid."""
    if not name:
        raise Invalid("enter the unit's name")
    if "/" in name:
        raise Invalid("a unit's name has no slash; choose the unit above it from the list")
    return f"{unit.rstrip('/')}/{name}"
