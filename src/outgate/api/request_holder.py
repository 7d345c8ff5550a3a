"""Whose request it is: who holds the bearer token that it came with. Knows no method, and not how one is refused."""

from starlette.requests import Request

from outgate.api.api_services import ApiServices
from outgate.http.client_address import peer_of
from outgate.operations import token_operations
from outgate.operations.token_operations import TokenHolder


def secret_of(request: Request) -> str:
    """The token that it came with; empty if it has none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def holder_of(services: ApiServices, request: Request) -> TokenHolder | None:
    """Who acts by it, and for whom; None if it is good for nothing, or not there. Uses the database."""
    secret = secret_of(request)
    if not secret:
        return None
    return token_operations.holder_of_token(services.engine, secret, peer_of(request), services.now())
