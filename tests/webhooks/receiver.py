"""An endpoint on loopback that keeps what it was sent, and answers as a test says."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from types import TracebackType
from typing import Any, Self

import standardwebhooks


@dataclass
class Received:
    """One request."""

    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        parsed: dict[str, Any] = loads(self.body)
        return parsed

    def is_signed_by(self, secret: str) -> bool:
        """As the library of those who made the standard signs it."""
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        signed = standardwebhooks.Webhook(secret).sign(self.event_id, at, self.body.decode())
        return signed in self.headers["webhook-signature"].split(" ")


class Receiver:
    """`with` it, it serves. It answers `answers` in their order, then `status`; before that it waits for `open`."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.status = 204
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()

    @property
    def url(self) -> str:
        return f"http://localhost:{self._server.server_address[1]}/hook"

    @property
    def types(self) -> list[str]:
        return [one.event["type"] for one in self.received]

    def take(self) -> list[Received]:
        """What has come since the last time."""
        taken, self.received = self.received, []
        return taken

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.asked.set()
                receiver.open.wait(20)
                receiver.received.append(Received({k.lower(): v for k, v in self.headers.items()}, body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (receiver.status, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
