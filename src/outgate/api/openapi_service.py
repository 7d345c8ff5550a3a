"""Where the description of Outgate's own API is. No token is asked for: there is nothing in it that is anybody's."""

from functools import cached_property
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outgate.api.api_services import ApiServices
from outgate.api.discovery_service import RATE
from outgate.api.openapi_document import document
from outgate.api.own_surface import OWN
from outgate.http.http_route import HttpRoute

PATH: Final = f"/{OWN.service_path}openapi.json"


class OpenApiService:
    """Answers for the path."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def routes(self) -> list[HttpRoute]:
        """The one there is."""
        return [HttpRoute(path=PATH, methods=frozenset({"GET"}), handler=self.answer, kind="api", rate=RATE)]

    async def answer(self, _request: Request) -> Response:
        """The description."""
        return Response(self._body, media_type="application/json")

    @cached_property
    def _body(self) -> bytes:
        return bytes(JSONResponse(document(OWN, self._services.public_url)).body)
