"""Where JMAP is: the session resource, the methods, uploads and downloads. Push is not offered.

A user may ask for a few things at once (RFC 8620 2, maxConcurrentRequests); each process counts for itself.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outgate.api.api_services import ApiServices
from outgate.api.gmail_scopes import GMAIL_SCOPES
from outgate.api.google_error import ApiError
from outgate.api.request_holder import holder_of
from outgate.directory.errors import NotFound
from outgate.frozen import frozen
from outgate.http.body_limit import body_of, read_body
from outgate.http.http_route import NO_STORE, Handler, HttpRoute
from outgate.jmap import email_submissions, identities, jmap_request, uploaded_emails
from outgate.jmap.jmap_call import JmapCall, account_of
from outgate.jmap.jmap_fault import RequestFault
from outgate.jmap.jmap_limits import CORE, MAX_AT_ONCE, MAX_REQUEST
from outgate.jmap.jmap_method import Arguments, JmapMethod, Responses
from outgate.jmap.jmap_session import CAPABILITIES, session
from outgate.operations import submission_operations
from outgate.operations.token_operations import TokenHolder
from outgate.writing.uploads import TooManyUploads, Upload

_REALM: Final = 'Bearer realm="outgate", error="invalid_token"'
_MAX_KEY: Final = 255  # characters
_WORD: Final = r"[A-Za-z0-9!#$&^_.+-]{1,100}"
_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}(; ?{_WORD}={_WORD})?")
_UNCHANGING: Final = "private, immutable, max-age=86400"  # what is in a blob, as long as it is there
_UNKNOWN_TYPE: Final = "application/octet-stream"


def _echo(_call: JmapCall, given: Arguments) -> Responses:
    """The arguments once more (RFC 8620 4)."""
    return [("Core/echo", dict(given))]


METHODS: Final[Mapping[str, JmapMethod]] = {
    method.name: method
    for method in (
        JmapMethod("Core/echo", CORE, (), _echo),
        *identities.METHODS,
        *uploaded_emails.METHODS,
        *email_submissions.METHODS,
    )
}


@frozen
class _Asking:
    """How many requests of each account are being answered."""

    running: Counter[int]

    @contextmanager
    def one_more(self, account_id: int, limit: str) -> Iterator[None]:
        """Raises RequestFault if these are enough."""
        if self.running[account_id] >= MAX_AT_ONCE:
            raise RequestFault("limit", f"at most {MAX_AT_ONCE} at once", limit=limit)
        self.running[account_id] += 1
        try:
            yield
        finally:
            self.running[account_id] -= 1
            if not self.running[account_id]:
                del self.running[account_id]


class JmapEndpoint:
    """Answers for all of it."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._requests, self._uploads = _Asking(Counter()), _Asking(Counter())

    def routes(self) -> list[HttpRoute]:
        """All there are."""
        largest = self._services.config.submission.max_message_bytes
        return [
            _route("/.well-known/jmap", "GET", self.tell),
            _route("/jmap/api", "POST", self.answer, 4 * MAX_REQUEST),  # what is larger is not even read
            _route("/jmap/upload/{account}", "POST", self.take, largest),
            _route("/jmap/download/{account}/{blob}/{name}", "GET", self.give, cache=_UNCHANGING),
            _route("/jmap/events", "GET", self.push),
        ]

    async def tell(self, request: Request) -> Response:
        """The session resource."""
        holder = await self._admit(request)
        return JSONResponse(session(self._services.config, holder))

    async def answer(self, request: Request) -> Response:
        """Call the methods of a request."""
        holder = await self._admit(request)
        try:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                raise RequestFault("notJSON", "Content-Type must be application/json")
            with self._requests.one_more(holder.token.account_id, "maxConcurrentRequests"):
                await read_body(request)
                return await self._services.threads.run(JSONResponse, await self._answered(request, holder))
        except RequestFault as fault:
            return fault.response()

    async def _answered(self, request: Request, holder: TokenHolder) -> dict[str, object]:
        given = await self._services.threads.run(jmap_request.read, body_of(request), CAPABILITIES)
        for _ in given.methodCalls[1:]:  # each counts as a request; the first did with its own
            self._count(holder)
        key = request.headers.get("idempotency-key", "")
        if len(key) > _MAX_KEY:
            raise RequestFault("limit", f"Idempotency-Key has at most {_MAX_KEY} characters", limit="Idempotency-Key")
        call = JmapCall(self._services, holder, dict(given.createdIds or {}), key, body_of(request))
        told: dict[str, object] = {
            "methodResponses": await jmap_request.answered(call, given, METHODS),
            "sessionState": session(self._services.config, holder)["state"],
        }
        return told if given.createdIds is None else told | {"createdIds": call.created}

    async def take(self, request: Request) -> Response:
        """Keep what is uploaded."""
        holder = await self._admit(request, uploaded_emails.MAY_WRITE)
        _require_account(request, holder)
        try:
            with self._uploads.one_more(holder.token.account_id, "maxConcurrentUpload"):
                await read_body(request)
                return await self._services.threads.run(self._taken, request, holder)
        except RequestFault as fault:
            return fault.response()

    def _taken(self, request: Request, holder: TokenHolder) -> Response:
        content, content_type = body_of(request), _type(request.headers.get("content-type", ""))
        call = JmapCall(self._services, holder, {})
        try:
            with call.writing() as op:
                made = submission_operations.add_upload(op, holder.address, content_type, content)
        except TooManyUploads as error:
            raise HTTPException(413, str(error)) from None
        told = {"accountId": call.account, "blobId": f"B{made}", "type": content_type, "size": len(content)}
        return JSONResponse(told, 201)

    async def give(self, request: Request) -> Response:
        """What was uploaded, once more."""
        holder = await self._admit(request, uploaded_emails.MAY_READ)
        _require_account(request, holder)
        found = await self._services.threads.run(self._given, request.path_params["blob"], holder)
        name = quote(request.path_params["name"][:200], safe="")
        return Response(
            found.content,
            media_type=_type(request.query_params.get("type", "")),
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
        )

    def _given(self, blob: str, holder: TokenHolder) -> Upload:
        call, number = JmapCall(self._services, holder, {}), uploaded_emails.row_of("B", blob)
        try:
            with call.reading() as op:
                return submission_operations.read_upload(op, holder.address, number)
        except NotFound as error:
            raise HTTPException(404, str(error)) from None

    async def push(self, request: Request) -> Response:
        """There is none."""
        await self._admit(request)
        raise HTTPException(501, "push is not offered; ask with /changes")

    async def _admit(self, request: Request, scopes: Collection[str] = GMAIL_SCOPES) -> TokenHolder:
        """Whose request it is, if it is not one too many and the token has one of these. Raises HTTPException."""
        holder = await self._services.threads.run(self._holder, request)
        self._count(holder)
        if not holder.token.scopes.intersection(scopes):
            raise HTTPException(403, "the token has no scope for this; see docs/api.md")
        return holder

    def _count(self, holder: TokenHolder) -> None:
        try:
            self._services.quota.take(holder.token.client, holder.token.account_id, self._services.now())
        except ApiError as error:
            raise HTTPException(error.code, error.message, error.headers) from None

    def _holder(self, request: Request) -> TokenHolder:
        holder = holder_of(self._services, request)
        if holder is None:
            raise HTTPException(401, "a bearer token is needed; see docs/api.md", {"WWW-Authenticate": _REALM})
        return holder


def _require_account(request: Request, holder: TokenHolder) -> None:
    if request.path_params["account"] != account_of(holder):
        raise HTTPException(404, "there is no such account")


def _type(given: str) -> str:
    """A media type that can stand in a header."""
    return given if _TYPE.fullmatch(given) else _UNKNOWN_TYPE


def _route(path: str, method: str, handler: Handler, max_body: int = 0, cache: str = NO_STORE) -> HttpRoute:
    methods = frozenset({method})
    return HttpRoute(path=path, methods=methods, handler=handler, kind="api", max_body=max_body, cache=cache)
