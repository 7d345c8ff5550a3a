"""Whose request it is: the address that a connection, or the proxy before us, names (uvicorn reads X-Forwarded-For)."""

from starlette.requests import Request
from starlette.types import Scope

from outgate.peer import network_of


def peer_of(request: Request) -> str:
    """The address that a request came from; empty if a proxy did not name it properly."""
    return _address(request.scope)


def peer_network(scope: Scope) -> str:
    """The network of that address; empty if it is not known."""
    address = _address(scope)
    return network_of(address) if address else ""


def _address(scope: Scope) -> str:
    client: tuple[str, int] | None = scope.get("client")
    host = client[0] if client else ""
    try:
        network_of(host)
    except ValueError:
        return ""
    return host
