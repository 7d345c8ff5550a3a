"""How Outgate's own API answers: JSON with an ETag (RFC 9110 8.8.3), and what has failed as problem+json (RFC 9457).

Knows no method.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outgate.api.api_method import Outcome, Resource
from outgate.api.google_error import ApiError, sentence
from outgate.operations.context import Denied
from outgate.operations.error_codes import ErrorCode, code_of, text_of
from outgate.operations.mail_operations import TooMuchMail
from outgate.store.engine import StoreUnavailable

MEDIA_TYPE: Final = "application/problem+json"
_STATUSES: Final[Mapping[ErrorCode, int]] = {
    ErrorCode.INVALID: 400,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.ALREADY_EXISTS: 409,
    ErrorCode.NOT_ALLOWED: 409,
    ErrorCode.CHECK_FAILED: 422,
    ErrorCode.UNAVAILABLE: 503,
}
_ETAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class ProblemDetails(Resource):
    """What has failed (RFC 9457)."""

    type: str = Field(description="The kind of problem: that of the status.", examples=["about:blank"])
    title: str = Field(description="The status in words.", examples=["Bad Request"])
    status: int = Field(description="The status.", examples=[400])
    detail: str | None = Field(None, description="What is wrong, and what to do.", examples=["Say which."])
    code: ErrorCode | None = Field(None, description="What is wrong, for programs.", examples=["invalid"])


def etag_of(resource: Resource) -> str:
    """Of the state of a resource: the same as long as nothing of it changes."""
    return f'"{hashlib.sha256(resource.model_dump_json(by_alias=True, exclude_none=True).encode()).hexdigest()[:32]}"'


def require_match(request: Request, now: Callable[[], Resource | None]) -> None:
    """Whoever names the state that they have seen (If-Match) changes no other. `now` finds that there is, None if none.
    Raises ApiError (412).
    """
    given = request.headers.get("if-match")
    if given is None:
        return
    resource = now()
    if resource is None or not _names(given, etag_of(resource), weakly=False):
        raise ApiError(412, "It has changed since you have read it: read it again, and then decide.")


def respond(outcome: Outcome, request: Request) -> Response:
    """The answer; nothing of it if the program has it already (If-None-Match)."""
    if outcome is None:
        return Response(status_code=204)
    headers = {"ETag": etag_of(outcome)} if request.method in ("GET", "HEAD") else {}
    if headers and _names(request.headers.get("if-none-match", ""), headers["ETag"], weakly=True):
        return Response(status_code=304, headers=headers)
    return JSONResponse(outcome.model_dump(mode="json", by_alias=True, exclude_none=True), headers=headers)


def refused(error: Exception) -> Response:
    """What a request was refused for. Raises the error itself if it is no refusal, or one of the base's."""
    if isinstance(error, ApiError):
        return _problem(error.code, error.message, error.headers)
    code = code_of(error)
    if code is None or isinstance(error, StoreUnavailable):
        raise error
    status = 403 if isinstance(error, Denied) else 429 if isinstance(error, TooMuchMail) else _STATUSES[code]
    return _problem(status, sentence(text_of(error)), code=code)


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None, code: str = "") -> Response:
    members: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if code:
        members["code"] = code
    return JSONResponse(members, status, headers, media_type=MEDIA_TYPE)


def _names(header: str, etag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags has this one; `*` is any."""
    if header.strip() == "*":
        return True
    return any(tag == etag and (weakly or not weak) for weak, tag in _ETAG.findall(header))
