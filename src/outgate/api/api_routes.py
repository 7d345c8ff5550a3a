"""All that programs may ask for, as routes. Knows no listener."""

from outgate.api.answering import Answering
from outgate.api.api_services import ApiServices
from outgate.api.batch_endpoint import BatchEndpoint
from outgate.api.discovery_service import DiscoveryService
from outgate.api.media_upload import MediaUploads
from outgate.api.openapi_service import OpenApiService
from outgate.api.surfaces import SURFACES
from outgate.api.token_endpoint import TokenEndpoint
from outgate.http.http_route import HttpRoute


def api_routes(services: ApiServices, batch: BatchEndpoint) -> list[HttpRoute]:
    """For http.application.HttpApplication."""
    answering = Answering(services)
    uploads = MediaUploads(services, answering)
    return [
        *TokenEndpoint(services).routes(),
        *DiscoveryService(services).routes(),
        *OpenApiService(services).routes(),
        *batch.routes(),
        *(route for surface in SURFACES for route in (*answering.routes(surface), *uploads.routes(surface))),
    ]
