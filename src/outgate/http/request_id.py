"""A name for each request: in a header of its answer, and in every log line that is written while it is answered."""

import secrets
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

HEADER: Final = "X-Request-Id"
_BYTES: Final = 9


class RequestIds:
    """Generates them; what a client sends under that name is not looked at, since it could be another request's."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        request_id = secrets.token_urlsafe(_BYTES)

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with bound_contextvars(request=request_id):
            await self._inner(scope, receive, with_id)
