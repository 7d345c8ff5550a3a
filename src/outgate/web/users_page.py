"""Directory > Users: the list, page by page, and adding somebody. One user is on user_page.py."""

from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from outgate.directory.errors import NotAllowed
from outgate.directory.privileges import Privilege
from outgate.directory.users import Credentials, User, UserFilter
from outgate.http.http_route import HttpRoute
from outgate.operations import unit_operations, user_operations
from outgate.web import unit_tree
from outgate.web.new_password import new_password
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of

PATH: Final = "/admin/directory/users"
ADD: Final = f"{PATH}/add"
ON_A_PAGE: Final = 50
_FIELDS: Final = ("user", "unit", "state")
_SUSPENDED: Final = {"active": False, "suspended": True}


class UsersPage:
    """Shows users, and adds one."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.get(ADD, _ask), visits.post(ADD, _add)]


def path_of(address: str) -> str:
    """Where a user's page is."""
    return f"{PATH}/{quote(address, safe='@')}"


def unit_asked(visit: Visit, privilege: Privilege = Privilege.USERS_READ) -> str:
    """The unit that the form names, else the first in which the visitor may look."""
    tops = unit_tree.tops(visit.holder.grants, privilege)
    return visit.form.text("unit") or (tops[0] if tops else "/")


def units_of(visit: Visit) -> tuple[str, ...]:
    """All that its visitor sees, for choosing one; none if they are too many for that."""
    found: list[str] = []
    with visit.reading() as op:
        for top in unit_tree.tops(visit.holder.grants):
            found += unit_operations.list_units(op, top)
    return unit_tree.to_choose_from(found)


def _show(visit: Visit) -> Response:
    form, unit = visit.form, unit_asked(visit)
    wanted = UserFilter(
        text=form.text("user"),
        suspended=_SUSPENDED.get(form.text("state")),
        after=form.text("after"),
        limit=ON_A_PAGE + 1,  # so it is known whether there are more
    )
    with visit.reading() as op:
        found = user_operations.search(op, wanted, unit)
    return visit.page(
        "users.html",
        path=PATH,
        done=visit.said("The user is deleted.") if form.text("done") == "remove" else "",
        add=ADD if visit.may(Privilege.USERS_MANAGE, unit) else "",
        find=wanted.text,
        unit=unit,
        units=units_of(visit),
        state=form.text("state"),
        is_asked=any(form.text(name) for name in _FIELDS),
        found=found[:ON_A_PAGE],
        more=_behind(visit, found),
        path_of=path_of,
    )


def _behind(visit: Visit, found: tuple[User, ...]) -> str:
    """The address of the page behind this one; empty if this is the last."""
    if len(found) <= ON_A_PAGE:
        return ""
    query = {name: text for name in _FIELDS if (text := visit.form.text(name))}
    return f"{PATH}?{urlencode({**query, 'after': found[ON_A_PAGE - 1].address})}"


# --- adding ----------------------------------------------------------------------------------------------------------


def _ask(visit: Visit, status: int = 200, why: str = "") -> Response:
    if not unit_tree.tops(visit.holder.grants, Privilege.USERS_MANAGE):
        raise NotAllowed("adding users needs a role that may manage them")
    return visit.page(
        "user_add.html",
        status,
        path=PATH,
        add=ADD,
        why=why,
        units=units_of(visit),
        unit=unit_asked(visit, Privilege.USERS_MANAGE),
        address=visit.form.text("address"),
        name=visit.form.text("name"),
    )


def _add(visit: Visit) -> Response:
    """With the password that was entered, else with one that is made up and shown once."""
    form = visit.form
    given = form.secret("password")
    password = given or new_password()
    try:
        with visit.reading() as op:  # before the work of deriving
            user_operations.create.require(op, form.text("address"), None, unit=form.text("unit", "/"))
        credentials = Credentials.derive(password, visit.services.config.log_in.scram_iterations)
        with visit.writing() as op:
            user = user_operations.create(
                op, form.text("address"), credentials, name=form.text("name"), unit=form.text("unit", "/")
            )
            if form.text("language"):
                user_operations.edit(op, user.address, language=form.text("language"))
    except Exception as error:
        return _ask(visit, status_of(error), visit.said.error(error))
    if given:
        return visit.go_to(f"{path_of(user.address)}?done=added")
    return visit.page("user_password.html", path=PATH, user=user, user_path=path_of(user.address), password=password)
