"""A mailbox at Microsoft Graph as its reference says: drafts in MIME form, files attached at once or by an upload
session, sending, looking for, and deleting.

Strict: what the reference does not have is answered with its error. `on_step` is called before each step is done and
after it, with its name, and may break the connection. Knows nothing of the code that it serves.
"""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from corpus.https_peer import Answer

MESSAGES = "/v1.0/me/messages"
DRAFTS = "/v1.0/me/mailFolders/drafts/messages"
UPLOADS = "/uploads/"


class MailboxRefusal(Exception):
    """An error of the interface."""

    def __init__(self, status: int, code: str, message: str = "No.") -> None:
        super().__init__(status)
        self.status = status
        self.body: dict[str, object] = {"error": {"code": code, "message": message}}


@dataclass
class MailboxItem:
    """A message there; `files` are name, type and content."""

    mime: bytes
    id_: str
    is_lasting: bool
    created: datetime
    is_draft: bool = True
    files: list[tuple[str, str, bytes]] = field(default_factory=list)

    @property
    def message_id(self) -> str:
        return str(message_from_bytes(self.mime, policy=default)["Message-ID"])


@dataclass
class UploadSession:
    """Of one file."""

    item: MailboxItem
    name: str
    media_type: str
    size: int
    content: bytearray = field(default_factory=bytearray)


