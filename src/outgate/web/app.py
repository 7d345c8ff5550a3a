"""The pages as one ASGI application. Knows no socket."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from outgate.web.confirmation_page import ConfirmationPage
from outgate.web.security_headers import SecurityHeaders, http_fault


def application(confirmation: ConfirmationPage) -> ASGIApp:
    """All pages there are."""
    routes = [Route("/confirm/{token}", confirmation.answer, methods=["GET", "POST"])]
    inner = Starlette(routes=routes, exception_handlers={HTTPException: http_fault})
    inner.router.redirect_slashes = False  # a redirect is made from the Host header, which anybody may write
    return SecurityHeaders(inner)
