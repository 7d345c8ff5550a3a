"""SCIM 2.0 by scim2-server's core, which knows neither sockets nor databases: requests in, answers out.

Knows no HTTP but its words. Imported when it is needed: see scim_endpoint.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from outgate.directory.user_groups import MEMBERS_AT_MOST
from outgate.extras import extra
from outgate.operations.context import Denied
from outgate.operations.error_codes import ErrorCode, code_of, text_of
from outgate.scim.operation_storage import OperationStorage
from outgate.scim.scim_call import ProvidersCall
from outgate.scim.scim_shapes import PROVIDER, ScimGroup, ScimUser
from outgate.store.engine import StoreUnavailable

with extra("scim"):
    from scim2_models import (
        Context,
        ForbiddenException,
        InvalidFilterException,
        InvalidPathException,
        InvalidSyntaxException,
        InvalidValueException,
        NotFoundException,
        PatchOp,
        PatchOperation,
        PayloadTooLargeException,
        Resource,
        ResourceType,
        ResponseParameters,
        SCIMException,
        SearchRequest,
        UniquenessException,
    )
    from scim2_server.conditions import Conditions
    from scim2_server.handler import ScimHandler
    from scim2_server.requests import ScimRequest
    from scim2_server.responses import ScimResponse
    from scim2_server.service import ScimService

PATCHES_AT_MOST: Final = 100  # operations of one request
REMOVED_AT_MOST: Final = 200  # members that lists name: each is compared with all, for 12 µs
LOOKED_AT: Final = 20_000  # members, by all operations of one request: each looks at all of them, for 0.15 ms
LONGEST_FILTER: Final = 4000  # characters
LONGEST_SEARCH: Final = 4 * LONGEST_FILTER  # bytes of a body
LONGEST_PATH: Final = 200  # characters; those of Entra ID and Okta have less than 100

_JOINED: Final = re.compile(r"\b(?:and|or)\b", re.IGNORECASE)


class OutgateScim(ScimService):
    """What we do otherwise."""

    def read_search_body(
        self, resource_types: list[ResourceType], body: bytes, content_type: str | None
    ) -> "tuple[SearchRequest[Any], Any]":
        """As the library does, of what is not longer than a query can be: a filter is dear to read."""
        if len(body) > LONGEST_SEARCH:
            raise PayloadTooLargeException(detail=f"a search has at most {LONGEST_SEARCH} bytes here")
        return super().read_search_body(resource_types, body, content_type)

    def read_patch(self, resource_type: ResourceType, body: bytes, content_type: str | None) -> "PatchOp[Any]":
        """As the library does, up to a size, which is looked at first: paths with filters are dear to read."""
        sent = _folded(self.decode_body(body, content_type)).get("operations")
        _require_bounded([_folded(one) for one in sent] if isinstance(sent, list) else [])
        return super().read_patch(resource_type, body, content_type)

    def apply_patch(
        self, current: Resource[Any], patch_op: "PatchOp[Any]", conditions: Conditions
    ) -> Resource[Any] | None:
        """As the library does, as long as nobody else waits long for it."""
        members = len(current.members or ()) if isinstance(current, ScimGroup) else 0
        if members * sum(_looks(one) for one in patch_op.operations or ()) > LOOKED_AT:
            raise PayloadTooLargeException(
                detail="these are too many operations on a group of this size; send fewer, each with more members"
            )
        return super().apply_patch(current, patch_op, conditions)

    def patch_response(
        self, base_url: str, resource: Resource[Any], response_parameters: ResponseParameters[Any]
    ) -> ScimResponse:
        """A user whole, as Okta wants it; nothing of a group, which may be large and which Entra ID does not read."""
        if not isinstance(resource, ScimUser):
            return super().patch_response(base_url, resource, response_parameters)
        published = self.publish(base_url, resource)
        return self.resource_response(published, Context.RESOURCE_REPLACEMENT_RESPONSE, response_parameters)


_SERVICE: Final = OutgateScim(PROVIDER)


def described(base_url: str) -> ScimResponse:
    """What this server can do."""
    return _SERVICE.service_provider_config(f"{base_url}/ServiceProviderConfig", {})


def answered(
    call: ProvidersCall,
    method: str,
    base_url: str,
    path: str,
    query: Mapping[str, str],
    headers: Sequence[tuple[str, str]],
    body: bytes,
) -> ScimResponse:
    """What a request is answered. Raises StoreUnavailable, and what is a bug."""
    request = ScimRequest(method, base_url, f"/{path}", query, headers, body)
    storage = OperationStorage(call, changes=method != "GET" and not path.endswith("/.search"))
    try:
        if len(query.get("filter", "")) > LONGEST_FILTER:
            raise InvalidFilterException(detail=f"a filter has at most {LONGEST_FILTER} characters here")
        return ScimHandler(_SERVICE, storage).handle(request)
    except RecursionError:
        return _SERVICE.error_response(InvalidValueException(detail="the request is nested too deeply"))
    except Exception as error:
        return _SERVICE.error_response(_told(error))


def _folded(sent: Any) -> dict[str, Any]:
    """By names that have no case (RFC 7643 2.1); nothing of what is no object. Raises InvalidSyntaxException."""
    if not isinstance(sent, dict):
        return {}
    folded = {name.lower(): value for name, value in sent.items()}
    if len(folded) != len(sent):
        raise InvalidSyntaxException(detail="a name is there twice, in other letters")
    return folded


def _require_bounded(operations: Sequence[Mapping[str, Any]]) -> None:
    """Raises PayloadTooLargeException, and InvalidPathException for what may be a path: keys of values as well."""
    if len(operations) > PATCHES_AT_MOST:
        raise PayloadTooLargeException(detail=f"a PATCH has at most {PATCHES_AT_MOST} operations here")
    values = [(str(one.get("op")).lower(), one["value"]) for one in operations if "value" in one]
    if sum(len(value) for _, value in values if isinstance(value, list)) > MEMBERS_AT_MOST:
        raise PayloadTooLargeException(detail=f"a PATCH names at most {MEMBERS_AT_MOST} members here")
    removed = (value if isinstance(value, list) else [value] for op, value in values if op == PatchOperation.Op.remove)
    if sum(len(one) if isinstance(one, dict) else 1 for entries in removed for one in entries) > REMOVED_AT_MOST:
        raise PayloadTooLargeException(
            detail=f"a PATCH takes out at most {REMOVED_AT_MOST} members here, each by its value alone"
        )
    paths = [*(str(one.get("path", "")) for one in operations), *(name for _, value in values for name in _keys(value))]
    if any(len(one) > LONGEST_PATH for one in paths):
        raise InvalidPathException(detail=f"a path has at most {LONGEST_PATH} characters here")


def _keys(value: Any) -> Iterator[str]:
    """All that are in it, at whatever depth."""
    if isinstance(value, dict):
        yield from value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(one)


def _looks(operation: "PatchOperation[Any]") -> int:
    """How often an operation looks at all members: for each comparison of its path, and each attribute it sets."""
    compared = 1 + len(_JOINED.findall(str(operation.path or "")))
    return compared * max(1, len(operation.value) if isinstance(operation.value, dict) else 1)


def _told(error: Exception) -> SCIMException:
    """An operation's refusal as SCIM's. Raises the error itself if it is none, or one of the base's."""
    if isinstance(error, SCIMException):
        return error
    code, text = code_of(error), text_of(error)
    if code is None or isinstance(error, StoreUnavailable):
        raise error
    match code:
        case ErrorCode.NOT_FOUND:
            return NotFoundException(detail=text)
        case ErrorCode.ALREADY_EXISTS:
            return UniquenessException(detail=text)
        case ErrorCode.NOT_ALLOWED if isinstance(error, Denied):
            return ForbiddenException(detail=text)
        case ErrorCode.INVALID | ErrorCode.NOT_ALLOWED:
            return InvalidValueException(detail=text)
    raise error