class GraphMailbox:
    """Everything that there is in it; `sent` in the order in which it left."""

    largest_request, least_session, largest_range = 4 * 1024 * 1024, 3 * 1024 * 1024, 4 * 1024 * 1024

    def __init__(self) -> None:
        self.items: dict[str, MailboxItem] = {}
        self.sessions: dict[str, UploadSession] = {}
        self.sent: list[MailboxItem] = []
        self.steps: list[str] = []
        self.on_step: Callable[[str, str], None] = lambda _step, _when: None
        self.added = 0  # bytes by which a draft's text, as it is answered, is longer

    @property
    def drafts(self) -> list[MailboxItem]:
        return [one for one in self.items.values() if one.is_draft]

    def is_asked(self, path: str) -> bool:
        """Whether a request is for this mailbox."""
        return path.startswith((MESSAGES, DRAFTS, UPLOADS))

    def answer(self, request: BaseHTTPRequestHandler, content: bytes, port: int) -> Answer:
        """Raises MailboxRefusal."""
        step, done = self._step(request, content, port)
        self.steps.append(step)
        self.on_step(step, "before")
        found = done()
        self.on_step(step, "after")
        return found

    def _step(self, request: BaseHTTPRequestHandler, content: bytes, port: int) -> tuple[str, Callable[[], Answer]]:
        method, url = request.command, urlsplit(request.path)
        _, _, rest = url.path.partition(f"{MESSAGES}/")
        id_, action = unquote(rest.partition("/")[0]), rest.partition("/")[2]
        if len(content) > self.largest_request:
            raise MailboxRefusal(413, "RequestEntityTooLarge")
        match method, action:
            case "POST", "" if url.path == MESSAGES:
                return "create", lambda: self._created(request, content)
            case "POST", "attachments":
                return "attach", lambda: self._attached(id_, json.loads(content))
            case "POST", "attachments/createUploadSession":
                return "session", lambda: self._opened(id_, json.loads(content), port)
            case "POST", "send" if not content:
                return "send", lambda: self._send(id_)
            case "PUT", _ if url.path.startswith(UPLOADS):
                return "upload", lambda: self._uploaded(request, content)
            case "GET", _ if url.path == DRAFTS:
                return "look", lambda: self._looked(parse_qs(url.query))
            case "GET", "" if parse_qs(url.query) == {"$select": ["isDraft"]}:
                return "ask", lambda: (200, {}, {"id": id_, "isDraft": self._item(id_).is_draft})
            case "DELETE", "":
                return "delete", lambda: self._deleted(id_)
        raise MailboxRefusal(404, "ResourceNotFound")

    def _item(self, id_: str) -> MailboxItem:
        if id_ not in self.items:
            raise MailboxRefusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        return self.items[id_]

    def _draft(self, id_: str) -> MailboxItem:
        item = self._item(id_)
        if not item.is_draft:
            raise MailboxRefusal(400, "ErrorInvalidOperation")
        return item

    def _created(self, request: BaseHTTPRequestHandler, content: bytes) -> Answer:
        if request.headers.get("Content-Type") != "text/plain":
            raise MailboxRefusal(400, "BadRequest")
        is_lasting = request.headers.get("Prefer") == 'IdType="ImmutableId"'
        item = MailboxItem(
            base64.b64decode(content, validate=True), f"AAk={len(self.items)}", is_lasting, datetime.now(UTC)
        )
        self.items[item.id_] = item
        return 201, {}, self._resource(item)

    def _resource(self, item: MailboxItem) -> dict[str, object]:
        """The whole message, text included, as the reference shows the answer to its creation."""
        found = message_from_bytes(item.mime, policy=default).get_body(("html", "plain"))
        text = found.get_content() if found else ""
        return {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users('a')/messages/$entity",
            "id": item.id_,
            "isDraft": item.is_draft,
            "internetMessageId": item.message_id,
            "bodyPreview": text[:255],
            "body": {"contentType": "html", "content": text + "x" * self.added},
        }

    def _attached(self, id_: str, file: dict[str, Any]) -> Answer:
        content = base64.b64decode(file["contentBytes"], validate=True)
        if file["@odata.type"] != "#microsoft.graph.fileAttachment" or len(content) >= self.least_session:
            raise MailboxRefusal(413, "ErrorMessageSizeExceeded")
        self._draft(id_).files.append((file["name"], file["contentType"], content))
        return 201, {}, {"id": "AAMkAttachment"}

    def _opened(self, id_: str, body: dict[str, Any], port: int) -> Answer:
        item = body["AttachmentItem"]
        if item["attachmentType"] != "file" or not self.least_session <= item["size"] <= 150 * 1024 * 1024:
            raise MailboxRefusal(400, "ErrorInvalidRequest")
        session = UploadSession(self._draft(id_), item["name"], item["contentType"], item["size"])
        path = f"{UPLOADS}{len(self.sessions)}?authtoken=eyJ"
        self.sessions[path] = session
        url = f"https://localhost:{port}{path}"
        return 201, {}, {"uploadUrl": url, "expirationDateTime": "2099-01-01T00:00:00Z", "nextExpectedRanges": ["0-"]}

    def _uploaded(self, request: BaseHTTPRequestHandler, content: bytes) -> Answer:
        session = self.sessions.get(request.path)
        if session is None or "Authorization" in request.headers:
            raise MailboxRefusal(401, "InvalidAuthenticationToken")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers.get("Content-Range", ""))
        assert match
        start, end, size = map(int, match.groups())
        is_next = (start, end + 1 - start, size) == (len(session.content), len(content), session.size)
        if not is_next or len(content) > self.largest_range:
            raise MailboxRefusal(416, "InvalidContentRange")
        session.content += content
        if len(session.content) < session.size:
            ranges = [str(len(session.content))]
            return 200, {}, {"expirationDateTime": "2099-01-01T00:00:00Z", "nextExpectedRanges": ranges}
        session.item.files.append((session.name, session.media_type, bytes(session.content)))
        del self.sessions[request.path]
        return 201, {"Location": "https://outlook.example/attachments('AAMk')"}, None

    def _send(self, id_: str) -> Answer:
        item = self._draft(id_)
        item.is_draft = False
        self.sent.append(item)
        if not item.is_lasting:  # the copy in Sent has another id
            self.items[f"{id_}-sent"] = self.items.pop(id_)
        return 202, {}, None

    def _looked(self, query: dict[str, list[str]]) -> Answer:
        match = re.fullmatch(r"internetMessageId eq '(.*)'", query["$filter"][0])
        assert match
        found = [one for one in self.drafts if one.message_id == match[1].replace("''", "'")]
        rows = [{"id": one.id_, "createdDateTime": one.created.strftime("%Y-%m-%dT%H:%M:%SZ")} for one in found]
        return 200, {}, {"value": rows}

    def _deleted(self, id_: str) -> Answer:
        self._item(id_)
        del self.items[id_]
        return 204, {}, None
