"""What holds for every answer, whatever made it: headers, a limit on what is sent here, and a page for faults.

An ASGI application round another one. A URL is a secret here, so no line of the log has one.
"""

import secrets
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outgate.web.page import page
from outgate.web.texts import TEXTS, preferred

MAX_BODY: Final = 1024  # bytes; the form has no fields

_POLICY: Final = (
    "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_HSTS: Final = "max-age=31536000"

_log = structlog.get_logger("web")


class SecurityHeaders:
    """The inner application's answers, each with our headers; its exceptions become a plain page and a log line."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        nonce = scope["nonce"] = secrets.token_urlsafe(16)
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _complete(MutableHeaders(scope=message), nonce, secure=scope["scheme"] == "https")
            await send(message)

        try:
            await self._answer(scope, receive, with_headers)
        except Exception:
            _log.exception("a page failed")
            if not started:
                await fault_page(Request(scope), 500)(scope, receive, with_headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _has_body(Headers(scope=scope)):
            # Closed, so that what is sent is not read either.
            answer = fault_page(Request(scope), 413, {"Connection": "close"})
            await answer(scope, receive, send)
        else:
            await self._inner(scope, receive, send)


async def http_fault(request: Request, error: Exception) -> Response:
    """The page for what the router refuses: no such page (404), no such method (405)."""
    assert isinstance(error, HTTPException)
    return fault_page(request, error.status_code, error.headers)


def fault_page(request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A page that says no more than its status."""
    language = preferred(request.headers.get("accept-language", ""))
    return page(request, TEXTS[language].faults[status], language, status, headers=headers)


def _complete(headers: MutableHeaders, nonce: str, *, secure: bool) -> None:
    headers.update(_HEADERS)
    headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
    if secure:
        headers["Strict-Transport-Security"] = _HSTS  # never in plain HTTP (RFC 6797 7.2)


def _has_body(headers: Headers) -> bool:
    """Whether more is sent than a form without fields; h11 has seen to it that a length is a number."""
    return "transfer-encoding" in headers or int(headers.get("content-length", "0")) > MAX_BODY
