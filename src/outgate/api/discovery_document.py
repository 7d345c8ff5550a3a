"""Discovery documents: how programs learn which methods an API has and where. Made of the methods themselves. Pure.

In the form of Google's API Discovery Service, `discovery#restDescription`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from outgate.api.api_method import ApiMethod, ApiParameter, ApiSurface, Resource

_REVISION: Final = "1"
# What every method takes; what has no meaning here is accepted all the same, since programs send it.
_EVERYWHERE: Final[Mapping[str, Mapping[str, object]]] = {
    "alt": {"type": "string", "location": "query", "default": "json", "description": "Data format for response."},
    "fields": {"type": "string", "location": "query", "description": "Which parts of the answer are wanted."},
    "key": {"type": "string", "location": "query", "description": "Has no meaning here: the token says who asks."},
    "prettyPrint": {"type": "boolean", "location": "query", "default": "true", "description": "Has no meaning here."},
    "quotaUser": {"type": "string", "location": "query", "description": "Has no meaning here."},
}

Kinds = Mapping[str, type[Resource]]  # by the names of the classes


def document(surface: ApiSurface, url: str) -> dict[str, Any]:
    """The document of an API that is at this URL."""
    root = f"{url}/"
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": f"{surface.name}:{surface.version}",
        "name": surface.name,
        "version": surface.version,
        "revision": _REVISION,
        "title": surface.title,
        "description": surface.description,
        "protocol": "rest",
        "rootUrl": root,
        "servicePath": surface.service_path,
        "basePath": f"/{surface.service_path}" if surface.service_path else "",
        "baseUrl": root + surface.service_path,
        "batchPath": surface.batch_path,
        "parameters": {name: dict(told) for name, told in _EVERYWHERE.items()},
        "auth": {"oauth2": {"scopes": {scope: {"description": text} for scope, text in surface.scopes.items()}}},
        "schemas": _schemas(surface.methods),
        "resources": _resources(surface),
    }


def schema_name(kind: type[Resource]) -> str:
    """As Google's APIs call it, which its docstring's file may not."""
    return kind.google_name or kind.__name__


def _resources(surface: ApiSurface) -> dict[str, Any]:
    """A tree by the names in the methods' ids."""
    tree: dict[str, Any] = {}
    for method in surface.methods:
        _, *path, name = method.id.split(".")
        branch: dict[str, Any] = {"resources": tree}
        for part in path:
            branch = branch.setdefault("resources", {}).setdefault(part, {})
        branch.setdefault("methods", {})[name] = _method(surface, method)
    return tree


def _method(surface: ApiSurface, method: ApiMethod) -> dict[str, Any]:
    required = [one.name for one in method.parameters if one.location == "path"]
    told: dict[str, Any] = {
        "id": method.id,
        "path": method.path,
        "flatPath": method.flat_path or method.path,
        "httpMethod": method.verb,
        "description": method.description,
        "parameters": {one.name: _parameter(one) for one in method.parameters},
        "parameterOrder": required,
        "scopes": sorted(method.scopes),
    }
    if method.takes:
        told["request"] = {"$ref": schema_name(method.takes)}
    if method.gives:
        told["response"] = {"$ref": schema_name(method.gives)}
    if method.media:
        path = surface.service_path + method.path
        told["supportsMediaUpload"] = True
        told["mediaUpload"] = {
            "accept": list(method.media.accept),
            "maxSize": str(method.media.max_bytes),
            "protocols": {
                "simple": {"multipart": True, "path": f"/upload/{path}"},
                "resumable": {"multipart": True, "path": f"/resumable/upload/{path}"},
            },
        }
    return told


def _parameter(parameter: ApiParameter) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": parameter.kind,
        "location": parameter.location,
        "description": parameter.description,
    }
    if parameter.location == "path":
        told["required"] = True
    if parameter.format:
        told["format"] = parameter.format
    if parameter.repeated:
        told["repeated"] = True
    if parameter.pattern:
        told["pattern"] = parameter.pattern
    if parameter.enum:
        told["enum"] = list(parameter.enum)
    if parameter.default:
        told["default"] = parameter.default
    return told


def _schemas(methods: Iterable[ApiMethod]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in {kind for method in methods for kind in (method.takes, method.gives) if kind}:
        whole = kind.model_json_schema(by_alias=True)
        schemas = {kind.__name__: whole, **whole.get("$defs", {})}
        kinds = {one.__name__: one for one in _within(kind)}
        for name, schema in schemas.items():
            if not kinds[name].inline:
                named = schema_name(kinds[name])
                found[named] = {"id": named, **_object(schema, kinds, schemas)}
    return dict(sorted(found.items()))


def _within(kind: type[Resource]) -> set[type[Resource]]:
    """A resource with all those it is made of."""
    seen: set[type[Resource]] = set()
    ahead = [kind]
    while ahead:
        one = ahead.pop()
        if one not in seen:
            seen.add(one)
            ahead += [part for field in one.model_fields.values() for part in _resources_in(field.annotation)]
    return seen


def _resources_in(annotation: Any) -> list[type[Resource]]:
    if isinstance(annotation, type) and issubclass(annotation, Resource):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _resources_in(part)]


def _object(schema: Mapping[str, Any], kinds: Kinds, schemas: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": " ".join(schema.get("description", "").split()),
        "properties": {name: _property(told, kinds, schemas) for name, told in schema.get("properties", {}).items()},
    }


def _property(told: Mapping[str, Any], kinds: Kinds, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema's words in Discovery's, which has no null and no alternatives."""
    one = next(one for one in told.get("anyOf", [told]) if one.get("type") != "null")
    made: dict[str, Any] = {"description": told["description"]} if "description" in told else {}
    if "$ref" in one:
        name = one["$ref"].rpartition("/")[2]
        if kinds[name].inline:
            return _object(schemas[name], kinds, schemas) | made
        return made | {"$ref": schema_name(kinds[name])}
    made["type"] = one.get("type", "any")
    if made["type"] == "array":
        made["items"] = _property(one["items"], kinds, schemas)
    if made["type"] == "object":
        made["additionalProperties"] = {"type": "any"}
    if "enum" in one:
        made["enum"] = list(one["enum"])
    if "format" in told or "format" in one:
        made["format"] = told.get("format") or one["format"]
    return made
