"""Logging in and out: by the same password, throttle and limits as mail programs, then a code where the account has a
second factor; or with a passkey. Also asking somebody who is logged in for the same again. Log-in by a provider is in
provider_log_in_page.py. Knows no page behind it.
"""

import re
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from outgate.accept.authenticator import TOO_MANY, UNAVAILABLE, LoggedIn
from outgate.directory.passkeys import Passkey
from outgate.directory.web_sessions import OpenedBy
from outgate.http.body_limit import read_body
from outgate.http.client_address import peer_of
from outgate.http.http_route import HttpRoute
from outgate.operations import second_factor_operations, session_operations
from outgate.web.form import MAX_FORM, Form
from outgate.web.language import language_of
from outgate.web.page import page
from outgate.web.passkey_ceremony import PasskeyCeremony
from outgate.web.services import PageServices
from outgate.web.session_cookie import SessionCookie
from outgate.web.tickets import Tickets
from outgate.web.visit import Visit
from outgate.web.visits import LOG_IN, PROVE, Visits
from outgate.web.words import N_, Words, words

HOME: Final = "/"
CODE: Final = f"{LOG_IN}/code"
PASSKEY: Final = f"{LOG_IN}/passkey"
PROVE_PASSKEY: Final = f"{PROVE}/passkey"
RATE: Final = "60/1minute"  # requests from one network; failures are counted by accept.throttle

_OWN_PATH: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
_SECOND_STEP: Final = "code"  # purpose of a ticket
_WRONG: Final = N_("The address and the password don't go together.")
_WRONG_PASSWORD: Final = N_("This is not your password.")
_WRONG_CODE: Final = N_("This code opens nothing. Each one is good once; wait for the app to show the next one.")
_WRONG_PASSKEY: Final = N_("This passkey opens nothing here. Log in with your password.")
TOO_LATE: Final = N_("That took too long. Log in again.")
_TOO_MANY: Final = (429, N_("Too many log-ins have failed. Wait some minutes, then try again."))
_REFUSALS: Final = {
    TOO_MANY: _TOO_MANY,
    UNAVAILABLE: (503, N_("Passwords can't be checked just now. Try again in a minute.")),
}


