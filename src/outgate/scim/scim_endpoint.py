"""Where identity providers ask: whose token it is, how often it may ask, and what is answered in which form.

The packages for SCIM take a second to import, and not every installation has an identity provider: they are imported
with the first request that has a token, or asks what there is.
"""

import math
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outgate.api.api_services import ApiServices
from outgate.api.request_quota import Quota
from outgate.extras import MissingExtra
from outgate.http.body_limit import body_of, read_body
from outgate.http.client_address import peer_of
from outgate.http.http_route import HttpRoute
from outgate.operations import scim_token_operations
from outgate.operations.scim_token_operations import ScimHolder
from outgate.scim.scim_call import ScimCall
from outgate.scim.scim_error import MEDIA_TYPE

BASE: Final = "/scim/v2"
MAX_BODY: Final = 1024 * 1024  # bytes
_PUBLIC: Final = "ServiceProviderConfig"  # how to show a token can be asked without one (RFC 7643 5)
_REALM: Final = 'Bearer realm="outgate"'


class ScimEndpoint:
    """Answers for all paths below BASE."""

    def __init__(self, services: ApiServices) -> None:
        self._services, self._quota = services, Quota(services.config.api.user_rate)

    def routes(self) -> list[HttpRoute]:
        """All there are: which of them SCIM knows is the protocol's affair."""
        return [
            HttpRoute(
                path=f"{BASE}/{{path:path}}",
                methods=frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"}),
                handler=self.answer,
                kind="scim",
                max_body=MAX_BODY,
            )
        ]

    async def answer(self, request: Request) -> Response:
        """One request. Raises HTTPException, store.engine.StoreUnavailable."""
        threads = self._services.threads
        path = request.path_params["path"]
        holder = None if path == _PUBLIC and request.method == "GET" else await self._admit(request)
        await read_body(request)  # of nobody unknown is it
        return await threads.run(self._answered, request, path, holder)

    async def _admit(self, request: Request) -> ScimHolder:
        holder = await self._services.threads.run(self._holder, request)
        now = self._services.now()
        if wait := self._quota.wait(holder.token.name, now):
            raise HTTPException(429, "too many requests", {"Retry-After": str(math.ceil(wait))})
        self._quota.count(holder.token.name, now)
        return holder

    def _holder(self, request: Request) -> ScimHolder:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": _REALM})
        holder = scim_token_operations.holder_of_token(self._services.engine, token.strip(), peer_of(request))
        if holder is None:
            challenge = f'{_REALM}, error="invalid_token"'
            raise HTTPException(401, "there is no such token, or it is revoked", {"WWW-Authenticate": challenge})
        return holder

    def _answered(self, request: Request, path: str, holder: ScimHolder | None) -> Response:
        try:
            from outgate.scim.scim_protocol import answered, described  # noqa: PLC0415  # see above
        except MissingExtra as missing:
            raise HTTPException(501, str(missing)) from None
        base_url = f"{self._services.public_url}{BASE}"
        if holder is None:
            told = described(base_url)
        else:
            call = ScimCall(self._services, holder)
            headers = list(request.headers.items())
            told = answered(call, request.method, base_url, path, dict(request.query_params), headers, body_of(request))
        named = {name: value for name, value in told.headers.items() if name.lower() != "content-type"}
        if told.body is None:
            return Response(status_code=told.status, headers=named)
        return JSONResponse(told.body, told.status, named, media_type=MEDIA_TYPE)
