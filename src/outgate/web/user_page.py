"""Directory > Users > one of them: who it is, where, with which addresses and roles; and all that is done to them."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import Invalid
from outgate.directory.privileges import Privilege
from outgate.directory.users import Credentials, User
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.operations import (
    log_in_link_operations,
    log_in_operations,
    role_operations,
    second_factor_operations,
    session_operations,
    user_operations,
)
from outgate.operations.context import OperationContext
from outgate.operations.operation import OperationFunction
from outgate.operations.send_as_overview import overview
from outgate.web import safety_question
from outgate.web.new_password import new_password
from outgate.web.safety_question import SafetyQuestion
from outgate.web.users_page import PATH, path_of, units_of
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.way import way_of
from outgate.web.words import N_

ONE: Final = PATH + "/{address:path}"


@frozen
class UserAction:
    """What a button does. `asks` is the question before it, if something is lost, and `means` what it leads to."""

    change: OperationFunction[..., Any]
    needs: Privilege
    button: str
    done: str
    asks: str = ""
    means: str = ""


RESET: Final = "reset-second-factor"  # has its place beside what it removes
ACTIONS: Final = {
    "suspend": UserAction(
        user_operations.suspend,
        Privilege.USERS_MANAGE,
        N_("Suspend"),
        N_("Suspended: neither log-in nor sending."),
        N_("Suspend this user?"),
        N_(
            "No log-in and no sending from now on; mail to them is still delivered. The passwords of their gateways are"
            " erased, and must be entered again if they are resumed."
        ),
    ),
    "resume": UserAction(
        user_operations.resume,
        Privilege.USERS_MANAGE,
        N_("Resume"),
        N_("Resumed. The passwords of their gateways have to be entered again."),
    ),
    "log-out": UserAction(
        session_operations.end_all_sessions,
        Privilege.USERS_SECURITY,
        N_("Log out everywhere"),
        N_("All log-ins on the pages are ended."),
    ),
    "unlock": UserAction(
        log_in_operations.unlock_user,
        Privilege.USERS_SECURITY,
        N_("Forget failed log-ins"),
        N_("Failed log-ins are forgotten: they may try again."),
    ),
    RESET: UserAction(
        second_factor_operations.reset,
        Privilege.USERS_SECURITY,
        N_("Remove them"),
        N_("Second factor and passkeys are removed: the password alone logs in. All log-ins on the pages are ended."),
        N_("Remove second factor and passkeys?"),
        N_(
            "The password alone logs in from now on, until the user sets up others; all log-ins on the pages end. Be"
            " sure that it is the user who asks: whoever knows the password could say so."
        ),
    ),
    "remove": UserAction(
        user_operations.remove,
        Privilege.USERS_MANAGE,
        N_("Delete user"),
        N_("The user is deleted."),
        N_("Delete this user?"),
        N_("Lost are all their addresses, gateways and passwords. Mail to them is returned from now on."),
    ),
}
DONE: Final = {
    "added": N_("The user is added."),
    "saved": N_("Saved."),
    "moved": N_("Moved: the policy of the new unit is in force for them."),
    "password": N_("The new password holds. All log-ins on the pages are ended."),
    **{name: action.done for name, action in ACTIONS.items()},
}


class UserPage:
    """Shows a user, and changes them."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(ONE, _show), visits.post(ONE, _act)]


def _show(visit: Visit, status: int = 200, why: str = "") -> Response:
    with visit.reading() as op:
        details = user_operations.show(op, visit.request.path_params["address"])
        user = details.user
        addresses = _addresses(visit, op, user)
        roles = _roles(visit, op, user)
        may_secure = visit.may(Privilege.USERS_SECURITY, user.unit)
        factors = second_factor_operations.show(op, user.address) if may_secure else None
    done = DONE.get(visit.form.text("done"))
    return visit.page(
        "user.html",
        status,
        why=why,
        done=visit.said(done) if done else "",
        users=PATH,
        path=path_of(user.address),
        user=user,
        has_password=details.has_password,
        addresses=addresses,
        roles=roles,
        units=units_of(visit),
        may_edit=visit.may(Privilege.USERS_MANAGE, user.unit),
        may_secure=may_secure,
        factors=factors,
        reset=(RESET, ACTIONS[RESET]),
        may_see_log=visit.may(Privilege.LOG_READ),
        actions=_offered(visit, user),
    )


