"""Makes routes of declared methods: whose request it is, whether its token is good for it, what was sent, what is told.

Knows no single method.
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outgate.api import field_mask, google_error, problem_form
from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiSurface, Outcome, Resource
from outgate.api.api_services import ApiServices
from outgate.api.field_mask import BadMask
from outgate.api.google_error import ApiError, invalid, no_scope, no_token
from outgate.api.known_answers import Asked, KnownAnswer, KnownAnswers
from outgate.api.request_holder import holder_of, secret_of
from outgate.frozen import frozen
from outgate.http.body_limit import body_of, read_body
from outgate.http.http_route import HttpRoute, Kind
from outgate.operations.token_operations import TokenHolder

MISSING: Final = (
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid"
    " authentication credential."
)
WRONG: Final = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid"
    " authentication credential."
)


class Answering:
    """Makes the routes of a surface."""

    def __init__(self, services: ApiServices) -> None:
        self._services, self._quota = services, services.quota
        self._known = KnownAnswers(services.engine, services.now)

    def routes(self, surface: ApiSurface) -> list[HttpRoute]:
        """One for each method."""
        return [self._route(surface, method) for method in surface.methods]

    def _route(self, surface: ApiSurface, method: ApiMethod) -> HttpRoute:
        form = _FORMS[surface.kind]

        async def answer(request: Request) -> Response:
            try:
                if method.of_directory:
                    return await self._known_or_new(form, method, request)
                return form.respond(await self._outcome(form, method, request), request)
            except Exception as error:
                return form.refused(error)

        return HttpRoute(
            path=_path(surface, method),
            methods=frozenset({method.verb}),
            handler=answer,
            kind=surface.kind,
            max_body=method.max_body if method.takes else MAX_UNUSED,
        )

    async def _known_or_new(self, form: "AnswerForm", method: ApiMethod, request: Request) -> Response:
        """As answered before, if the directory is as it was then. Raises ApiError, and what operations do."""
        asked = request.scope["raw_path"], request.scope["query_string"]
        looked = await self._looked(request, asked)
        if looked and looked.body is not None and looked.token.scopes.intersection(method.scopes):
            self._quota.take(looked.token.client, looked.token.account_id, self._services.now())
            return Response(looked.body, media_type=JSONResponse.media_type)
        response = form.respond(await self._outcome(form, method, request), request)
        if looked:
            self._known.keep(looked, asked, bytes(response.body))
        return response

    async def _looked(self, request: Request, asked: Asked) -> KnownAnswer | None:
        secret = secret_of(request)
        if self._known.is_local or not secret:
            return self._known.look(secret, asked) if secret else None
        return await self._services.threads.run(self._known.look, secret, asked)

    async def _outcome(self, form: "AnswerForm", method: ApiMethod, request: Request) -> Outcome:
        holder = await self.admit(method, request)
        if form.is_strict:
            _require_known(method, request)
        await read_body(request)  # of nobody unknown is it
        sent = parsed(body_of(request), method.takes) if method.takes else None
        return await self.call(method, request, holder, sent)

    async def admit(self, method: ApiMethod, request: Request) -> TokenHolder:
        """Whose request it is, if it is not one too many and the token is good for the method. Raises ApiError."""
        holder = await self._services.threads.run(self.holder, request)
        self._quota.take(holder.token.client, holder.token.account_id, self._services.now())
        scopes = holder.token.scopes
        others = method.and_scopes + (method.match_scopes if "if-match" in request.headers else ())
        if not scopes.intersection(method.scopes) or not scopes.issuperset(others):
            raise no_scope(method.scopes + others)
        return holder

    async def call(
        self, method: ApiMethod, request: Request, holder: TokenHolder, sent: Resource | None, media: bytes = b""
    ) -> Outcome:
        """What comes of it. Raises ApiError, and what operations do."""
        call = ApiCall(request, self._services, holder, _parameters(method, request), sent, media)
        if inspect.iscoroutinefunction(method.answer):
            outcome: Outcome = await method.answer(call)
            return outcome
        return await self._services.threads.run(method.answer, call)  # type: ignore[arg-type]  # as in http.application

    def holder(self, request: Request) -> TokenHolder:
        """Whose request it is. Raises ApiError."""
        if not secret_of(request):
            raise no_token(MISSING)
        holder = holder_of(self._services, request)
        if holder is None:
            raise no_token(WRONG)
        return holder


def _path(surface: ApiSurface, method: ApiMethod) -> str:
    """As Starlette writes it."""
    return re.sub(r"\{\+(\w+)\}", r"{\1:path}", f"/{surface.service_path}{method.path}")


MAX_UNUSED: Final = 64 * 1024  # bytes that a program may send where nothing is read


def parsed(body: bytes, kind: type[Resource]) -> Resource:
    """What was sent as JSON. Raises ApiError."""
    try:
        value = json.loads(body or b"{}")
        _require_storable(value, "")
        return kind.model_validate(value)
    except ValidationError as error:
        raise invalid("; ".join(_fault(one) for one in error.errors())) from None
    except (ValueError, RecursionError):
        raise invalid("Invalid JSON payload received: it is not JSON in UTF-8.") from None


def _require_storable(value: object, name: str) -> None:
    """Raises ApiError for what no database keeps: NUL and half a pair of surrogates in texts, numbers too great."""
    match value:
        case str():
            if not _is_storable(value):
                raise invalid(f"Invalid value at '{name[:80]}': it has a NUL character, or is no text of Unicode.")
        case int() | float():
            if not -_GREATEST <= value <= _GREATEST:  # nor NaN
                raise invalid(f"Invalid value at '{name[:80]}': it is too great a number.")
        case list():
            for number, one in enumerate(value):
                _require_storable(one, f"{name}.{number}" if name else str(number))
        case dict():
            for key, one in value.items():
                part = key if _is_storable(key) else "?"
                _require_storable(key, f"{name}.{part}" if name else part)
                _require_storable(one, f"{name}.{part}" if name else part)


_GREATEST: Final = 2**53 - 1  # that is the same number everywhere (RFC 7493 2.2)
_HALF: Final = re.compile("[\ud800-\udfff]")


def _is_storable(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not _HALF.search(text))


def _fault(fault: Mapping[str, Any]) -> str:
    """In our words and Google's; never with what was sent, which may be a password."""
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f'Invalid JSON payload received. Unknown name "{name[:80]}": Cannot find field.'
    if not name:
        return "Invalid JSON payload received: it must be an object."
    expected = fault.get("ctx", {}).get("expected", "")
    wanted = f"one of {expected}" if expected else f"as the API's description says ({fault['type'].replace('_', ' ')})"
    return f"Invalid value at '{name[:80]}': it must be {wanted}."


