"""A request's methods, called one after the other: each may take of what those before it have answered (RFC 8620 3).

Knows no single method.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from outgate.frozen import frozen
from outgate.jmap.jmap_call import JmapCall
from outgate.jmap.jmap_fault import MethodFault, RequestFault
from outgate.jmap.jmap_limits import MAX_CALLS, MAX_REQUEST
from outgate.jmap.jmap_method import Arguments, JmapMethod, Responses, method_fault

Invocation = tuple[str, dict[str, Any], str]  # name, arguments, the program's id of the call

_MOST_TAKEN: Final = 10_000  # values that a reference may stand for
_MOST_WRITTEN: Final = 1024 * 1024  # bytes that what all references of a request stand for may have, as JSON
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")


class GivenRequest(BaseModel):
    """The body (RFC 8620 3.3)."""

    model_config = ConfigDict(strict=True)

    using: list[str]
    methodCalls: list[tuple[str, dict[str, Any], str]]  # noqa: N815  # as it is named there
    createdIds: dict[str, str] | None = None  # noqa: N815


def read(body: bytes, capabilities: frozenset[str]) -> GivenRequest:
    """What was sent. Raises RequestFault."""
    if len(body) > MAX_REQUEST:
        raise RequestFault("limit", f"a request has at most {MAX_REQUEST} bytes", limit="maxSizeRequest")
    try:
        value = json.loads(body.decode())
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # nor half a pair of surrogates (RFC 7493)
    except (ValueError, RecursionError):
        raise RequestFault("notJSON", "it is not JSON in UTF-8 (I-JSON, RFC 7493)") from None
    try:
        request = GivenRequest.model_validate_json(body)
    except ValidationError:
        raise RequestFault("notRequest", "it is not of the form of a Request (RFC 8620 3.3)") from None
    if unknown := sorted(set(request.using) - capabilities):
        raise RequestFault("unknownCapability", f"there is no {unknown[0][:200]} here")
    if len(request.methodCalls) > MAX_CALLS:
        raise RequestFault("limit", f"a request has at most {MAX_CALLS} calls", limit="maxCallsInRequest")
    return request


async def answered(call: JmapCall, request: GivenRequest, methods: Mapping[str, JmapMethod]) -> list[Invocation]:
    """What each method answers, or why not. Between them others have their turn in the threads."""
    done: list[Invocation] = []
    known = _Known(request, methods, done, _Written())
    for number, (name, given, call_id) in enumerate(request.methodCalls):
        responses = await call.in_thread(_answer, replace(call, number=number), name, given, known)
        done += [(answer, told, call_id) for answer, told in responses]
    return done


class _Written:
    """How much may still be taken of answers before: each may hold the one before it many times."""

    def __init__(self) -> None:
        self._left = _MOST_WRITTEN

    def take(self, value: object) -> None:
        """Raises MethodFault if it is too much."""
        self._left -= len(json.dumps(value, ensure_ascii=False).encode())
        if self._left < 0:
            raise MethodFault("invalidResultReference", f"references stand for at most {_MOST_WRITTEN} bytes together")


@frozen
class _Known:
    """What a method is found by, and what was answered before it."""

    request: GivenRequest
    methods: Mapping[str, JmapMethod]
    done: Sequence[Invocation]
    written: _Written


def _answer(call: JmapCall, name: str, given: Arguments, known: _Known) -> Responses:
    try:
        method = known.methods.get(name)
        if method is None or method.capability not in known.request.using:
            raise MethodFault("unknownMethod")
        if method.scopes:
            call.require_scope(*method.scopes)
        return method.answer(call, _with_results(given, known))
    except Exception as error:
        return [("error", method_fault(name, error).told())]


# --- results of calls before -----------------------------------------------------------------------------------------


class ResultReference(BaseModel):
    """Where a value is that a call before has answered."""

    model_config = ConfigDict(strict=True, extra="forbid")

    resultOf: str  # noqa: N815
    name: str
    path: str


def _with_results(given: Arguments, known: _Known) -> dict[str, object]:
    """The arguments, with those whose name begins with `#` taken from answers before. Raises MethodFault."""
    found: dict[str, object] = {}
    for name, value in given.items():
        if not name.startswith("#"):
            found[name] = value
        elif name[1:] in given:
            raise MethodFault("invalidArguments", f"{name[:80]} and {name[1:80]} exclude each other")
        else:
            found[name[1:]] = _result(value, known.done)
            known.written.take(found[name[1:]])
    return found


def _result(value: object, done: Sequence[Invocation]) -> object:
    try:
        reference = ResultReference.model_validate(value)
    except ValidationError:
        raise MethodFault("invalidResultReference", "it has no resultOf, name and path") from None
    told = next((told for name, told, call_id in done if call_id == reference.resultOf), None)
    if told is None or not any(name == reference.name for name, _, call_id in done if call_id == reference.resultOf):
        raise MethodFault("invalidResultReference", "no call before has this id and name")
    told = next(told for name, told, call_id in done if (name, call_id) == (reference.name, reference.resultOf))
    path = reference.path.split("/")
    if path[0]:
        raise MethodFault("invalidResultReference", "a path begins with /")
    return _at(told, [one.replace("~1", "/").replace("~0", "~") for one in path[1:]])


def _at(value: object, path: Sequence[str]) -> object:
    """A JSON pointer (RFC 6901), with `*` for every item of an array."""
    for number, step in enumerate(path):
        if isinstance(value, list) and step == "*":
            found: list[object] = []
            for item in value:
                taken = _at(item, path[number + 1 :])
                found += taken if isinstance(taken, list) else [taken]
            if len(found) > _MOST_TAKEN:
                raise MethodFault("invalidResultReference", "it stands for too many values")
            return found
        if isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            raise MethodFault("invalidResultReference", "there is nothing at this path")
    return value