def _addresses(visit: Visit, op: OperationContext, user: User) -> list[dict[str, Any]]:
    """Each with its way and the health of its server, for who may see them."""
    if not visit.may(Privilege.SEND_AS_READ, user.unit):
        return []
    seen = overview(op, user.address)
    return [
        {"entry": one, "way": way_of(seen.account, seen.organisation, one), "health": seen.health.get(one.address)}
        for one in seen.account.send_as.values()
    ]


def _roles(visit: Visit, op: OperationContext, user: User) -> list[tuple[str, str]]:
    """Role and unit, for who may see them."""
    if not visit.may(Privilege.ROLES_READ):
        return []
    return [(one.role, one.unit) for one in role_operations.assignments(op) if one.account == user.address]


def _offered(visit: Visit, user: User) -> dict[str, UserAction]:
    """The buttons that make sense now."""
    unfit = {"suspend" if user.suspended else "resume", RESET}
    return {
        name: action for name, action in ACTIONS.items() if name not in unfit and visit.may(action.needs, user.unit)
    }


# --- changes ---------------------------------------------------------------------------------------------------------


def _act(visit: Visit) -> Response:
    """Do it, or ask whether it is meant."""
    do = visit.form.text("do")
    address: str = visit.request.path_params["address"]
    if do in ACTIONS:
        return _by_button(visit, do, ACTIONS[do], address)
    forms = {"edit": _edit, "move": _move, "password": _set_password, "link": _make_link}
    if do not in forms:
        raise Invalid("“{text}” can't be done with a user; choose a button of the user's page", text=do)
    try:
        return forms[do](visit, address)
    except Exception as error:
        return _show(visit, status_of(error), visit.said.error(error))


def _by_button(visit: Visit, do: str, action: UserAction, address: str) -> Response:
    if action.asks and not safety_question.is_meant(visit):
        said = visit.said
        with visit.reading() as op:
            action.change.require(op, address)  # nobody is asked in vain
            user = user_operations.show(op, address).user
        about = [f"{user.name} <{user.address}>" if user.name else user.address]
        asked = SafetyQuestion(said(action.asks), said(action.means), said(action.button), do, about)
        return safety_question.ask(visit, path_of(user.address), path_of(user.address), asked)
    with visit.writing() as op:
        action.change(op, address)
    if do == "remove":
        return visit.go_to(f"{PATH}?{urlencode({'done': do})}")
    return visit.go_to(f"{path_of(address)}?{urlencode({'done': do})}")


def _edit(visit: Visit, address: str) -> Response:
    with visit.writing() as op:
        user_operations.edit(op, address, name=visit.form.text("name"), language=visit.form.text("language"))
    return visit.go_to(f"{path_of(address)}?done=saved")


def _move(visit: Visit, address: str) -> Response:
    with visit.writing() as op:
        user_operations.move(op, address, visit.form.text("unit"))
    return visit.go_to(f"{path_of(address)}?done=moved")


def _make_link(visit: Visit, address: str) -> Response:
    """By which they log in once; shown once."""
    with visit.writing() as op:
        link = log_in_link_operations.make_link(op, address, visit.services.config.web.public_url)
    return visit.page("user_link.html", path=PATH, user_path=path_of(address), link=link)


def _set_password(visit: Visit, address: str) -> Response:
    """The one that was entered, else one that is made up and shown once."""
    given = visit.form.secret("password")
    password = given or new_password()
    with visit.reading() as op:  # before the work of deriving
        user_operations.set_password.require(op, address, Credentials("", ""))
        user = user_operations.show(op, address).user
    credentials = Credentials.derive(password, visit.services.config.log_in.scram_iterations)
    with visit.writing() as op:
        user_operations.set_password(op, address, credentials)
    if given:
        return visit.go_to(f"{path_of(address)}?done=password")
    return visit.page("user_password.html", path=PATH, user=user, user_path=path_of(address), password=password)
