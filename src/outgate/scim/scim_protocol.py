"""SCIM 2.0 by scim2-server's core, which knows neither sockets nor databases: requests in, answers out.

Knows no HTTP but its words. Imported when it is needed: see scim_endpoint.
"""

from collections.abc import Mapping, Sequence
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
        InvalidValueException,
        NotFoundException,
        PatchOp,
        PatchOperation,
        PayloadTooLargeException,
        Resource,
        ResourceType,
        ResponseParameters,
        SCIMException,
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


class OutgateScim(ScimService):
    """What we do otherwise."""

    def read_patch(self, resource_type: ResourceType, body: bytes, content_type: str | None) -> "PatchOp[Any]":
        """As the library does, up to a number of operations."""
        read = super().read_patch(resource_type, body, content_type)
        if len(read.operations or ()) > PATCHES_AT_MOST:
            raise PayloadTooLargeException(detail=f"a PATCH has at most {PATCHES_AT_MOST} operations here")
        lists = [(one.op, len(one.value)) for one in read.operations or () if isinstance(one.value, list)]
        if sum(length for _, length in lists) > MEMBERS_AT_MOST:
            raise PayloadTooLargeException(detail=f"a PATCH names at most {MEMBERS_AT_MOST} members here")
        if sum(length for op, length in lists if op == PatchOperation.Op.remove) > REMOVED_AT_MOST:
            raise PayloadTooLargeException(detail=f"a PATCH takes out at most {REMOVED_AT_MOST} members here")
        return read

    def apply_patch(
        self, current: Resource[Any], patch_op: "PatchOp[Any]", conditions: Conditions
    ) -> Resource[Any] | None:
        """As the library does, as long as nobody else waits long for it."""
        members = len(current.members or ()) if isinstance(current, ScimGroup) else 0
        if members * len(patch_op.operations or ()) > LOOKED_AT:
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
