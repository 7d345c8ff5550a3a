"""All that programs may ask for, as routes. Knows no listener."""

from outgate.api.answering import Answering
from outgate.api.api_services import ApiServices
from outgate.api.surfaces import SURFACES
from outgate.api.token_endpoint import TokenEndpoint
from outgate.http.http_route import HttpRoute


def api_routes(services: ApiServices) -> list[HttpRoute]:
    """For http.application.HttpApplication."""
    answering = Answering(services)
    return [
        *TokenEndpoint(services).routes(),
        *(route for surface in SURFACES for route in answering.routes(surface)),
    ]
