"""Gmail's `users.drafts`: what a user is writing, on the pages or by a program.

A draft keeps what the pages' writer has (api.draft_content). It is sent as there: its copy goes to Sent.
"""

from typing import Final

from outgate.api import draft_content
from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, MediaUpload
from outgate.api.draft_resource import DraftList, DraftResource
from outgate.api.gmail_messages import MAX_ENCODED, MAX_MESSAGE, USER, refusals, sent_message
from outgate.api.gmail_scopes import COMPOSE, MAIL, MODIFY, READONLY
from outgate.api.google_error import invalid, not_found
from outgate.api.message_parts import decoded
from outgate.api.message_resource import MessageResource
from outgate.mail.compose import AttachedFile
from outgate.mail.line_ends import with_crlf
from outgate.operations import draft_operations, send_as_operations, sent_operations
from outgate.operations.context import OperationContext
from outgate.operations.draft_operations import WrittenDraft
from outgate.queue.queue_id import to_text
from outgate.writing.drafts import MAX_DRAFTS, Draft

_PATH: Final = "gmail/v1/users/{userId}/drafts"
_ONE: Final = f"{_PATH}/{{id}}"
_MAY_READ: Final = (MAIL, COMPOSE, MODIFY, READONLY)
_MAY_WRITE: Final = (MAIL, COMPOSE, MODIFY)
_MEDIA: Final = MediaUpload(("message/*",), MAX_MESSAGE)
_USUAL: Final = 100  # drafts of a page
_SNIPPET: Final = 200  # characters

Written = tuple[WrittenDraft, list[AttachedFile]]


# --- looking ---------------------------------------------------------------------------------------------------------


def list_(call: ApiCall) -> DraftList:
    """A page of them, by their ids."""
    given, user = call.parameters, call.user()
    if "q" in given:
        raise invalid("Invalid value for q: drafts can't be searched here; leave it out.")
    limit = min(int(given.get("maxResults", _USUAL)) or _USUAL, MAX_DRAFTS)
    before = _number(given["pageToken"]) if "pageToken" in given else None
    with call.reading() as op:
        found = draft_operations.list_drafts(op, user)
    ahead = [one.id for one in found if before is None or one.id < before]
    return DraftList(
        drafts=[_told(identity) for identity in ahead[:limit]],
        next_page_token=str(ahead[limit - 1]) if len(ahead) > limit else None,
        result_size_estimate=len(found),
    )


def get(call: ApiCall) -> DraftResource:
    """One of them, as the message that it is so far."""
    user, wanted = call.user(), call.parameters["format"]
    with call.reading() as op:
        draft = _unsent(op, user, call.parameters["id"])
        told = _told(draft.id)
        if wanted == "minimal":
            return told
        raw = draft_operations.draft_as_message(op, user, draft.id)
    assert told.message
    message = told.message.model_copy(
        update={
            "snippet": " ".join(draft.content.text.split())[:_SNIPPET],
            "internal_date": str(int(draft.changed_at * 1000)),
            "size_estimate": len(raw),
            "raw": draft_content.in_base64url(raw) if wanted == "raw" else None,
            "payload": None if wanted == "raw" else draft_content.payload_of(raw, with_bodies=wanted == "full"),
        }
    )
    return told.model_copy(update={"message": message})


def _told(identity: int) -> DraftResource:
    text = str(identity)
    return DraftResource(id=text, message=MessageResource(id=text, thread_id=text, label_ids=["DRAFT"]))


def _unsent(op: OperationContext, user: str, identity: str) -> Draft:
    """Raises ApiError and NotFound."""
    found = draft_operations.show_draft(op, user, _number(identity))
    if found.sent_as is not None:
        raise not_found()
    return found


def _number(text: str) -> int:
    """Raises ApiError."""
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise not_found()
    return int(text)


# --- writing ---------------------------------------------------------------------------------------------------------


def create(call: ApiCall) -> DraftResource:
    """A new one."""
    user, written = call.user(), _written(call)
    with call.writing() as op:
        return _told(_keep(call, op, user, None, written))


def update(call: ApiCall) -> DraftResource:
    """Write one whole, with its files."""
    user, written = call.user(), _written(call)
    with call.writing() as op:
        draft = _unsent(op, user, call.parameters["id"])
        return _told(_keep(call, op, user, draft, written))


