"""How much may be sent to a route. Starlette's own middleware answers in plain text, and after the handler has run."""

from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

_CLOSE: Final = {"Connection": "close"}  # so that what is sent is not read either
_BODY: Final = "outgate.body"


def limited(scope: Scope, receive: Receive, max_body: int) -> Receive:
    """The same request's `receive`, of at most `max_body` bytes.

    Raises HTTPException (413): at once if more is announced; from the returned function if more comes in chunks.
    h11 has seen to it that an announced length is a number, and that no more comes than was announced.
    """
    if int(Headers(scope=scope).get("content-length", "0")) > max_body:
        raise HTTPException(413, headers=_CLOSE)
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > max_body:
            raise HTTPException(413, headers=_CLOSE)
        return message

    return receive_limited


async def read_body(request: Request) -> None:
    """Read the whole body, for `body_of` in a thread. Raises HTTPException (413), starlette's ClientDisconnect."""
    request.scope[_BODY] = await request.body()


def body_of(request: Request) -> bytes:
    """The body that a plain function's request came with."""
    body: bytes = request.scope[_BODY]
    return body