def _require_known(method: ApiMethod, request: Request) -> None:
    """Raises ApiError for what has no meaning here: who names a filter wrongly would get, or change, everything."""
    known = {one.name for one in method.parameters if one.location == "query"}
    if odd := next((name for name in request.query_params if name not in known), None):
        raise invalid(f"Unknown parameter '{odd[:80]}': {_known(known)}.")
    if "if-match" in request.headers and not method.match_scopes:
        raise invalid("If-Match is not looked at here: leave it out.")
    if "if-none-match" in request.headers and method.verb != "GET":
        raise invalid("If-None-Match is looked at with GET alone: leave it out.")


def _known(names: set[str]) -> str:
    return f"there are {', '.join(sorted(names))}" if names else "there are none here"


def _parameters(method: ApiMethod, request: Request) -> dict[str, str]:
    """Those that are given, or have a default; an empty one is as if it were left out. Raises ApiError."""
    found = {name: str(value) for name, value in request.path_params.items()}
    for parameter in method.parameters:
        if parameter.location == "query":
            value = request.query_params.get(parameter.name) or parameter.default
            if value and not _fits(value, parameter.kind):
                raise invalid(f"Invalid value for {parameter.name}: it must be {_ARTICLE[parameter.kind]}.")
            if value and parameter.enum and value not in parameter.enum:
                raise invalid(f"Invalid value for {parameter.name}: it must be one of {', '.join(parameter.enum)}.")
            if value:
                found[parameter.name] = value
            elif parameter.is_required:
                raise invalid(f"Missing parameter '{parameter.name}': {parameter.description}")
    if odd := next((name for name, value in found.items() if "\0" in value), ""):
        raise invalid(f"Invalid value for {odd}: it has a NUL character.")  # which PostgreSQL's text can't have
    return found


_ARTICLE: Final = {"string": "a text", "integer": "a whole number", "boolean": "true or false"}


def _fits(value: str, kind: str) -> bool:
    if kind == "integer":
        return value.isascii() and value.isdigit() and len(value) < 10
    return kind != "boolean" or value in ("true", "false")


def respond(outcome: Outcome, request: Request) -> Response:
    """The answer, or as much of it as `fields` asks for. Raises ApiError."""
    if outcome is None:
        return Response(status_code=204)
    value = outcome.model_dump(mode="json", by_alias=True, exclude_none=True)
    if wanted := request.query_params.get("fields"):
        try:
            value = field_mask.select(value, field_mask.parse(wanted))
        except BadMask:
            raise ApiError(400, f"Invalid field selection {wanted[:80]}", reason="invalidParameter") from None
    return JSONResponse(value)


@frozen
class AnswerForm:
    """How an API answers. With `is_strict` it refuses parameters that it does not know; Google's ignore them."""

    respond: Callable[[Outcome, Request], Response]
    refused: Callable[[Exception], Response]
    is_strict: bool


_FORMS: Final[Mapping[Kind, AnswerForm]] = {
    "google": AnswerForm(respond, lambda error: google_error.response(google_error.told(error)), is_strict=False),
    "api": AnswerForm(problem_form.respond, problem_form.refused, is_strict=True),
}
