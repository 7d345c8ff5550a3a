"""docs/own-api-reference.md: Outgate's own API, made of what its routes are made of."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from outgate.api.openapi_document import document
from outgate.api.own_surface import OWN
from outgate.operations.error_codes import ErrorCode

_SCHEMAS = "#/components/schemas/"


def api_page() -> str:
    """The reference, as Markdown."""
    told = document(OWN, "https://mail.example.com")
    methods = [
        _method(verb, path, method, told["components"]["schemas"])
        for path, of_path in told["paths"].items()
        for verb, method in of_path.items()
    ]
    statuses = "\n".join(f"| {code} | {one['description']} |" for code, one in told["components"]["responses"].items())
    scopes = "\n".join(f"| `{scope}` | {text} |" for scope, text in OWN.scopes.items())
    return f"""\
# Outgate's own API: the reference

What is below is also at `/{OWN.service_path}openapi.json` (OpenAPI 3.1). [own-api.md](own-api.md) shows how it is used.

## Scopes

A method needs all scopes that stand beside it. A program has a scope by a grant or by its user's consent; what it does
needs the privilege of the same name of the user that it acts for as well ([roles.md](roles.md)).

| scope | |
|---|---|
{scopes}

## What is answered when something fails

Problems by RFC 9457, `application/problem+json`: `title` is the status in words, `detail` says what is wrong and what
to do, `code` says it for programs ({", ".join(f"`{one}`" for one in ErrorCode)}).

| status | |
|---|---|
{statuses}
{"".join(methods)}"""


def _method(verb: str, path: str, method: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    summary = ". ".join(one for one in (method["summary"], method["description"].rstrip(".")) if one)
    scopes = ", ".join(f"`{scope}`" for scope in method["security"][0]["token"])
    parameters = "\n".join(_parameter(one) for one in method["parameters"])
    parts = [f"## {verb.upper()} {path}", f"{summary}. `{method['operationId']}`, scopes {scopes}."]
    if parameters:
        parts.append(f"| parameter | in | |\n|---|---|---|\n{parameters}")
    if "requestBody" in method:
        parts.append(f"Takes:\n\n{_content(method['requestBody']['content'], schemas)}")
    content = method["responses"].get("200", {}).get("content")
    parts.append(f"Gives:\n\n{_content(content, schemas)}" if content else "Gives nothing (204).")
    return "\n" + "\n\n".join(parts) + "\n"


def _parameter(one: Mapping[str, Any]) -> str:
    schema = one["schema"]
    notes = [f"one of {', '.join(f'`{value}`' for value in schema['enum'])}"] if "enum" in schema else []
    notes += [f"else `{schema['default']}`"] if "default" in schema else []
    notes += ["required"] if one.get("required") and one["in"] == "query" else []
    noted = f" ({', '.join(notes)})" if notes else ""
    return f"| `{one['name']}` | {one['in']} | {one['description']}{noted} |"


def _content(content: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    told = content["application/json"]
    lines = "\n".join(_fields(told["schema"]["$ref"].removeprefix(_SCHEMAS), schemas, ""))
    example = json.dumps(told.get("example", {}), indent=2, ensure_ascii=False)
    return f"| | |\n|---|---|\n{lines}\n\n```json\n{example}\n```"


def _fields(name: str, schemas: Mapping[str, Any], begin: str) -> Iterator[str]:
    """A row for each field, and for those within it."""
    schema = schemas[name]
    for field, told in schema["properties"].items():
        mark = " (required)" if field in schema.get("required", ()) and not begin else ""
        yield f"| `{begin}{field}` | {told.get('description', '')}{_enum(told, schemas)}{mark} |"
        inner, sign = _inner(told)
        if inner and "properties" in schemas[inner]:
            yield from _fields(inner, schemas, f"{begin}{field}{sign}.")


def _inner(told: Mapping[str, Any]) -> tuple[str, str]:
    """The schema within a field, and how it is reached; an empty name if there is none."""
    if told.get("type") == "array":
        return _inner(told["items"])[0], "[]"
    for one in (told, *told.get("anyOf", ()), *told.get("allOf", ())):
        if "$ref" in one:
            return one["$ref"].removeprefix(_SCHEMAS), ""
    return "", ""


def _enum(told: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    inner = _inner(told)[0]
    values = told.get("enum") or (schemas[inner].get("enum") if inner else None) or ()
    values = values or next((one["enum"] for one in told.get("anyOf", ()) if "enum" in one), ())
    return f" One of {', '.join(f'`{value}`' for value in values)}." if values else ""
