"""Hands a message over to Microsoft Graph that is too large for one request: as a draft in the mailbox without the
files attached to it, which follow one by one, and then it is sent.

What is left in the mailbox when something goes wrong is deleted. Whether a draft was sent whose answer was lost is
asked for by its lasting id ("immutable"), so that nobody gets it twice as long as Graph can be asked. Knows no
connection.

Microsoft Graph: message (create, send, delete, get), attachment: createUploadSession, "Attach large files".
"""

import asyncio
import json
import mmap
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import field
from datetime import UTC, datetime
from typing import IO, Any, Final, Protocol
from urllib.parse import quote, urlsplit

from outgate.deliver.credentials import NoCredential
from outgate.deliver.outcome import Outcome
from outgate.egress.https_client import MAX_BYTES, Fetched
from outgate.egress.https_connection import HttpsFault
from outgate.frozen import frozen
from outgate.mail.detached import Detached, DetachedFile, Raw, detached

AT_ONCE: Final = 3 * 1024 * 1024  # bytes of a file above which it takes an upload session
PATIENCE: Final = 10.0  # seconds for putting things right after a fault

_MESSAGES: Final = "/v1.0/me/messages"
_CLOCKS: Final = 120.0  # seconds that ours and theirs may differ
_ESCAPED: Final = 3  # bytes of JSON to one of a text, where a few are escaped as six
_LASTING: Final = {"Prefer": 'IdType="ImmutableId"'}


@frozen
class ApiRequest:
    """What is asked of Graph, or where an upload session is, whose target is a secret. `host` is empty for Graph
    itself, which gets the token. The answer's content is empty if it is longer than `longest` bytes.
    """

    method: str
    target: str = field(repr=False)
    content: bytes = field(default=b"", repr=False)
    media_type: str = "application/json"
    headers: Mapping[str, str] | None = None
    host: str = ""
    port: int = 0
    longest: int = MAX_BYTES


class AsksApi(Protocol):
    """Asks, on a connection that is made anew if there is none. Raises HttpsFault, NoCredential, and NotReached."""

    async def __call__(self, request: ApiRequest) -> Fetched: ...


