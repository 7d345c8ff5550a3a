"""Many requests in one (multipart/mixed), as Google's clients send them to `/batch`. Each is answered by itself.

The parts are requests to this application; each takes the whole way, its own token included, if it has one.
"""

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope

from outgate.api import google_error
from outgate.api.google_error import ApiError, invalid
from outgate.api.message_parts import parts
from outgate.http.body_limit import body_of, read_body
from outgate.http.http_route import HttpRoute

AT_MOST: Final = 100  # requests, as at Google for Gmail
MAX_BODY: Final = 4 * 1024 * 1024
RATE: Final = "600/1minute"  # batches from one network
_BOUNDARY: Final = "batch_outgate"
_LINE: Final = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/[!-~]{0,7999}) HTTP/1\.[01]")
_IS_REQUEST: Final = re.compile(rb"(?im)^content-type:[ \t]*application/http[ \t]*(?:;|\r?$)")
_CONTENT_ID: Final = re.compile(rb"(?im)^content-id:[ \t]*([^\r\n]*)")
_OF_A_PART: Final = frozenset({"authorization", "content-type", "accept", "if-match", "idempotency-key"})


class BatchEndpoint:
    """Answers for /batch and what is below. `application` takes the parts; it is set once it is made."""

    def __init__(self) -> None:
        self.application: ASGIApp | None = None

    def routes(self) -> list[HttpRoute]:
        """All there are: Google has one path for each API."""
        return [
            HttpRoute(
                path=path,
                methods=frozenset({"POST"}),
                handler=self.answer,
                kind="google",
                max_body=MAX_BODY,
                rate=RATE,
            )
            for path in ("/batch", "/batch/{api:path}")
        ]

    async def answer(self, request: Request) -> Response:
        """One part after the other."""
        await read_body(request)
        try:
            answers = [await self._part(request, content_id, inner) for content_id, inner in _asked(request)]
        except ApiError as error:
            return google_error.response(error)
        body = b"".join(f"--{_BOUNDARY}\r\n".encode() + one for one in answers) + f"--{_BOUNDARY}--\r\n".encode()
        return Response(body, media_type=f"multipart/mixed; boundary={_BOUNDARY}")

    async def _part(self, request: Request, content_id: str, inner: bytes) -> bytes:
        line, _, rest = inner.replace(b"\r\n", b"\n").partition(b"\n")
        match = _LINE.fullmatch(line.decode("latin-1").strip())
        if match is None:
            raise invalid(
                "A part of the batch does not begin with a request, as in GET /gmail/v1/users/me/profile HTTP/1.1, with"
                " a path of at most 8,000 characters."
            )
        verb, target = match.groups()
        if unquote(target).startswith("/batch"):
            raise invalid("A batch can't be part of a batch.")
        head, _, body = rest.partition(b"\n\n")
        status, headers, content = await self._ask(request, verb, target, _headers(request, head), body)
        answer = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{headers}\r\n".encode() + content
        return (
            f"Content-Type: application/http\r\nContent-ID: {_answered(content_id)}\r\n\r\n".encode() + answer + b"\r\n"
        )

    async def _ask(
        self, request: Request, verb: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int, str, bytes]:
        assert self.application
        path, _, query = target.partition("?")
        scope: Scope = {
            **{name: request.scope[name] for name in ("type", "asgi", "http_version", "scheme", "client", "server")},
            "method": verb,
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
        }
        taken = TakenAnswer()
        await self.application(scope, _once(body), taken)
        return taken.status, taken.headers, bytes(taken.body)


class TakenAnswer:
    """What an application has sent, instead of a connection."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 500, "", bytearray()

    async def __call__(self, message: Message) -> None:
        """The next thing it sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            shown = [(name.decode(), value.decode()) for name, value in message["headers"]]
            self.headers = "".join(f"{name}: {value}\r\n" for name, value in shown)
        else:
            self.body += message.get("body", b"")


def _once(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _asked(request: Request) -> list[tuple[str, bytes]]:
    """Each request with its Content-ID. Raises ApiError."""
    found = parts(request.headers.get("content-type", ""), "multipart/mixed", body_of(request), AT_MOST)
    if not found:
        raise invalid(f"A batch is multipart/mixed, of 1 to {AT_MOST} requests.")
    if not all(_IS_REQUEST.search(head) for head, _ in found):
        raise invalid("A part of a batch is application/http.")
    return [(_content_id(head), inner) for head, inner in found]


def _content_id(head: bytes) -> str:
    match = _CONTENT_ID.search(re.sub(rb"\r?\n[ \t]+", b" ", head))  # it may go over several lines
    return match[1].decode("latin-1").strip() if match else ""


def _headers(request: Request, head: bytes) -> list[tuple[bytes, bytes]]:
    """Those of the part that have a meaning, and whose token it is if the part does not say."""
    found = {}
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in _OF_A_PART:
            found[name.strip().lower()] = value.strip()
    if "authorization" not in found and "authorization" in request.headers:
        found["authorization"] = request.headers["authorization"]
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in found.items()]


def _answered(content_id: str) -> str:
    """Google's clients find the request by it."""
    text = "".join(char for char in content_id if char.isprintable() and char.isascii())[:200]
    return f"<response-{text[1:]}" if text.startswith("<") else f"response-{text}"
