"""An API as OpenAPI 3.1 describes it: made of the methods themselves, as the routes are. Pure.

Google's own are described in the same way, for checks that read such descriptions; programs find them by discovery
documents.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ConfigDict, Field
from pydantic.json_schema import models_json_schema

from outgate.api.api_method import ApiMethod, ApiParameter, ApiSurface, Resource
from outgate.api.problem_form import MEDIA_TYPE, ProblemDetails

_SCHEMAS: Final = "#/components/schemas/"
_JSON: Final = "application/json"


class GooglesFault(Resource):
    """What has failed, as Google's APIs tell it."""

    model_config = ConfigDict(extra="allow")

    code: int = Field(description="The HTTP status.")
    message: str = Field(description="What is wrong.")
    status: str = Field(description="The kind of error, as in INVALID_ARGUMENT.")
    errors: list[dict[str, object]] = Field(description="The same in an older form.")


class GooglesError(Resource):
    """What has failed, as Google's APIs tell it."""

    error: GooglesFault = Field(description="The error.")


_FAULTS: Final[Mapping[str, tuple[str, type[Resource]]]] = {
    "api": (MEDIA_TYPE, ProblemDetails),
    "google": (_JSON, GooglesError),
}
_MEANINGS: Final = {
    400: "What was asked for can't be so; the text says why.",
    401: "There is no token, or it is good no more.",
    403: "The token lacks a scope, or its user a privilege.",
    404: "There is no such thing.",
    409: "It is there already, or can't be done as things stand.",
    412: "It has changed since it was read (If-Match).",
    413: "Too much was sent.",
    422: "It was tried, and does not work.",
    429: "Too many requests; Retry-After says when to come again.",
    503: "What is needed for it can't be reached now.",
}
_ALWAYS: Final = (400, 401, 403, 404, 413, 429, 503)
_OF_CHANGES: Final = (409, 422)
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": "How to ask with a token (RFC 6750)."},
    429: {"Retry-After": "Seconds until it may be asked for again."},
}


def document(surface: ApiSurface, url: str) -> dict[str, Any]:
    """The description of an API that is at this URL."""
    schemas = _schemas(surface)
    return {
        "openapi": "3.1.0",
        "info": {"title": surface.title, "description": surface.description, "version": surface.version},
        "servers": [{"url": url}],
        "paths": _paths(surface, schemas),
        "components": {
            "schemas": schemas,
            "responses": {str(status): _fault(surface, status) for status in _MEANINGS},
            "securitySchemes": {"token": _security(surface, url)},
        },
    }


