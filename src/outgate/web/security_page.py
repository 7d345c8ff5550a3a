"""Settings > Security: the password, where one is logged in, passwords of programs.

Setting up what there is beside the password is in second_factor_page.py.
"""

from typing import Final

from starlette.responses import Response

from outgate.directory.application_passwords import Scope
from outgate.directory.errors import Invalid
from outgate.directory.users import Credentials
from outgate.directory.web_sessions import OpenedBy, WebSession
from outgate.http.http_route import HttpRoute
from outgate.operations import (
    app_password_operations,
    second_factor_operations,
    session_operations,
    user_operations,
)
from outgate.web.browser_name import browser_name
from outgate.web.log_in_page import LogInPage
from outgate.web.passkey_ceremony import PasskeyCeremony
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.words import N_

PATH: Final = "/settings/security"
PASSWORD: Final = f"{PATH}/password"
PROGRAMS: Final = f"{PATH}/app-passwords"
SESSIONS: Final = f"{PATH}/sessions"

_DONE: Final = {
    "password": N_("Your password is changed. All other browsers are logged out."),
    "ended": N_("That browser is logged out."),
    "others": N_("All other browsers are logged out."),
    "revoked": N_("That password opens nothing any more."),
    "factor-off": N_("The second factor is off."),
    "passkey": N_("You can log in with the passkey from now on."),
    "passkey-removed": N_("The passkey is removed."),
}
_OPENED_BY: Final = {
    OpenedBy.PASSWORD: N_("by password"),
    OpenedBy.PASSKEY: N_("by passkey"),
    OpenedBy.PROVIDER: N_("by %(provider)s"),
    OpenedBy.LINK: N_("by log-in link"),
}
_BY_PROVIDER: Final = N_("by the provider")  # of sessions that outlive the setting


class SecurityPage:
    """The page, and what its buttons do."""

    def __init__(self, log_in: LogInPage, passkeys: PasskeyCeremony) -> None:
        self._log_in, self._passkeys = log_in, passkeys

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [
            visits.get(PATH, self.show, proven=True),
            visits.get(PASSWORD, ask_password, proven=True),
            visits.post(PASSWORD, self.set_password),
            visits.post(SESSIONS, end_others),
            visits.post(SESSIONS + "/{session:int}/end", end_session),
            visits.post(PROGRAMS, self.make_password),
            visits.post(f"{PROGRAMS}/revoke", revoke_password),
        ]

    def show(self, visit: Visit, status: int = 200, why: str = "") -> Response:
        """All there is."""
        services = visit.services
        with visit.reading() as op:
            sessions = session_operations.list_sessions(op, visit.address, services.session_limits)
            programs = app_password_operations.list_passwords(op, visit.address)
            factors = second_factor_operations.show(op, visit.address)
            details = user_operations.show(op, visit.address)
        done = _DONE.get(visit.form.text("done"), "")
        return visit.page(
            "security.html",
            status,
            done=visit.said(done) if done else "",
            why=why,
            name=visit.form.text("name") if why else "",
            external=details.user.external is not None,
            sessions=sessions,
            browser_name=browser_name,
            opened_by=lambda session: self._opened_by(visit, session),
            here=visit.holder.session.id,
            programs=programs,
            factors=factors,
            has_passkeys=self._passkeys.is_possible,
        )

    def _opened_by(self, visit: Visit, session: WebSession) -> str:
        provider = self._log_in.provider
        if session.opened_by is OpenedBy.PROVIDER and not provider:
            return visit.said(_BY_PROVIDER)
        return visit.said(_OPENED_BY[session.opened_by], provider=provider)

    def set_password(self, visit: Visit) -> Response:
        """The new password, entered twice. This browser stays logged in, all others don't."""
        form, services = visit.form, visit.services
        try:
            password = form.secret("password")
            if password != form.secret("again"):
                raise Invalid("the two passwords differ; enter the new one twice")
            credentials = Credentials.derive(password, services.config.log_in.scram_iterations)
            with visit.writing() as op:
                user_operations.set_password(op, visit.address, credentials)
        except Exception as error:
            return ask_password(visit, status_of(error), visit.said.error(error))
        answer = visit.go_to(f"{PATH}?done=password")
        self._log_in.give_session(visit.request, answer, visit.holder.user.id)
        return answer

    def make_password(self, visit: Visit) -> Response:
        """One for a program, shown once."""
        name = visit.form.text("name")
        try:
            with visit.writing() as op:
                secret = app_password_operations.create_password(op, visit.address, name, Scope.SMTP)
        except Exception as error:
            return self.show(visit, status_of(error), visit.said.error(error))
        return visit.page("app_password_made.html", name=" ".join(name.split()), secret=secret)


def ask_password(visit: Visit, status: int = 200, why: str = "") -> Response:
    """The form for a new password."""
    return visit.page("password.html", status, why=why)


def end_session(visit: Visit) -> Response:
    """Log out another browser."""
    with visit.writing() as op:
        session_operations.end_session(op, visit.address, int(visit.request.path_params["session"]))
    return visit.go_to(f"{PATH}?done=ended")


def end_others(visit: Visit) -> Response:
    """Log out all browsers but this one."""
    with visit.writing() as op:
        session_operations.end_all_sessions(op, visit.address, but=visit.holder.session.id)
    return visit.go_to(f"{PATH}?done=others")


def revoke_password(visit: Visit) -> Response:
    """A program's password opens nothing any more."""
    with visit.writing() as op:
        app_password_operations.revoke_password(op, visit.address, visit.form.text("name"))
    return visit.go_to(f"{PATH}?done=revoked")
