"""Logging in and out: by the same password, throttle and limits as mail programs. Knows no page behind it."""

import re
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from outgate.accept.authenticator import TOO_MANY, UNAVAILABLE, LoggedIn
from outgate.http.body_limit import read_body
from outgate.http.client_address import peer_of
from outgate.http.http_route import HttpRoute
from outgate.operations import session_operations
from outgate.web.form import MAX_FORM, Form
from outgate.web.language import preferred
from outgate.web.page import page
from outgate.web.services import PageServices
from outgate.web.session_cookie import SessionCookie
from outgate.web.visit import Visit
from outgate.web.visits import LOG_IN, Visits
from outgate.web.words import N_, words

HOME: Final = "/"
RATE: Final = "60/1minute"  # requests from one network; failures are counted by accept.throttle

_OWN_PATH: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
_WRONG: Final = N_("The address and the password don't go together.")
_REFUSALS: Final = {
    TOO_MANY: (429, N_("Too many log-ins have failed. Wait some minutes, then try again.")),
    UNAVAILABLE: (503, N_("Passwords can't be checked just now. Try again in a minute.")),
}


class LogInPage:
    """Answers for /log-in and /log-out."""

    def __init__(self, services: PageServices, cookie: SessionCookie) -> None:
        self._services, self._cookie = services, cookie

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        methods = frozenset({"GET", "POST"})
        handler = self.answer
        return [
            HttpRoute(path=LOG_IN, methods=methods, handler=handler, kind="page", max_body=MAX_FORM, rate=RATE),
            visits.post("/log-out", self.leave),
        ]

    async def answer(self, request: Request) -> Response:
        """GET shows the form, POST logs in. Raises StoreUnavailable."""
        await read_body(request)
        form = Form.sent_with(request)
        if request.method != "POST":
            return _show(request, form)
        peer = peer_of(request)
        if not peer:
            raise HTTPException(400, "it is not known where this comes from")
        username = form.text("username")
        outcome = await self._services.authenticator.password(username, form.secret("password"), peer, own_only=True)
        if isinstance(outcome, LoggedIn):
            return await self._enter(request, outcome.account_id, peer, form)
        status, why = _REFUSALS.get(outcome, (403, _WRONG))
        return _show(request, form, status, why)

    async def _enter(self, request: Request, account_id: int, peer: str, form: Form) -> Response:
        services = self._services
        token = await services.threads.run(
            session_operations.begin_session,
            services.engine,
            account_id,
            peer,
            request.headers.get("user-agent", ""),
            services.session_limits,
            services.now(),
            instead_of=self._cookie.read(request),
        )
        answer = RedirectResponse(own_path(form.text("to")), 303)
        self._cookie.give(answer, token)
        return answer

    def leave(self, visit: Visit) -> Response:
        """End this log-in."""
        session_operations.leave_session(self._services.engine, self._cookie.read(visit.request))
        answer = RedirectResponse(LOG_IN, 303)
        self._cookie.take(answer)
        return answer


def own_path(text: str) -> str:
    """A path of ours to go to; home for anything that a browser could read as another site's address."""
    return text if _OWN_PATH.fullmatch(text) else HOME


def _show(request: Request, form: Form, status: int = 200, why: str = "") -> Response:
    said = words(preferred(request.headers.get("accept-language", "")))
    facts = {"why": said(why) if why else "", "username": form.text("username"), "to": form.text("to")}
    return page(said, "log_in.html", facts, status)
