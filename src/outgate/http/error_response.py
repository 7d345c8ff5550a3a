"""What a request is answered that was not answered well: a page, problem+json (RFC 9457) or another form for programs,
by its route's kind.

What nobody foresaw is logged once, with the request's name, and never shown. A URL may be a secret, so no line of the
log has one: it has the route's path as declared.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outgate.http.http_route import Kind, route_of
from outgate.store.engine import StoreUnavailable

ErrorPage = Callable[[Request, int, Mapping[str, str] | None], Response]  # a page for a status, with headers
ErrorForm = Callable[[int, str, Mapping[str, str] | None], Response]  # for programs: status, detail, headers
KindOfPath = Callable[[str], Kind]

RETRY_SECONDS: Final = 60

_log = structlog.get_logger("http")


class ErrorResponses:
    """The inner application's exceptions as answers. `kind_of` says it for paths where there is no route."""

    def __init__(
        self, inner: ASGIApp, error_page: ErrorPage, kind_of: KindOfPath, forms: Mapping[Kind, ErrorForm]
    ) -> None:
        self._inner, self._error_page, self._kind_of, self._forms = inner, error_page, kind_of, forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._inner(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            answer = self._answer(Request(scope), error)
            if not started:  # else the server sees that the answer has no end, and closes the connection
                await answer(scope, receive, send)

    def _answer(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return self._response(request, error.status_code, error.headers, error.detail)
        if isinstance(error, StoreUnavailable):
            _log.warning("a request found no database", error=str(error))
            return self._response(request, 503, {"Retry-After": str(RETRY_SECONDS)})
        route = route_of(request.scope)
        _log.error("a request failed", route=route.path if route else "", exc_info=error)
        return self._response(request, 500)

    def _response(
        self, request: Request, status: int, headers: Mapping[str, str] | None = None, detail: str = ""
    ) -> Response:
        route = route_of(request.scope)
        form = self._forms.get(route.kind if route else self._kind_of(request.scope["path"]))
        return form(status, detail, headers) if form else self._error_page(request, status, headers)


def problem(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """A problem of the kind that its status says (RFC 9457 4.2.1), for programs; `detail` is for people."""
    title = HTTPStatus(status).phrase
    members: dict[str, object] = {"type": "about:blank", "title": title, "status": status}
    if detail and detail != title:
        members["detail"] = detail
    return JSONResponse(members, status, headers, media_type="application/problem+json")
