"""What browsers report of a page that tried what it may not (CSP): somebody's text has come to be a script, or we err.

A report is anybody's to send, so nothing of it is kept but its kind.
"""

import json
from typing import Final

import structlog
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from outgate.http.body_limit import body_of, read_body
from outgate.http.http_route import HttpRoute
from outgate.http.security_headers import CSP_REPORTS

_REPORTS: Final = Counter("outgate_csp_reports", "Reports of browsers that a page tried what it may not (CSP)")
_DIRECTIVES: Final = frozenset(
    {
        *("script-src", "script-src-elem", "script-src-attr", "style-src", "style-src-elem", "style-src-attr"),
        *("img-src", "connect-src", "form-action", "frame-src", "font-src", "media-src", "object-src", "base-uri"),
    }
)

_log = structlog.get_logger("web")


def route() -> HttpRoute:
    """Where they are sent."""
    return HttpRoute(
        path=CSP_REPORTS,
        methods=frozenset({"POST"}),
        handler=_take,
        kind="page",
        max_body=16 * 1024,
        rate="60/1minute",
    )


async def _take(request: Request) -> Response:
    await read_body(request)
    _REPORTS.inc()
    _log.warning("a page tried what it may not", directive=_directive(body_of(request)))
    return Response(status_code=204)


def _directive(body: bytes) -> str:
    """Which rule of the policy stopped it; "other" for what is none of them."""
    try:
        found = json.loads(body)["csp-report"]["effective-directive"]
    except (ValueError, KeyError, TypeError):
        return "other"
    return found if found in _DIRECTIVES else "other"
