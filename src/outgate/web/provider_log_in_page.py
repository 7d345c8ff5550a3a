"""Logging in by the organisation's OpenID provider, and showing there again who one is.

What has begun is in a sealed cookie of the browser that began it, for ten minutes. Who comes back is found by their
primary address, and counted and noted as after a password; no user is made. Knows no protocol: that is
openid.provider_log_in.
"""

import json
from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from outgate.accept.authenticator import LoggedIn
from outgate.directory.web_sessions import OpenedBy
from outgate.http.http_route import HttpRoute
from outgate.openid.provider_log_in import (
    PendingLogIn,
    ProviderIdentity,
    ProviderLogIn,
    ProviderLogInFailed,
    ProviderUnreachable,
)
from outgate.operations import second_factor_operations, session_operations
from outgate.web.form import Form
from outgate.web.log_in_page import HOME, RATE, TOO_LATE, LogInPage, known_peer, own_path, said_to
from outgate.web.sealed_cookie import SealedCookie
from outgate.web.services import PageServices
from outgate.web.tickets import Tickets
from outgate.web.visit import Visit
from outgate.web.visits import LOG_IN, PROVE, Visits
from outgate.web.words import N_

BEGIN: Final = f"{LOG_IN}/provider"
RETURN: Final = f"{LOG_IN}/returned"  # registered at the provider
PROVE_BEGIN: Final = f"{PROVE}/provider"
PROVE_CODE: Final = f"{PROVE}/code"
PATIENCE: Final = 600  # seconds that somebody has at the provider

_LONGEST_TO: Final = 1000  # characters in the cookie: browsers keep none of more than 4096 bytes
_HOLDER: Final = "provider-log-in"  # whom the cookie is sealed for: a browser of nobody known
_CODE: Final = "prove-code"  # purpose of a ticket
_NOTHING: Final = N_("No log-in has begun in this browser, or it was more than ten minutes ago. Try again.")
_UNKNOWN: Final = N_("%(provider)s says that you are %(address)s. Nobody has it here: ask your administrator.")
_SUSPENDED: Final = N_("The account of %(address)s is suspended: ask your administrator.")
_ANOTHER: Final = N_("%(provider)s says that you are %(address)s, but you are logged in here as %(here)s.")


