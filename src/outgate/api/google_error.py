"""What has failed, in the form in which Google's APIs tell it: `error.status` is always there. Pure.

The texts that tools look for are the reference's own; the others are ours, and say what to do (docs/api.md).
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import JSONResponse, Response

from outgate.operations.context import Denied
from outgate.operations.error_codes import ErrorCode, code_of, text_of
from outgate.store.engine import StoreUnavailable

NOT_FOUND: Final = "Requested entity was not found."
_REALM: Final = 'Bearer realm="outgate"'

# The status word and the reason of each HTTP status, where no more is known.
_WORDS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("INVALID_ARGUMENT", "invalidArgument"),
    401: ("UNAUTHENTICATED", "authError"),
    403: ("PERMISSION_DENIED", "forbidden"),
    404: ("NOT_FOUND", "notFound"),
    405: ("UNIMPLEMENTED", "httpMethodNotAllowed"),
    408: ("DEADLINE_EXCEEDED", "requestTimeout"),
    409: ("ALREADY_EXISTS", "alreadyExists"),
    412: ("FAILED_PRECONDITION", "conditionNotMet"),
    413: ("INVALID_ARGUMENT", "uploadTooLarge"),
    429: ("RESOURCE_EXHAUSTED", "rateLimitExceeded"),
    503: ("UNAVAILABLE", "backendError"),
}
_INTERNAL: Final = ("INTERNAL", "internalError")
_NAME_FIRST: Final = re.compile(r"\S*[.:@]\S")


class ApiError(Exception):
    """A request that is refused. `reason` is the word in `errors`, where it is not that of the status."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: str = "",
        reason: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        word, usual = _WORDS.get(code, _INTERNAL)
        self.code, self.message, self.headers = code, message, headers
        self.status, self.reason = status or word, reason or usual


def invalid(message: str) -> ApiError:
    """What was sent can't be so."""
    return ApiError(400, message)


def precondition(message: str) -> ApiError:
    """What was asked for is well-formed, and can't be done as things stand."""
    return ApiError(400, message, status="FAILED_PRECONDITION", reason="failedPrecondition")


def not_found(message: str = NOT_FOUND) -> ApiError:
    """There is no such thing."""
    return ApiError(404, message)


def no_token(message: str) -> ApiError:
    """Nobody's request (RFC 6750 3)."""
    return ApiError(401, message, headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'})


def no_scope(wanted: tuple[str, ...]) -> ApiError:
    """The token is good, but not for this."""
    challenge = f'{_REALM}, error="insufficient_scope", scope="{" ".join(dict.fromkeys(wanted))}"'
    return ApiError(
        403,
        "Request had insufficient authentication scopes.",
        reason="insufficientPermissions",
        headers={"WWW-Authenticate": challenge},
    )


def told(error: Exception) -> ApiError:
    """An operation's refusal. Raises the error itself if it is none, or one of the base's."""
    if isinstance(error, ApiError):
        return error
    code = code_of(error)
    if code is None or isinstance(error, StoreUnavailable):
        raise error
    text = sentence(text_of(error))
    match code:
        case ErrorCode.NOT_FOUND:
            return not_found()
        case ErrorCode.ALREADY_EXISTS:
            return ApiError(409, text)
        case ErrorCode.INVALID:
            return invalid(text)
        case ErrorCode.NOT_ALLOWED if isinstance(error, Denied):
            return ApiError(403, text)
        case ErrorCode.NOT_ALLOWED | ErrorCode.CHECK_FAILED:
            return precondition(text)
    return ApiError(503, text)


def response(error: ApiError) -> Response:
    """The answer that tells it."""
    one = {"message": error.message, "domain": "global", "reason": error.reason}
    body = {"code": error.code, "message": error.message, "errors": [one], "status": error.status}
    return JSONResponse({"error": body}, error.code, error.headers)


def google_form(status: int, detail: str, headers: Mapping[str, str] | None) -> Response:
    """For http.application: what the base itself refuses."""
    message = NOT_FOUND if status == HTTPStatus.NOT_FOUND else sentence(detail or HTTPStatus(status).phrase)
    return response(ApiError(status, message, headers=headers))


def sentence(text: str) -> str:
    """An operation's words as a sentence; a host or address that they begin with stays as it is."""
    if not _NAME_FIRST.match(text):
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