def _paths(surface: ApiSurface, schemas: Mapping[str, Any]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for method in surface.methods:
        paths.setdefault(surface.template(method), {})[method.verb.lower()] = _method(surface, method, schemas)
    return paths


def _method(surface: ApiSurface, method: ApiMethod, schemas: Mapping[str, Any]) -> dict[str, Any]:
    summary, _, more = method.description.partition(". ")
    told: dict[str, Any] = {
        "operationId": method.id,
        "summary": summary.rstrip("."),
        "description": more,
        "tags": [method.id.partition(".")[0]],
        "security": [{"token": [one, *method.and_scopes]} for one in sorted(method.scopes)],
        "parameters": [_parameter(one) for one in _parameters(surface, method)] + _conditions(surface, method),
        "responses": _responses(surface, method, schemas),
    }
    if method.takes:
        told["requestBody"] = {"required": True, "content": _content(method.takes, schemas)}
    return told


def _parameters(surface: ApiSurface, method: ApiMethod) -> list[ApiParameter]:
    """Those of the flat path, where that has others, and those of the query."""
    known = {one.name: one for one in method.parameters}
    in_path = re.findall(r"\{(\w+)\}", surface.template(method))
    named = [known.get(name) or ApiParameter(name, "A part of the name.") for name in in_path]
    return named + [one for one in method.parameters if one.location == "query"]


def _parameter(parameter: ApiParameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.kind}
    if parameter.kind == "integer":
        schema |= {"minimum": 0, "maximum": 999_999_999}
    if parameter.pattern:
        schema["pattern"] = parameter.pattern
    if parameter.enum:
        schema["enum"] = list(parameter.enum)
    if parameter.default and parameter.location == "query":
        schema["default"] = int(parameter.default) if parameter.kind == "integer" else parameter.default
    if parameter.repeated:
        schema = {"type": "array", "items": schema}
    return {
        "name": parameter.name,
        "in": parameter.location,
        "required": parameter.location == "path" or parameter.is_required,
        "description": parameter.description,
        "schema": schema,
    }


def _conditions(surface: ApiSurface, method: ApiMethod) -> list[dict[str, Any]]:
    """The headers that a request may have."""
    if method.match_scopes:
        further = [one for one in method.match_scopes if one not in (*method.scopes, *method.and_scopes)]
        needs = f" It needs {' and '.join(f'`{one}`' for one in further)} as well, as reading does." if further else ""
        text = f"The ETag of what was read: it is done only if that has not changed since.{needs}"
        return [_header("If-Match", text)]
    if surface.kind == "api" and method.verb == "GET":
        return [_header("If-None-Match", "The ETag of what the program has: 304 if that has not changed since.")]
    return []


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _responses(surface: ApiSurface, method: ApiMethod, schemas: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if method.gives:
        told["200"] = {"description": "It is done.", "content": _content(method.gives, schemas)}
    else:
        told["204"] = {"description": "It is done."}
    if surface.kind == "api" and method.verb == "GET":
        told["200"]["headers"] = {"ETag": {"description": "Of its state.", "schema": {"type": "string"}}}
        told["304"] = {"description": "It has not changed."}
    statuses = [*_ALWAYS, *(_OF_CHANGES if method.verb != "GET" else ()), *((412,) if method.match_scopes else ())]
    return told | {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def _fault(surface: ApiSurface, status: int) -> dict[str, Any]:
    media_type, kind = _FAULTS[surface.kind]
    content = {media_type: {"schema": {"$ref": f"{_SCHEMAS}{kind.__name__}"}}}
    told: dict[str, Any] = {"description": _MEANINGS[status], "content": content}
    if status in _HEADERS:
        told["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS[status].items()
        }
    return told


def _content(kind: type[Resource], schemas: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"schema": {"$ref": f"{_SCHEMAS}{kind.__name__}"}}
    if example := _example(schemas[kind.__name__], schemas):
        told["example"] = example
    return {_JSON: told}


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any], within: tuple[str, ...] = ()) -> Any:
    """What a schema's fields give as examples; None if they give none. `within` are the schemas that it is a part of:
    what has itself as a part ends there.
    """
    if "examples" in schema:
        return schema["examples"][0]
    if name := schema.get("$ref", "").removeprefix(_SCHEMAS):
        return None if name in within else _example(schemas[name], schemas, (*within, name))
    if schema.get("type") == "array":
        one = _example(schema["items"], schemas, within)
        return None if one is None else [one]
    if "anyOf" in schema:
        found = (_example(one, schemas, within) for one in schema["anyOf"])
        return next((one for one in found if one is not None), None)
    made = {name: _example(told, schemas, within) for name, told in schema.get("properties", {}).items()}
    return {name: value for name, value in made.items() if value is not None} or None


def _schemas(surface: ApiSurface) -> dict[str, Any]:
    used = [kind for method in surface.methods for kind in (method.takes, method.gives) if kind]
    kinds = list(dict.fromkeys([*used, _FAULTS[surface.kind][1]]))
    # As what is taken: what may be left out there is left out of answers as well, where there is none.
    made = models_json_schema([(kind, "validation") for kind in kinds], ref_template=f"{_SCHEMAS}{{model}}")[1]
    return {name: _without_titles(schema) for name, schema in sorted(made["$defs"].items())}


def _without_titles(schema: Any) -> Any:
    """A property's title is its name again."""
    if isinstance(schema, Mapping):
        return {
            name: _each(value) if name in ("properties", "$defs") else _without_titles(value)
            for name, value in schema.items()
            if name != "title"
        }
    if isinstance(schema, list):
        return [_without_titles(one) for one in schema]
    return schema


def _each(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _without_titles(schema) for name, schema in named.items()}


def _security(surface: ApiSurface, url: str) -> dict[str, Any]:
    flow = {
        "authorizationUrl": f"{url}/authorize",
        "tokenUrl": f"{url}/token",
        "refreshUrl": f"{url}/token",
        "scopes": dict(surface.scopes),
    }
    description = "A token of a program that a user lets act for them, or of a service account (RFC 7523)."
    return {"type": "oauth2", "description": description, "flows": {"authorizationCode": flow}}


def examples(surface: ApiSurface) -> Iterable[tuple[type[Resource], Any]]:
    """What is taken and given, each with its example."""
    schemas = _schemas(surface)
    for kind in {kind for method in surface.methods for kind in (method.takes, method.gives) if kind}:
        yield kind, _example(schemas[kind.__name__], schemas)
