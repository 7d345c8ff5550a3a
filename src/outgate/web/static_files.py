"""The pages' own style sheet, scripts and mark, at addresses that change with their content. Knows no page.

All are read when the server starts; there is no folder of somebody's files behind it.
"""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from outgate.http.http_route import HttpRoute

YEAR: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def _contents() -> dict[str, bytes]:
    folder = files("outgate.web") / "static"
    return {one.name: one.read_bytes() for one in folder.iterdir() if _suffix(one.name) in _TYPES}


@cache
def static(name: str) -> str:
    """The address of a file. Raises KeyError for one that there is not."""
    return f"/static/{hashlib.sha256(_contents()[name]).hexdigest()[:12]}/{name}"


def route() -> HttpRoute:
    """Where they are served; async, so that they take none of the threads for the database."""
    return HttpRoute(
        path="/static/{digest}/{name}", methods=frozenset({"GET"}), handler=_answer, kind="page", cache=YEAR
    )


async def _answer(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _contents() or request.url.path != static(name):
        raise HTTPException(404)
    return Response(_contents()[name], media_type=_TYPES[_suffix(name)])


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
