"""Two providers' interfaces as their references say, on loopback: Gmail's users.messages.send by media upload, and
Microsoft Graph's sendMail in MIME form; and a mailbox there (graph_mailbox).

Strict: another method, path, media type, length or encoding than the reference has is answered with its error. What is
taken is kept as it came (`received`) and as recipients would get it (`Sent`), with the changes that the references tell
of: Bcc is taken out, and everybody in To, Cc and Bcc gets it. Knows nothing of the code that it serves.
"""

import base64
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from email.utils import getaddresses
from http.server import BaseHTTPRequestHandler

from corpus.https_peer import Answer, HttpsPeer
from http_gateways.graph_mailbox import UPLOADS, GraphMailbox, MailboxRefusal

GMAIL = "/upload/gmail/v1/users/me/messages/send?uploadType=media"
GRAPH = "/v1.0/me/sendMail"
GMAIL_LARGEST = 36_700_160
GRAPH_LARGEST = 4 * 1024 * 1024  # of a request


@dataclass
class Sent:
    """A message that was taken. `content` without Bcc; `to` is everybody who gets it."""

    user: str
    received: bytes
    content: bytes
    to: list[str]


class Refusal(Exception):
    """An error of the interface."""

    def __init__(self, status: int, body: dict[str, object]) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def google_error(code: int, reason: str, message: str, status: str = "") -> dict[str, object]:
    """As the Gmail API's guide to errors shows it."""
    errors = [{"domain": "global", "reason": reason, "message": message}]
    return {"error": {"code": code, "message": message, "errors": errors, **({"status": status} if status else {})}}


def graph_error(code: str, message: str) -> dict[str, object]:
    """As Graph's reference of errors shows it."""
    inner = {"date": "2026-11-28T07:00:00", "request-id": "f1e0", "client-request-id": "f1e0"}
    return {"error": {"code": code, "message": message, "innerError": inner}}


class MailProvider(HttpsPeer):
    """`whose` says who has a token. What is in `script` is answered first, one entry for each request; `on_answer` is
    called between taking a message and the answer.
    """

    def __init__(self, context: ssl.SSLContext, whose: Callable[[str], str | None]) -> None:
        super().__init__(context)
        self.whose = whose
        self.script: list[Answer] = []
        self.of_nothing: Answer | None = None  # what it says to an empty message, whoever asks
        self.on_answer: Callable[[], None] = lambda: None
        self.sent: list[Sent] = []
        self.asked: list[tuple[float, int]] = []  # when (monotonic), and the answer's status
        self.mailbox = GraphMailbox()
        self._lock = threading.Lock()

    # --- what it answers ---------------------------------------------------------------------------------------------

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        status, headers, body = self._answered(request)
        self.asked.append((time.monotonic(), status))
        return status, {"request-id": "r-1", **headers}, body

    def _answered(self, request: BaseHTTPRequestHandler) -> Answer:
        size = request.headers.get("Content-Length", "")
        assert re.fullmatch(r"\d+", size), "a request has its length"
        content = request.rfile.read(int(size))
        assert len(content) == int(size), "it is as long as it says"
        if self.mailbox.is_asked(request.path):
            return self._by_mailbox(request, content)
        if not content:  # nothing to send: whoever asks so tries the token
            return self._of_nothing(request)
        with self._lock:
            scripted = self.script.pop(0) if self.script else None
        if scripted:
            return scripted
        try:
            return self._taken(request, content)
        except Refusal as refusal:
            return refusal.status, {}, refusal.body

    def _taken(self, request: BaseHTTPRequestHandler, content: bytes) -> Answer:
        user, media_type = self._user(request), request.headers.get("Content-Type", "")
        if request.path == GMAIL:
            if media_type != "message/rfc822":
                message = f"Media type '{media_type}' is not supported. Valid media types: [message/rfc822]"
                raise Refusal(400, google_error(400, "badContent", message))
            if len(content) > GMAIL_LARGEST:
                raise Refusal(413, google_error(413, "uploadTooLarge", "Request entity too large"))
            self._keep(user, content, lambda words: google_error(400, "invalidArgument", words, "INVALID_ARGUMENT"))
            return 200, {}, {"id": f"18c{len(self.sent)}", "threadId": "18c", "labelIds": ["SENT"]}
        if request.path == GRAPH:
            if media_type != "text/plain":
                raise Refusal(400, graph_error("BadRequest", "Unable to read JSON request payload."))
            if len(content) > GRAPH_LARGEST:
                raise Refusal(413, graph_error("RequestEntityTooLarge", "The request is too large."))
            try:
                message_ = base64.b64decode(content, validate=True)
            except ValueError:
                words = "Invalid base64 string for MIME content."
                raise Refusal(400, graph_error("ErrorMimeContentInvalidBase64String", words)) from None
            self._keep(user, message_, lambda words: graph_error("ErrorInvalidRecipients", words))
            return 202, {}, None
        raise Refusal(404, {"error": {"code": "ResourceNotFound", "message": "Resource could not be discovered."}})

    def _by_mailbox(self, request: BaseHTTPRequestHandler, content: bytes) -> Answer:
        try:
            if not request.path.startswith(UPLOADS):
                self._user(request)
            return self.mailbox.answer(request, content, self.port)
        except (Refusal, MailboxRefusal) as refusal:
            return refusal.status, {}, refusal.body

    def _of_nothing(self, request: BaseHTTPRequestHandler) -> Answer:
        if self.of_nothing:
            return self.of_nothing
        try:
            self._user(request)
        except Refusal as refusal:
            return refusal.status, {}, refusal.body
        return 400, {}, google_error(400, "invalidArgument", "Recipient address required", "INVALID_ARGUMENT")

    def _user(self, request: BaseHTTPRequestHandler) -> str:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self.whose(token) if kind == "Bearer" else None
        if user is None:
            is_gmail = request.path == GMAIL
            words = "Access token has expired or is not yet valid."
            raise Refusal(
                401,
                google_error(401, "authError", "Invalid Credentials", "UNAUTHENTICATED")
                if is_gmail
                else graph_error("InvalidAuthenticationToken", words),
            )
        return user

    def _keep(self, user: str, received: bytes, refused: Callable[[str], dict[str, object]]) -> None:
        header, _, body = received.partition(b"\r\n\r\n")
        assert re.fullmatch(rb"(?:[!-9;-~]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*", header + b"\r\n"), "header fields"
        message = message_from_bytes(header + b"\r\n\r\n", policy=default)
        fields = [str(value) for name in ("To", "Cc", "Bcc") for value in message.get_all(name, [])]
        to = [address for _, address in getaddresses(fields) if "@" in address]
        if not to:
            raise Refusal(400, refused("Recipient address required"))
        without = re.sub(rb"(?im)^bcc:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", b"", header + b"\r\n")
        self.sent.append(Sent(user, received, without + b"\r\n" + body, to))
        self.on_answer()
