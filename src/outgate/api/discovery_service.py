"""Where discovery documents are: at the path of today's, which every Google host has, and at that of the old service.

No token is asked for: there is nothing in them that is anybody's.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outgate.api.api_method import ApiSurface
from outgate.api.api_services import ApiServices
from outgate.api.discovery_document import document
from outgate.api.google_error import not_found, response
from outgate.api.surfaces import GOOGLES
from outgate.http.http_route import HttpRoute

RATE: Final = "600/1minute"  # requests from one network


class DiscoveryService:
    """Answers for both paths."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def routes(self) -> list[HttpRoute]:
        """All there are."""
        paths = ("/$discovery/rest", "/discovery/v1/apis/{api}/{version}/rest")
        return [
            HttpRoute(path=path, methods=frozenset({"GET"}), handler=self.answer, kind="google", rate=RATE)
            for path in paths
        ]

    async def answer(self, request: Request) -> Response:
        """The document of the API that is named; without a name that of the host, else the first of this version."""
        asked = {**request.query_params, **request.path_params}
        found = _find(asked.get("api") or _of_host(request), asked.get("version", ""))
        if found is None:
            names = ", ".join(f"{one.name} {one.version}" for one in GOOGLES)
            return response(not_found(f"There is no such API here. There are: {names}."))
        return JSONResponse(document(found, self._services.public_url))


def _of_host(request: Request) -> str:
    """The name of the API whose host at Google's is asked for, else none: what ours is called names nothing."""
    host = request.headers.get("host", "").lower().partition(":")[0]
    return next((one.name for one in GOOGLES if host == f"{one.name}.googleapis.com"), "")


def _find(name: str, version: str) -> ApiSurface | None:
    return next((one for one in GOOGLES if name in ("", one.name) and version == one.version), None)