def delete(call: ApiCall) -> None:
    """Throw one away."""
    user = call.user()
    with call.writing() as op:
        draft_operations.delete_draft(op, user, _unsent(op, user, call.parameters["id"]).id)


def send(call: ApiCall) -> MessageResource:
    """Send one, as it is or as it comes with the request. Sent twice, it is one message."""
    user, sent = call.user(), call.resource(DraftResource)
    if not sent.id:
        raise invalid("Invalid draft: id is missing.")
    written = _written(call) if call.media or (sent.message and sent.message.raw) else None
    with refusals(), call.writing() as op:
        draft = draft_operations.show_draft(op, user, _number(sent.id))
        if written and draft.sent_as is None:
            _keep(call, op, user, draft, written)
        identity = sent_operations.send_draft(op, user, draft.id, call.services.dispatch)
    return sent_message(to_text(identity))


def _written(call: ApiCall) -> Written:
    """What came with the request. Raises ApiError."""
    sent = call.resource(DraftResource)
    raw = call.media or decoded((sent.message and sent.message.raw) or "")
    if not raw:
        raise invalid("Invalid draft: message.raw is missing, the whole message in base64url.")
    with call.reading() as op:
        account = send_as_operations.account(op, call.user())
    content, files = draft_content.read(with_crlf(raw), account)
    return WrittenDraft.of(content), files


def _keep(call: ApiCall, op: OperationContext, user: str, draft: Draft | None, written: Written) -> int:
    content, files = written
    identity = draft_operations.save_draft(op, user, draft.id if draft else None, content)
    for old in draft.files if draft else ():
        draft_operations.detach_file(op, user, identity, old.id)
    for new in files:
        draft_operations.attach_file(op, user, identity, new, call.services.config.submission.max_message_bytes)
    return identity


_DRAFT: Final = ApiParameter("id", "The draft's id.")

METHODS: Final = (
    ApiMethod(
        id="gmail.users.drafts.list",
        verb="GET",
        path=_PATH,
        description="Lists the user's drafts, the newest first.",
        scopes=_MAY_READ,
        answer=list_,
        parameters=(
            USER,
            ApiParameter("maxResults", "At most so many; 500 at most.", "query", "integer", "uint32", str(_USUAL)),
            ApiParameter("pageToken", "The page that an answer's nextPageToken names.", "query"),
            ApiParameter("q", "Not to be given: drafts can't be searched here.", "query"),
        ),
        gives=DraftList,
    ),
    ApiMethod(
        id="gmail.users.drafts.create",
        verb="POST",
        path=_PATH,
        description="Makes a draft of a message.",
        scopes=_MAY_WRITE,
        answer=create,
        parameters=(USER,),
        takes=DraftResource,
        gives=DraftResource,
        media=_MEDIA,
        max_body=MAX_ENCODED,
    ),
    ApiMethod(
        id="gmail.users.drafts.send",
        verb="POST",
        path=f"{_PATH}/send",
        description="Sends a draft to the recipients in its To, Cc and Bcc. Sent twice, it is one message.",
        scopes=_MAY_WRITE,
        answer=send,
        parameters=(USER,),
        takes=DraftResource,
        gives=MessageResource,
        media=_MEDIA,
        max_body=MAX_ENCODED,
    ),
    ApiMethod(
        id="gmail.users.drafts.get",
        verb="GET",
        path=_ONE,
        description="Gets a draft, as the message that it is so far.",
        scopes=_MAY_READ,
        answer=get,
        parameters=(
            USER,
            _DRAFT,
            ApiParameter(
                "format",
                "How much of it: its ids, all parts, all of it as one text, or its header.",
                "query",
                default="full",
                enum=("minimal", "full", "raw", "metadata"),
            ),
        ),
        gives=DraftResource,
    ),
    ApiMethod(
        id="gmail.users.drafts.update",
        verb="PUT",
        path=_ONE,
        description="Replaces a draft's message, with its files.",
        scopes=_MAY_WRITE,
        answer=update,
        parameters=(USER, _DRAFT),
        takes=DraftResource,
        gives=DraftResource,
        media=_MEDIA,
        max_body=MAX_ENCODED,
    ),
    ApiMethod(
        id="gmail.users.drafts.delete",
        verb="DELETE",
        path=_ONE,
        description="Throws a draft away.",
        scopes=_MAY_WRITE,
        answer=delete,
        parameters=(USER, _DRAFT),
    ),
)