class NotReached(Exception):
    """There is no connection to ask on; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class NotTaken(Exception):
    """Graph has refused a step, or has said what can't be understood; `answer` is what it said. `of_upload`: where a
    file's ranges go, which knows neither the message nor its user.
    """

    def __init__(self, answer: Fetched, *, of_upload: bool = False) -> None:
        super().__init__(answer.status)
        self.answer, self.of_upload = answer, of_upload

    @property
    def is_sure(self) -> bool:
        """Whether nothing was done of it: an error of a server on the way may hide that it was."""
        return 400 <= self.answer.status < 500 and self.answer.status != 408


# What may go wrong in putting things right, oddities of the answer included.
_FAULTS: Final = (HttpsFault, NoCredential, NotReached, TimeoutError, KeyError, TypeError, ValueError)


class DraftUpload:
    """One message on its way. `leaves` is called right before it can't be called back any more."""

    def __init__(self, ask: AsksApi, leaves: Callable[[], None], now: Callable[[], float]) -> None:
        self._ask, self._leaves, self._now = ask, leaves, now

    async def hand_over(self, message: Detached, raw: Raw, message_id: str) -> Fetched:
        """The answer by which Graph has taken it. Raises NotTaken, and what asking raises."""
        draft = await self._created(message.rest, message_id)
        try:
            for file in message.files:
                await self._attach(draft, file, raw)
        except BaseException:
            await self._discard(draft)
            raise
        self._leaves()
        return await self._sent(draft)

    async def _created(self, content: bytes, message_id: str) -> str:
        """Where the draft is. Graph answers with all of it: where that can't be read, it is looked for."""
        began = self._now() - _CLOCKS
        body = await asyncio.to_thread(b64encode, content)
        longest = MAX_BYTES + _ESCAPED * len(content)
        try:
            wanted = ApiRequest("POST", _MESSAGES, body, "text/plain", _LASTING, longest=longest)
            answer = _expected(await self._ask(wanted), 201)
            id_ = (await asyncio.to_thread(_object, answer)).get("id")
            if isinstance(id_, str) and id_:
                return _at(id_)
            made = await self._made(message_id, began)
            if len(made) != 1:
                raise NotTaken(answer)
            return made[0]
        except BaseException as fault:
            if not (isinstance(fault, NotTaken) and fault.is_sure):
                await self._discard_lost(message_id, began)
            raise

    async def _sent(self, draft: str) -> Fetched:
        """Where nobody can say whether it was, the draft is left alone: it may be the copy in Sent by now."""
        try:
            return _expected(await self._ask(ApiRequest("POST", f"{draft}/send", headers=_LASTING)), 202)
        except BaseException as fault:
            is_refused = isinstance(fault, NotTaken) and fault.is_sure
            was_sent = False if is_refused else await self._was_sent(draft)
            if was_sent:  # even if it was broken off meanwhile: who does that can't call it back, and it has ended
                return Fetched(draft, 202, b"")
            if was_sent is False:
                await self._discard(draft)
            raise

    async def _attach(self, draft: str, file: DetachedFile, raw: Raw) -> None:
        if file.size < AT_ONCE:
            whole = await asyncio.to_thread(_attachment, file, raw)
            _expected(await self._ask(ApiRequest("POST", f"{draft}/attachments", whole)), 201)
            return
        item = {"attachmentType": "file", "name": file.name, "size": file.size, "contentType": file.media_type}
        wanted = ApiRequest("POST", f"{draft}/attachments/createUploadSession", _json({"AttachmentItem": item}))
        opened = _expected(await self._ask(wanted), 200, 201)
        await self._upload(_UploadPlace.of(_said(opened, "uploadUrl"), opened), file, raw)

    async def _upload(self, place: "_UploadPlace", file: DetachedFile, raw: Raw) -> None:
        """Range by range; the last one is answered with 201. A range whose answer is lost is not sent again: the whole
        draft is given up.
        """
        at, pieces = 0, file.pieces(raw)
        while piece := await asyncio.to_thread(next, pieces, b""):
            end = at + len(piece)
            headers = {"Content-Range": f"bytes {at}-{end - 1}/{file.size}"}
            sent = ApiRequest("PUT", place.target, piece, "application/octet-stream", headers, place.host, place.port)
            answer = await self._ask(sent)
            if answer.status not in ((201,) if end == file.size else (200, 202)):
                raise NotTaken(answer, of_upload=True)
            at = end

    async def _was_sent(self, draft: str) -> bool | None:
        """Whether it is no draft any more; None if that can't be known, as where there is nothing of this id: it may
        have been deleted as a draft, or the copy in Sent takes a while to be there.
        """
        with suppress(*_FAULTS):
            async with asyncio.timeout(PATIENCE):
                answer = await self._ask(ApiRequest("GET", f"{draft}?$select=isDraft", headers=_LASTING))
            is_draft = _object(answer).get("isDraft")
            return not is_draft if answer.status == 200 and isinstance(is_draft, bool) else None
        return None

    async def _discard(self, draft: str) -> None:
        """As well as can be: a draft that stays is seen in the mailbox, and sent by nobody."""
        with suppress(*_FAULTS):
            async with asyncio.timeout(PATIENCE):
                await self._ask(ApiRequest("DELETE", draft, headers=_LASTING))

    async def _discard_lost(self, message_id: str, began: float) -> None:
        """What may have been made, though its answer was lost."""
        for draft in await self._made(message_id, began):
            await self._discard(draft)

    async def _made(self, message_id: str, began: float) -> list[str]:
        """Where the drafts with this Message-ID are, of just now, as far as that can be known."""
        if not message_id:
            return []
        since = datetime.fromtimestamp(began, UTC)
        wanted = quote(f"internetMessageId eq '{message_id.replace(chr(39), chr(39) * 2)}'")
        target = f"/v1.0/me/mailFolders/drafts/messages?$filter={wanted}&$select=id,createdDateTime"
        with suppress(*_FAULTS):
            async with asyncio.timeout(PATIENCE):
                found = _object(await self._ask(ApiRequest("GET", target, headers=_LASTING))).get("value")
            rows = found if isinstance(found, list) else []
            return [_at(one["id"]) for one in rows if datetime.fromisoformat(one["createdDateTime"]) >= since]
        return []


@asynccontextmanager
async def spooled(pieces: AsyncIterator[bytes], largest: int) -> AsyncIterator[tuple[Detached, Raw]]:
    """A message in a file of its own while it lasts, with what can be taken out of it. Raises mail.NotDetachable."""
    with tempfile.TemporaryFile() as file:
        async for piece in pieces:
            await asyncio.to_thread(file.write, piece)
        raw = await asyncio.to_thread(_mapped, file)
        with raw:
            yield await asyncio.to_thread(detached, raw, largest), raw


def _mapped(file: IO[bytes]) -> mmap.mmap:
    file.flush()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@frozen
class _UploadPlace:
    """Where an upload session is: another host, and a target that is a secret."""

    host: str
    port: int
    target: str = field(repr=False)

    @classmethod
    def of(cls, url: str, answer: Fetched) -> "_UploadPlace":
        """Raises NotTaken."""
        try:
            parts = urlsplit(url)
            port = parts.port or 443
        except ValueError:
            raise NotTaken(answer) from None
        if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or not url.isascii():
            raise NotTaken(answer)
        return cls(parts.hostname, port, parts.path + (f"?{parts.query}" if parts.query else ""))


def _at(id_: str) -> str:
    return f"{_MESSAGES}/{quote(id_, safe='')}"


def _attachment(file: DetachedFile, raw: Raw) -> bytes:
    """All of it in one request; as long as encoding takes, so not in the loop."""
    return _json(
        {
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": file.name,
            "contentType": file.media_type,
            "contentBytes": b64encode(b"".join(file.pieces(raw))).decode(),
        }
    )


def _expected(answer: Fetched, *statuses: int) -> Fetched:
    if answer.status not in statuses:
        raise NotTaken(answer)
    return answer


def _object(answer: Fetched) -> dict[str, Any]:
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: Fetched, name: str) -> str:
    """Raises NotTaken."""
    found = _object(answer).get(name)
    if not isinstance(found, str) or not found:
        raise NotTaken(answer)
    return found


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