class ProviderLogInPage:
    """Where one is sent to the provider, and where one comes back."""

    def __init__(
        self, services: PageServices, visits: Visits, log_in: LogInPage, tickets: Tickets, *, secure: bool
    ) -> None:
        self._services, self._visits, self._log_in, self._tickets = services, visits, log_in, tickets
        self._cookie = SealedCookie("provider-log-in", secure, PATIENCE, services.vault)

    def routes(self) -> list[HttpRoute]:
        """All there are; none if no provider is set."""
        if self._services.provider_log_in is None:
            return []
        return [
            HttpRoute(path=BEGIN, methods=frozenset({"GET"}), handler=self.begin, kind="page", rate=RATE),
            HttpRoute(path=RETURN, methods=frozenset({"GET"}), handler=self.end, kind="page", rate=RATE),
            self._visits.get(PROVE_BEGIN, self.begin_again, rate=RATE),
            self._visits.post(PROVE_CODE, self.take_code, rate=RATE),
        ]

    # --- to the provider ---------------------------------------------------------------------------------------------

    async def begin(self, request: Request) -> Response:
        """Send a stranger there."""
        to = Form(request.query_params.multi_items()).text("to")
        try:
            url, pending = await self._provider.begin(self._services.now())
        except ProviderUnreachable as error:
            return self._log_in.show(request, 503, said_to(request).error(error), to=to)
        return await self._services.threads.run(self._sent_to, url, pending, to)

    async def begin_again(self, visit: Visit) -> Response:
        """Send somebody there who is logged in here, to show who they are."""
        to = visit.form.text("to")
        try:
            url, pending = await self._provider.begin(self._services.now(), again=True, hint=visit.address)
        except ProviderUnreachable as error:
            return await visit.in_thread(self._log_in.ask_again, visit, 503, visit.said.error(error))
        return await visit.in_thread(self._sent_to, url, pending, to)

    def _sent_to(self, url: str, pending: PendingLogIn, to: str) -> Response:
        answer = RedirectResponse(url, 303)
        self._cookie.give(answer, _HOLDER, {"to": _kept(to), "pending": asdict(pending)})
        return answer

    # --- and back ----------------------------------------------------------------------------------------------------

    async def end(self, request: Request) -> Response:
        """The browser comes back, for good or ill: what it has kept is good once."""
        answer = await self._ended(request)
        self._cookie.take(answer)
        return answer

    async def _ended(self, request: Request) -> Response:
        kept = await self._services.threads.run(self._cookie.read, request, _HOLDER)
        now = self._services.now()
        if kept is None or now > kept["pending"]["begun_at"] + PATIENCE:
            return self._log_in.show(request, 403, said_to(request)(_NOTHING))
        pending, to = PendingLogIn(**kept["pending"]), str(kept["to"])
        found: ProviderIdentity | ProviderLogInFailed
        try:
            found = await self._provider.end(pending, request.url.query, now)
        except ProviderLogInFailed as error:
            found = error
        return await (self._proven if pending.again else self._entered)(request, found, to)

    async def _entered(self, request: Request, found: ProviderIdentity | ProviderLogInFailed, to: str) -> Response:
        said, services = said_to(request), self._services
        if isinstance(found, ProviderLogInFailed):
            return self._log_in.show(request, _status(found), said.error(found), to=to)
        entry = await services.threads.run(session_operations.log_in_entry, services.engine, found.address)
        outcome = services.authenticator.vouched(entry, found.address, known_peer(request))
        if entry is None or not isinstance(outcome, LoggedIn):
            why = _SUSPENDED if entry else _UNKNOWN
            return self._log_in.show(
                request, 403, said(why, provider=self._provider.title, address=found.address), to=to
            )
        shown = found.address, to, OpenedBy.PROVIDER, found.shown_at
        if self._provider.asks_second_factor:
            return await self._log_in.enter(request, entry.account_id, *shown[1:])
        return await self._log_in.enter_or_ask(request, entry.account_id, *shown)

    async def _proven(self, request: Request, found: ProviderIdentity | ProviderLogInFailed, to: str) -> Response:
        visit = await self._services.threads.run(self._visits.open, request)
        if visit is None:
            return self._log_in.show(request, 403, said_to(request)(TOO_LATE), to=to)
        if isinstance(found, ProviderLogInFailed):
            return await visit.in_thread(self._log_in.ask_again, visit, _status(found), visit.said.error(found), to)
        if found.address != visit.address:
            facts = {"provider": self._provider.title, "address": found.address, "here": visit.address}
            return await visit.in_thread(self._log_in.ask_again, visit, 403, visit.said(_ANOTHER, **facts), to)
        return await visit.in_thread(self._go_on_or_ask, visit, to)

    def _go_on_or_ask(self, visit: Visit, to: str) -> Response:
        needs_code = second_factor_operations.needs_code(visit.services.engine, visit.holder.user.id)
        if self._provider.asks_second_factor or not needs_code:
            return self._log_in.go_on(visit, to)
        ticket = self._tickets.give(_CODE, session=visit.holder.session.id, to=to)
        return visit.page("prove_code.html", ticket=ticket, why="")

    async def take_code(self, visit: Visit) -> Response:
        """The code of the second factor, after the provider has said who it is."""
        ticket = visit.form.text("ticket")
        facts: dict[str, Any] | None = self._tickets.read(_CODE, ticket)
        if facts is None or facts["session"] != visit.holder.session.id:
            return await visit.in_thread(self._log_in.ask_again, visit, 403, visit.said(TOO_LATE))
        code = visit.form.text("code")
        wrong = await self._log_in.wrong_code(visit.request, visit.holder.user.id, visit.address, code)
        if wrong:
            status, why = wrong
            return visit.page("prove_code.html", status, ticket=ticket, why=visit.said(why))
        return await visit.in_thread(self._log_in.go_on, visit, str(facts["to"]))

    @property
    def _provider(self) -> ProviderLogIn:
        assert self._services.provider_log_in  # or there are no routes
        return self._services.provider_log_in


def _status(failed: ProviderLogInFailed) -> int:
    return 503 if isinstance(failed, ProviderUnreachable) else 403


def _kept(to: str) -> str:
    """Where to go on, as the cookie has it."""
    path = own_path(to)
    return path if len(json.dumps(path)) <= _LONGEST_TO else HOME
