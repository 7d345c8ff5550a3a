"""What each answer tells browsers, whatever made it: what a page may load, who may frame it, who may keep it.

An ASGI application round another one. Knows no page.
"""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outgate.http.http_route import NO_STORE, HttpRoute, route_of

CSP_REPORTS: Final = "/csp-reports"  # where browsers say what a page tried that it may not

# Nothing in a page itself is ever a script or a style, so no text that somebody wrote can become one.
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " frame-src 'self';"
    f" frame-ancestors 'none'; base-uri 'none'; report-uri {CSP_REPORTS}"
)
_API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    # No site learns a path, our own included: a link to a page may be a secret. Not "no-referrer": with that, browsers
    # send "Origin: null" with our own forms as well (Fetch, 3.2), and cross_site could not tell them from others'.
    "Referrer-Policy": "strict-origin",
    "X-Content-Type-Options": "nosniff",
}
_HSTS: Final = "max-age=31536000"


class SecurityHeaders:
    """The inner application's answers, each with our headers."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _complete(MutableHeaders(scope=message), scope, message["status"])
            await send(message)

        await self._inner(scope, receive, with_headers)


def _complete(headers: MutableHeaders, scope: Scope, status: int) -> None:
    route = route_of(scope)
    headers.update(_HEADERS)
    headers["Cache-Control"] = _cache(route, status)
    headers["Content-Security-Policy"] = _policy(route, status)
    if scope["scheme"] == "https":
        headers["Strict-Transport-Security"] = _HSTS  # never in plain HTTP (RFC 6797 7.2)


def _policy(route: HttpRoute | None, status: int) -> str:
    if route and route.policy and status < 400:
        return route.policy
    return _PAGE_POLICY if route is None or route.kind == "page" else _API_POLICY


def _cache(route: HttpRoute | None, status: int) -> str:
    return route.cache if route and status < 400 else NO_STORE
