"""What has failed, as SCIM tells it (RFC 7644 3.12), where the base itself refuses. Pure; needs no package for SCIM."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import JSONResponse, Response

MEDIA_TYPE: Final = "application/scim+json"
_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:Error"


def scim_form(status: int, detail: str, headers: Mapping[str, str] | None) -> Response:
    """For http.application."""
    body = {"schemas": [_SCHEMA], "status": str(status), "detail": detail or HTTPStatus(status).phrase}
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)
