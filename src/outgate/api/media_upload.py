"""Routes of methods that take a message as it is: in one go, beside its JSON, or piece by piece (`uploadType`).

Knows no single method.
"""

from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from outgate.api import google_error
from outgate.api.answering import Answering, parsed, respond
from outgate.api.api_method import ApiMethod, ApiSurface, Resource
from outgate.api.api_services import ApiServices
from outgate.api.google_error import ApiError, invalid
from outgate.api.message_parts import divided
from outgate.api.resumable_upload import ContentRange, Ended, ResumableUploads
from outgate.http.body_limit import body_of, read_body
from outgate.http.http_route import HttpRoute
from outgate.operations.token_operations import TokenHolder

_PREFIXES: Final = ("/upload/", "/resumable/upload/")
_ROOM: Final = 64 * 1024  # bytes for JSON and boundaries beside the message
_MORE: Final = 308  # Resume Incomplete


class MediaUploads:
    """Makes the routes."""

    def __init__(self, services: ApiServices, answering: Answering) -> None:
        self._services, self._answering = services, answering
        self._sessions = ResumableUploads(services.config.data / "uploads")

    def routes(self, surface: ApiSurface) -> list[HttpRoute]:
        """Two for each method that takes messages."""
        return [
            self._route(method, prefix + surface.service_path + method.path)
            for method in surface.methods
            for prefix in _PREFIXES
            if method.media
        ]

    def _route(self, method: ApiMethod, path: str) -> HttpRoute:
        assert method.media

        async def answer(request: Request) -> Response:
            try:
                holder = await self._answering.admit(method, request)
                await read_body(request)  # of nobody unknown is it
                if "upload_id" in request.query_params:
                    return await self._go_on(method, request, holder)
                return await self._begin(method, request, holder)
            except Exception as error:
                return google_error.response(google_error.told(error))

        return HttpRoute(
            path=path,
            methods=frozenset({method.verb, "PUT"}),
            handler=answer,
            kind="google",
            max_body=method.media.max_bytes + _ROOM,
        )

    async def _begin(self, method: ApiMethod, request: Request, holder: TokenHolder) -> Response:
        body, content_type = body_of(request), request.headers.get("content-type", "")
        assert method.takes
        match request.query_params.get("uploadType", ""):
            case "media":
                return await self._call(method, request, holder, method.takes(), body)
            case "multipart":
                sent, media = divided(content_type, body)
                return await self._call(method, request, holder, parsed(sent, method.takes), media)
            case "resumable":
                return await self._begin_session(method, request, holder, body)
        raise invalid("uploadType must be media, multipart or resumable.")

    async def _call(
        self, method: ApiMethod, request: Request, holder: TokenHolder, sent: Resource, media: bytes
    ) -> Response:
        assert method.media
        if not media:
            raise invalid("The upload has no message.")
        if len(media) > method.media.max_bytes:
            raise ApiError(413, "The message is too large.")
        return respond(await self._answering.call(method, request, holder, sent, media), request)

    async def _begin_session(self, method: ApiMethod, request: Request, holder: TokenHolder, body: bytes) -> Response:
        assert method.media
        assert method.takes
        parsed(body, method.takes)
        services = self._services
        name = await services.threads.run(
            self._sessions.begin, holder.token.account_id, body, method.media.max_bytes, services.now()
        )
        query = urlencode({"uploadType": "resumable", "upload_id": name})
        location = f"{services.public_url}{request.url.path}?{query}"
        return Response(headers={"Location": location, "X-GUploader-UploadID": name})

    async def _go_on(self, method: ApiMethod, request: Request, holder: TokenHolder) -> Response:
        body, name, account_id = body_of(request), request.query_params["upload_id"], holder.token.account_id
        piece = ContentRange.parse(request.headers.get("content-range", ""), len(body))
        run = self._services.threads.run
        assert method.takes
        try:
            size = await run(self._sessions.take, account_id, name, piece, body)
            if size is not None:
                return Response(status_code=_MORE, headers={"Range": f"bytes=0-{size - 1}"} if size else None)
            sent, media = await run(self._sessions.finished, account_id, name)
            answer = await self._call(method, request, holder, parsed(sent, method.takes), media)
            await run(self._sessions.end, account_id, name, bytes(answer.body))
        except Ended as ended:
            return Response(ended.answer, media_type="application/json")
        return answer