class LogInPage:
    """Answers for /log-in, /prove and /log-out."""

    def __init__(
        self, services: PageServices, cookie: SessionCookie, tickets: Tickets, passkeys: PasskeyCeremony
    ) -> None:
        self._services, self._cookie, self._tickets, self._passkeys = services, cookie, tickets, passkeys

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [
            self._public(LOG_IN, {"GET", "POST"}, self.answer),
            self._public(CODE, {"POST"}, self.take_code),
            self._public(PASSKEY, {"POST"}, self.take_passkey),
            visits.get(PROVE, self.ask_again),
            visits.post(PROVE, self.prove, rate=RATE),
            visits.post(PROVE_PASSKEY, self.prove_by_passkey, rate=RATE),
            visits.post("/log-out", self.leave),
        ]

    def _public(self, path: str, methods: set[str], handler: object) -> HttpRoute:
        return HttpRoute(
            path=path,
            methods=frozenset(methods),
            handler=handler,  # type: ignore[arg-type]  # all are of one kind
            kind="page",
            max_body=MAX_FORM,
            rate=RATE,
        )

    # --- logging in --------------------------------------------------------------------------------------------------

    async def answer(self, request: Request) -> Response:
        """GET shows the form, POST takes the password. Raises StoreUnavailable."""
        await read_body(request)
        form = Form.sent_with(request)
        if request.method != "POST":
            return self.show(request, to=form.text("to"))
        username = form.text("username")
        password, authenticator = form.secret("password"), self._services.authenticator
        outcome = await authenticator.password(username, password, known_peer(request), own_only=True)
        if not isinstance(outcome, LoggedIn):
            status, why = _REFUSALS.get(outcome, (403, _WRONG))
            return self.show(request, status, said_to(request)(why), username=username, to=form.text("to"))
        return await self.enter_or_ask(request, outcome.account_id, outcome.username, form.text("to"))

    async def enter_or_ask(
        self,
        request: Request,
        account: int,
        address: str,
        to: str,
        by: OpenedBy = OpenedBy.PASSWORD,
        proven_at: float | None = None,
    ) -> Response:
        """Let somebody in who has shown one thing, unless a code is still to be asked for. `proven_at` is when they
        showed it, if that was not now.
        """
        services = self._services
        if not await services.threads.run(second_factor_operations.needs_code, services.engine, account):
            return await self.enter(request, account, to, by, proven_at)
        proven = services.now() if proven_at is None else proven_at
        ticket = self._tickets.give(_SECOND_STEP, account=account, address=address, by=by.value, proven=int(proven))
        return self._ask_for_code(request, ticket, to)

    async def take_code(self, request: Request) -> Response:
        """The second step."""
        await read_body(request)
        form = Form.sent_with(request)
        ticket, to = form.text("ticket"), form.text("to")
        facts = self._tickets.read(_SECOND_STEP, ticket)
        if facts is None:
            return self.show(request, 403, said_to(request)(TOO_LATE), to=to)
        account, address = int(facts["account"]), str(facts["address"])
        wrong = await self.wrong_code(request, account, address, form.text("code"))
        if wrong:
            return self._ask_for_code(request, ticket, to, *wrong)
        return await self.enter(request, account, to, OpenedBy(str(facts["by"])), float(facts["proven"]))

    async def take_passkey(self, request: Request) -> Response:
        """In place of both steps."""
        await read_body(request)
        form = Form.sent_with(request)
        used = await self._services.threads.run(self._used_passkey, form)
        if used is None:
            return self.show(request, 403, said_to(request)(_WRONG_PASSKEY), to=form.text("to"))
        return await self.enter(request, used.account_id, form.text("to"), OpenedBy.PASSKEY)

    async def wrong_code(self, request: Request, account: int, address: str, code: str) -> tuple[int, str] | None:
        """Status and words for a code that does not open; None if it does."""
        services = self._services

        async def check() -> bool:
            take = second_factor_operations.take_code
            return await services.threads.run(take, services.engine, services.vault, account, code, services.now())

        right = await services.authenticator.judge(address, known_peer(request), check)
        return None if right else _TOO_MANY if right is None else (403, _WRONG_CODE)

    def _used_passkey(self, form: Form) -> Passkey | None:
        """The passkey that a form's answer is signed by."""
        services, answer = self._services, form.text("answer")
        offered = self._passkeys.offered(answer)
        passkey = offered and second_factor_operations.find_passkey(services.engine, offered)
        if not passkey:
            return None
        count = self._passkeys.signed(passkey, form.text("ticket"), answer)
        if count is None:
            return None
        second_factor_operations.note_passkey(services.engine, passkey, count, services.now())
        return passkey

    async def enter(
        self, request: Request, account_id: int, to: str, by: OpenedBy, proven_at: float | None = None
    ) -> Response:
        """To the page that was asked for, or home."""
        answer = RedirectResponse(own_path(to), 303)
        await self._services.threads.run(self.give_session, request, answer, account_id, by, proven_at)
        return answer

    def give_session(
        self,
        request: Request,
        answer: Response,
        account_id: int,
        by: OpenedBy = OpenedBy.PASSWORD,
        proven_at: float | None = None,
    ) -> None:
        """The browser is this account's from now on."""
        services = self._services
        token = session_operations.begin_session(
            services.engine,
            account_id,
            known_peer(request),
            request.headers.get("user-agent", ""),
            services.session_limits,
            services.now(),
            opened_by=by,
            proven_at=proven_at,
            instead_of=self._cookie.read(request),
        )
        self._cookie.give(answer, token)

    def leave(self, visit: Visit) -> Response:
        """End this log-in."""
        session_operations.leave_session(self._services.engine, self._cookie.read(visit.request))
        answer = RedirectResponse(LOG_IN, 303)
        self._cookie.take(answer)
        return answer

    # --- showing again who one is ------------------------------------------------------------------------------------

    def ask_again(self, visit: Visit, status: int = 200, why: str = "", to: str = "") -> Response:
        """For what an open browser alone must not do. `why` is in the words of the visit."""
        account, engine = visit.holder.user.id, visit.services.engine
        there = second_factor_operations.passkeys_of(engine, account) if self._passkeys.is_possible else ()
        entry = session_operations.log_in_entry(engine, visit.address)
        return visit.page(
            "prove.html",
            status,
            why=why,
            to=own_path(to or visit.form.text("to")),
            has_password=entry is not None and (entry.password_hash is not None or entry.external is not None),
            needs_code=entry is not None and entry.second_factor,
            provider=self.provider,
            asked=self._passkeys.ask_for_one(there) if there else None,
        )

    async def prove(self, visit: Visit) -> Response:
        """The password, and a code where there is a second factor."""
        form, services, account, peer = visit.form, self._services, visit.holder.user.id, known_peer(visit.request)
        outcome = await services.authenticator.password(visit.address, form.secret("password"), peer, own_only=True)
        if not isinstance(outcome, LoggedIn):
            status, why = _REFUSALS.get(outcome, (403, _WRONG_PASSWORD))
            return await visit.in_thread(self.ask_again, visit, status, visit.said(why))
        if await visit.in_thread(second_factor_operations.needs_code, services.engine, account):
            wrong = await self.wrong_code(visit.request, account, visit.address, form.text("code"))
            if wrong:
                status, why = wrong
                return await visit.in_thread(self.ask_again, visit, status, visit.said(why))
        return await visit.in_thread(self.go_on, visit, form.text("to"))

    def prove_by_passkey(self, visit: Visit) -> Response:
        """In place of both."""
        used = self._used_passkey(visit.form)
        if used is None or used.account_id != visit.holder.user.id:
            return self.ask_again(visit, 403, visit.said(_WRONG_PASSKEY))
        return self.go_on(visit, visit.form.text("to"))

    def go_on(self, visit: Visit, to: str) -> Response:
        """To what one wanted to do; with a new secret, so that a copy of the former one is worth nothing."""
        answer = visit.go_to(own_path(to))
        services = self._services
        self._cookie.give(
            answer, session_operations.prove_session(services.engine, visit.holder.session, services.now())
        )
        return answer

    # --- forms -------------------------------------------------------------------------------------------------------

    def show(self, request: Request, status: int = 200, why: str = "", *, username: str = "", to: str = "") -> Response:
        """The form to log in with; `why` is in the words of whoever asks."""
        facts = {
            "why": why,
            "username": username,
            "to": to,
            "provider": self.provider,
            "asked": self._passkeys.ask_for_one() if self._passkeys.is_possible else None,
        }
        return page(said_to(request), "log_in.html", facts, status)

    def _ask_for_code(self, request: Request, ticket: str, to: str, status: int = 200, why: str = "") -> Response:
        said = said_to(request)
        facts = {"why": said(why) if why else "", "ticket": ticket, "to": to}
        return page(said, "log_in_code.html", facts, status)

    @property
    def provider(self) -> str:
        """What the provider is called that one may log in by; empty if none is set."""
        return self._services.provider_log_in.title if self._services.provider_log_in else ""


def own_path(text: str) -> str:
    """A path of ours to go to; home for anything that a browser could read as another site's address."""
    return text if _OWN_PATH.fullmatch(text) else HOME


def said_to(request: Request) -> Words:
    """Words for whoever is not logged in yet."""
    return words(language_of(request))


def known_peer(request: Request) -> str:
    """Where it comes from. Raises HTTPException if a proxy does not say so."""
    peer = peer_of(request)
    if not peer:
        raise HTTPException(400, "it is not known where this comes from")
    return peer
