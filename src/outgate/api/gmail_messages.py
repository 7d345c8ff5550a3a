"""Gmail's `users.messages.send`, `get` and `list` of what was sent, and `users.getProfile`.

A message goes to those whom To, Cc and Bcc name. One without From is from the default address. An answer means that the
message is on disk. A From that is not the account's is refused, unless the unit's policy says that it is rewritten.

What was sent is told of from the record: when, from whom, to whom, and what became of it. What was in it is not kept.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, MediaUpload
from outgate.api.gmail_scopes import COMPOSE, MAIL, METADATA, MODIFY, READONLY, SEND
from outgate.api.google_error import ApiError, invalid, not_found, precondition, told
from outgate.api.message_parts import decoded
from outgate.api.message_resource import (
    MessageList,
    MessagePart,
    MessagePartBody,
    MessagePartHeader,
    MessageResource,
    Profile,
)
from outgate.directory.errors import NotAllowed
from outgate.mail.addresses import AddressError, canonical, format_mailbox, parse_mailboxes
from outgate.mail.header_check import split_message
from outgate.mail.headers import HeaderError, split_fields, value
from outgate.mail.line_ends import with_crlf
from outgate.model import Account
from outgate.operations import mail_operations, message_log_operations, send_as_operations
from outgate.operations.context import Denied
from outgate.operations.mail_operations import KeyTaken, TooMuchMail
from outgate.queue.queue_id import from_text, to_text
from outgate.record.events import EventKind, MessageEvent

MAX_MESSAGE: Final = 36_700_160  # bytes, as at Google
# In base64, with room for the rest of the JSON.
MAX_ENCODED: Final = MAX_MESSAGE * 4 // 3 + 64 * 1024

USER: Final = ApiParameter(
    "userId", "The user's primary address, or `me`: the one that the token acts for.", default="me"
)
_TO: Final = (b"to", b"cc", b"bcc")
_MAX_KEY: Final = 255  # characters
_KEPT: Final = ("metadata", "minimal")  # formats that the record is enough for
_OUTCOMES: Final = (EventKind.DELIVERED, EventKind.DEFERRED, EventKind.BOUNCED)
_SENT: Final = "SENT"
_USUAL: Final = 100  # messages of a page
_MOST: Final = 500


async def send(call: ApiCall) -> MessageResource:
    """Send a message; it is on disk when this returns."""
    raw = call.media or decoded(call.resource(MessageResource).raw or "")
    identity = call.services.queue_ids.new(call.services.now())  # of the loop's own: threads could make one twice
    return await call.in_thread(sent, call, identity, with_crlf(raw))


def sent(call: ApiCall, identity: int, raw: bytes) -> MessageResource:
    """Send a message. Raises ApiError."""
    user, services = call.user(), call.services
    with call.reading() as op:
        account = send_as_operations.account(op, user)
    raw, recipients = complete(raw, account)
    with refusals(), call.writing() as op:
        queue_id = mail_operations.send_once(
            op, user, idempotency_key(call), identity, recipients, raw, services.send_limits
        )
    return sent_message(queue_id)


def sent_message(queue_id: str) -> MessageResource:
    """What is told of a message that is on its way."""
    return MessageResource(id=queue_id, thread_id=queue_id, label_ids=[_SENT])


@contextmanager
def refusals() -> Iterator[None]:
    """Tells as Google does why a message is not sent. Raises ApiError."""
    try:
        yield
    except TooMuchMail as error:
        raise ApiError(429, str(error), reason="userRateLimitExceeded") from None
    except (Denied, KeyTaken) as error:
        raise told(error) from None
    except NotAllowed as error:  # not an address of the account, or not by this way
        raise invalid(str(error)) from None


def idempotency_key(call: ApiCall) -> str:
    """By which the program may repeat its request; empty if it gives none. An upload's session is one: its last piece
    may come again. Raises ApiError.
    """
    key = call.request.headers.get("idempotency-key", "") or call.request.query_params.get("upload_id", "")
    if len(key) > _MAX_KEY:
        raise invalid(f"Idempotency-Key is longer than {_MAX_KEY} characters.")
    return key


def complete(raw: bytes, account: Account) -> tuple[bytes, list[str]]:
    """The message with From, and whom it goes to. Raises ApiError."""
    size = split_message(raw)
    head = raw if size is None else raw[: size - 2]
    try:
        fields = split_fields(head)
        recipients = [
            canonical(mailbox.address)
            for field in fields
            if field.name in _TO
            for mailbox in parse_mailboxes(value(field))
        ]
    except (HeaderError, AddressError) as error:
        raise invalid(f"Invalid message: {error}.") from None
    if not recipients:
        raise invalid("Recipient address required: neither To nor Cc nor Bcc has any.")
    if all(field.name != b"from" for field in fields):
        raw = _from_line(account) + raw
    return raw, list(dict.fromkeys(recipients))


def _from_line(account: Account) -> bytes:
    default = next(one for one in account.send_as.values() if one.is_default)
    mailbox = format_mailbox(default.display_name or account.name, default.address)
    return f"From: {mailbox}\r\n".encode()


# --- what was sent ---------------------------------------------------------------------------------------------------


def get(call: ApiCall) -> MessageResource:
    """What is on record of a message that was sent. Raises ApiError."""
    user, wanted = call.user(), call.parameters["format"]
    with call.reading() as op:
        events = message_log_operations.own_history(op, user, _queue_id(call.parameters["id"]))
    if not events:
        raise not_found()
    if wanted not in _KEPT:
        raise precondition(
            f"What is in a message is not kept here once it is sent: ask for format={' or '.join(_KEPT)}."
        )
    accepted = events[0]
    told = sent_message(call.parameters["id"])
    return told.model_copy(
        update={
            "internal_date": str(int(accepted.at * 1000)),
            "size_estimate": accepted.detail["size"],
            "payload": _head(events, call.repeated("metadataHeaders")) if wanted == "metadata" else None,
        }
    )


def _queue_id(text: str) -> int:
    try:
        return from_text(text)
    except ValueError:
        raise not_found() from None


def _head(events: Sequence[MessageEvent], named: Sequence[str]) -> MessagePart:
    """What the record has of the header; each recipient with what became of it."""
    detail, outcomes = events[0].detail, dict[str, str]()
    for event in events:
        if event.kind in _OUTCOMES:
            outcomes[event.detail["recipient"]] = event.kind.value
    said = [
        ("From", ", ".join(detail["from"])),
        ("Message-ID", detail["message_id"]),
        *(("X-Outgate-Recipient", f"{one}; {outcomes.get(one, 'waiting')}") for one in detail["recipients"]),
    ]
    wanted = {one.lower() for one in named}
    headers = [MessagePartHeader(name=name, value=text) for name, text in said if not wanted or name.lower() in wanted]
    return MessagePart(part_id="", mime_type="", filename="", headers=headers, body=MessagePartBody(size=0))


def list_(call: ApiCall) -> MessageList:
    """A page of what was sent, by ids."""
    given, user = call.parameters, call.user()
    if "q" in given:
        raise invalid("Invalid value for q: messages can't be searched here; leave it out.")
    if set(call.repeated("labelIds")) - {_SENT}:
        return MessageList(result_size_estimate=0)
    limit = min(int(given.get("maxResults", _USUAL)) or _USUAL, _MOST)
    before = _queue_id(given["pageToken"]) if "pageToken" in given else None
    with call.reading() as op:
        found = message_log_operations.own_messages(op, user, limit, before)
    ids = [to_text(one) for one in found.ids]
    return MessageList(
        messages=[MessageResource(id=one, thread_id=one) for one in ids],
        next_page_token=None if found.older_than is None else to_text(found.older_than),
        result_size_estimate=len(ids),
    )


def profile(call: ApiCall) -> Profile:
    """Whose account it is."""
    user = call.user()
    with call.reading() as op:
        return Profile(email_address=send_as_operations.account(op, user).primary)


_MAY_READ: Final = (MAIL, METADATA, MODIFY, READONLY)

METHODS: Final = (
    ApiMethod(
        id="gmail.users.messages.list",
        verb="GET",
        path="gmail/v1/users/{userId}/messages",
        description="Lists the messages that the user has sent and that are on record, the newest first.",
        scopes=_MAY_READ,
        answer=list_,
        parameters=(
            USER,
            ApiParameter("maxResults", "At most so many; 500 at most.", "query", "integer", "uint32", str(_USUAL)),
            ApiParameter("pageToken", "The page that an answer's nextPageToken names.", "query"),
            ApiParameter("labelIds", "With any other than SENT there are none.", "query", repeated=True),
            ApiParameter("q", "Not to be given: messages can't be searched here.", "query"),
        ),
        gives=MessageList,
    ),
    ApiMethod(
        id="gmail.users.messages.get",
        verb="GET",
        path="gmail/v1/users/{userId}/messages/{id}",
        description="Gets what is on record of a message that the user has sent. What was in it is not kept: only"
        " `minimal` and `metadata` can be had.",
        scopes=_MAY_READ,
        answer=get,
        parameters=(
            USER,
            ApiParameter("id", "The id that `messages.send` has answered."),
            ApiParameter(
                "format",
                "How much of it; `full` and `raw` are refused.",
                "query",
                default="full",
                enum=("minimal", "full", "raw", "metadata"),
            ),
            ApiParameter("metadataHeaders", "Only these of the header; all if none is named.", "query", repeated=True),
        ),
        gives=MessageResource,
    ),
    ApiMethod(
        id="gmail.users.getProfile",
        verb="GET",
        path="gmail/v1/users/{userId}/profile",
        description="Gets the user's profile.",
        scopes=(MAIL, COMPOSE, METADATA, MODIFY, READONLY),
        answer=profile,
        parameters=(USER,),
        gives=Profile,
    ),
    ApiMethod(
        id="gmail.users.messages.send",
        verb="POST",
        path="gmail/v1/users/{userId}/messages/send",
        description="Sends the message to the recipients in its To, Cc and Bcc. With the header Idempotency-Key it is"
        " sent once, however often it is asked for within a day.",
        scopes=(MAIL, COMPOSE, MODIFY, SEND),
        answer=send,
        parameters=(USER,),
        takes=MessageResource,
        gives=MessageResource,
        media=MediaUpload(("message/*",), MAX_MESSAGE),
        max_body=MAX_ENCODED,
    ),
)
