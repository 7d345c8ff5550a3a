"""Makes routes of pages: finds out whose request it is, asks strangers to log in, and says what an operation refuses.

Knows no single page.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from outgate.http.body_limit import read_body
from outgate.http.client_address import peer_of
from outgate.http.http_route import HttpRoute, route_of
from outgate.operations import sent_operations, session_operations
from outgate.operations.context import ProofNeeded
from outgate.operations.error_codes import ErrorCode, code_of
from outgate.store.engine import StoreUnavailable
from outgate.web.form import MAX_FORM, Form
from outgate.web.services import PageServices
from outgate.web.session_cookie import SessionCookie
from outgate.web.visit import Visit
from outgate.web.words import words, zone_of
from outgate.writing.sent_messages import SentMessage

PlainPage = Callable[[Visit], Response]
AsyncPage = Callable[[Visit], Awaitable[Response]]

LOG_IN: Final = "/log-in"
PROVE: Final = "/prove"
_STATUS: Final = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.ALREADY_EXISTS: 409,
    ErrorCode.INVALID: 400,
    ErrorCode.NOT_ALLOWED: 403,
    ErrorCode.CHECK_FAILED: 422,
    ErrorCode.UNAVAILABLE: 503,
}


class Visits:
    """Opens visits by the browsers' cookies."""

    def __init__(self, services: PageServices, cookie: SessionCookie) -> None:
        self.services, self._cookie = services, cookie
        self._shown: set[str] = set()  # the paths, as declared, of pages to look at

    def get(
        self, path: str, page: PlainPage | AsyncPage, *, rate: str = "", policy: str = "", proven: bool = False
    ) -> HttpRoute:
        """A page that shows something; `policy` is its own Content-Security-Policy, if it has one. `proven` asks who it
        is before it is filled in, not only when it is sent.
        """
        self._shown.add(path)
        return self._route(path, "GET", _for_proven(page) if proven else page, 0, rate, policy)

    def post(self, path: str, page: PlainPage | AsyncPage, *, rate: str = "", max_body: int = MAX_FORM) -> HttpRoute:
        """What a form of a page does."""
        return self._route(path, "POST", page, max_body, rate)

    def _route(
        self, path: str, method: str, page: PlainPage | AsyncPage, max_body: int, rate: str, policy: str = ""
    ) -> HttpRoute:
        handler = self._awaited(page) if inspect.iscoroutinefunction(page) else self._called(page)  # type: ignore[arg-type]  # as in http.application
        return HttpRoute(
            path=path,
            methods=frozenset({method}),
            handler=handler,
            kind="page",
            max_body=max_body,
            rate=rate,
            policy=policy,
        )

    def _called(self, page: PlainPage) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            visit = self.open(request)
            if visit is None:
                return to_log_in(request)
            if request.method == "POST":
                visit = replace(visit, form=Form.sent_with(request))
            try:
                return page(visit)
            except ProofNeeded:
                return self._to_prove(visit)
            except Exception as error:
                return refused(visit, error)

        return answer

    def _awaited(self, page: AsyncPage) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            visit = await self.services.threads.run(self.open, request)
            if visit is None:
                return to_log_in(request)
            if request.method == "POST":
                visit = replace(visit, form=await self._sent(request))  # of nobody unknown is it read
            try:
                return await page(visit)
            except ProofNeeded:
                return self._to_prove(visit)
            except Exception as error:
                return refused(visit, error)

        return answer

    async def _sent(self, request: Request) -> Form:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            return await Form.with_files(request)
        await read_body(request)
        return await self.services.threads.run(Form.sent_with, request)

    def open(self, request: Request) -> Visit | None:
        """Of whoever is logged in, with what the address asks; what a form has sent is read for nobody yet."""
        services, token = self.services, self._cookie.read(request)
        if not token:
            return None
        holder = session_operations.holder_of_session(
            services.engine, token, peer_of(request), services.session_limits, services.now()
        )
        if holder is None:
            return None
        zone = zone_of(request.cookies.get("zone", ""))
        form = Form(request.query_params.multi_items() if request.method != "POST" else ())
        visit = Visit(request, services, holder, words(holder.user.language), zone, form)
        return replace(visit, trouble=_trouble(visit)) if _shows_trouble(request) else visit

    def _to_prove(self, visit: Visit) -> Response:
        """Ask who it is; then back to the page, or if this was a form of it, to the page that has the form."""
        path, route = visit.path, route_of(visit.request.scope)
        declared = route.path if route else "/"
        while declared not in self._shown and "/" in declared.strip("/"):
            declared, path = declared.rpartition("/")[0], path.rpartition("/")[0]
        query = visit.request.url.query
        return visit.go_to(f"{PROVE}?to={quote(f'{path}?{query}' if query else path, safe='')}")


def _shows_trouble(request: Request) -> bool:
    """On whole pages of one's own mail."""
    is_page = request.method == "GET" and request.headers.get("hx-request") != "true"
    return is_page and not request.url.path.startswith("/admin")


def _trouble(visit: Visit) -> tuple[SentMessage, ...]:
    with visit.reading() as op:
        return tuple(sent_operations.in_trouble(op, visit.address))


def _for_proven(page: PlainPage | AsyncPage) -> PlainPage | AsyncPage:
    """The page, which raises ProofNeeded for who has not shown lately who they are."""
    if inspect.iscoroutinefunction(page):

        async def awaited(visit: Visit) -> Response:
            visit.require_proof()
            answer: Response = await page(visit)
            return answer

        return awaited

    def called(visit: Visit) -> Response:
        visit.require_proof()
        return page(visit)  # type: ignore[return-value]  # iscoroutinefunction narrows one way

    return called


def status_of(error: Exception) -> int:
    """The status that tells of an operation's refusal. Raises the error itself if it is none, or one of the base's; and
    ProofNeeded, so that no page can show it in place of asking who it is.
    """
    code = code_of(error)
    if code is None or isinstance(error, StoreUnavailable | ProofNeeded):
        raise error
    return _STATUS[code]


def refused(visit: Visit, error: Exception) -> Response:
    """A page in the house that says why not."""
    return visit.page("refused.html", status_of(error), why=visit.said.error(error))


def to_log_in(request: Request) -> Response:
    """Where a stranger is sent; back to this page afterwards, if it is one to look at."""
    where = LOG_IN
    if request.method == "GET" and request.url.path != "/":
        query = f"?{request.url.query}" if request.url.query else ""
        where += f"?to={quote(request.url.path + query, safe='')}"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": LOG_IN})
    return RedirectResponse(where, 303)
