"""The one ASGI application, made of routes: the only place that says in which order a request passes what.

Knows no socket, and no page or operation.
"""

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Router
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from outgate import clock
from outgate.config import WebSettings
from outgate.http.body_limit import limited, read_body
from outgate.http.client_address import peer_network
from outgate.http.cross_site import is_forged, origin_of
from outgate.http.database_threads import DatabaseThreads
from outgate.http.error_response import ErrorForm, ErrorPage, ErrorResponses, problem
from outgate.http.http_route import HttpRoute, Kind, bind
from outgate.http.rate_limit import RateLimit
from outgate.http.request_id import RequestIds
from outgate.http.security_headers import SecurityHeaders
from outgate.peer_limit import PeerLimit
from outgate.store.rates import Rates

_DEPTH: Final = 3  # parts of a path that say what it is of


class HttpApplication:
    """All routes there are, behind one entrance. `error_page` makes the pages for what is refused, `forms` the answers
    to programs.
    """

    def __init__(
        self,
        routes: Sequence[HttpRoute],
        engine: Engine,
        settings: WebSettings,
        error_page: ErrorPage,
        threads: DatabaseThreads,
        now: Callable[[], float] = clock.now,
        forms: Mapping[Kind, ErrorForm] = MappingProxyType({"api": problem}),
    ) -> None:
        self._threads = threads
        self._origin = origin_of(settings.public_url)
        self._rates = RateLimit(Rates(engine, now), threads)
        # No redirect to a path with or without its last slash: it is made from the Host header, which anybody writes.
        router = Router(self._starlette_routes(routes), redirect_slashes=False, default=_no_such_path)
        limited_peers = PeerRequests(router, PeerLimit(settings.max_connections_per_peer))
        errors = ErrorResponses(limited_peers, error_page, _kinds(routes), forms)
        self._entrance = RequestIds(SecurityHeaders(errors))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self._entrance(scope, receive, send)

    async def close(self) -> None:
        """Wait for what is being answered."""
        await self._threads.close()

    def _starlette_routes(self, routes: Sequence[HttpRoute]) -> list["DeclaredRoute"]:
        methods: defaultdict[str, set[str]] = defaultdict(set)
        for route in routes:
            methods[route.path] |= _methods(route)
        return [DeclaredRoute(route, self._guarded(route), methods[route.path]) for route in routes]

    def _guarded(self, route: HttpRoute) -> ASGIApp:
        """A route's handler behind what the route declares."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, limited(scope, receive, route.max_body), send)
            if is_forged(request.method, request.headers, self._origin):
                raise HTTPException(403, "asked for by another site")
            await self._rates.count(scope, route)
            response = await self._call(route, request)
            await response(scope, request.receive, send)

        return answer

    async def _call(self, route: HttpRoute, request: Request) -> Response:
        handler = route.handler
        if inspect.iscoroutinefunction(handler):
            answer: Response = await handler(request)
            return answer
        await read_body(request)
        return await self._threads.run(handler, request)  # type: ignore[arg-type]  # iscoroutinefunction narrows one way


class DeclaredRoute(StarletteRoute):
    """Starlette's route, which tells the rest of the request's way what was declared of it."""

    def __init__(self, declared: HttpRoute, answer: ASGIApp, methods_of_path: set[str]) -> None:
        super().__init__(declared.path, declared.handler, methods=declared.methods)
        self.app = answer
        self._declared, self._methods_of_path = declared, methods_of_path

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Also binds the route."""
        match, child = super().matches(scope)
        if match is not Match.NONE:
            bind(child, self._declared)
        return match, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say which methods the path has: not those of this route alone, as Starlette does."""
        if scope["method"] not in _methods(self._declared):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self._methods_of_path))})
        await self.app(scope, receive, send)


class PeerRequests:
    """How many requests of one peer are answered at once: a proxy's connections are many peers'."""

    def __init__(self, inner: ASGIApp, limit: PeerLimit) -> None:
        self._inner, self._limit = inner, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        peer = peer_network(scope)
        if not self._limit.enter(peer):
            raise HTTPException(429, "too many requests at once", headers={"Retry-After": "1", "Connection": "close"})
        try:
            await self._inner(scope, receive, send)
        finally:
            self._limit.leave(peer)


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)


def _methods(route: HttpRoute) -> set[str]:
    return {*route.methods, "HEAD"} if "GET" in route.methods else set(route.methods)


def _kinds(routes: Sequence[HttpRoute]) -> Callable[[str], Kind]:
    """What a path is of that has no route: what all routes are of that begin as it does, as far as any do."""
    of_begin: defaultdict[str, set[Kind]] = defaultdict(set)
    for route in routes:
        for begin in _begins(route.path):
            of_begin[begin].add(route.kind)
    known = {begin: next(iter(kinds)) for begin, kinds in of_begin.items() if len(kinds) == 1}
    return lambda path: next((known[begin] for begin in _begins(path) if begin in known), "page")


def _begins(path: str) -> list[str]:
    """Its first parts, the most of them first, without the root that all have."""
    parts = path.split("/")[1 : _DEPTH + 1]
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
