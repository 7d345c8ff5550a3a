"""What is declared of each thing that can be asked for by HTTP. Knows neither how it is found nor how it is made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

# What has failed is told as a page, as problem+json, as Google's APIs do, or as SCIM does.
Kind = Literal["page", "api", "google", "scim"]
Handler = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]

NO_STORE: Final = "no-store"
_SCOPE: Final = "outgate.route"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    """A path with its methods, and all that holds for requests to it.

    `path` is Starlette's, as in "/confirm/{token}". A `handler` that is a plain function runs in the base's threads,
    where it may use the database; its body is read before (`body_of`). One that is `async` runs on the event loop, and
    may read its body as it comes (`request.stream()`) or answer without end (server-sent events).

    Handlers raise starlette's HTTPException for what they refuse and let StoreUnavailable pass: the answer's form goes
    by `kind`.
    """

    path: str
    methods: frozenset[str]  # HEAD goes with GET
    handler: Handler
    kind: Kind
    max_body: int = 0  # bytes
    rate: str = ""  # requests to this path of one network, as in "60/1minute"; empty is no limit
    policy: str = ""  # Content-Security-Policy; empty is that of its kind
    cache: str = NO_STORE  # Cache-Control of what is answered well; all else is never stored


def bind(scope: Scope, route: HttpRoute) -> None:
    """Note which route a request has come to."""
    scope[_SCOPE] = route


def route_of(scope: Scope) -> HttpRoute | None:
    """The route that a request has come to; None if there is none at its path."""
    route: HttpRoute | None = scope.get(_SCOPE)
    return route
