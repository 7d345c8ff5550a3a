"""Gmail's `users.messages.send` and `users.getProfile`.

A message goes to those whom To, Cc and Bcc name. One without From is from the default address. An answer means that the
message is on disk. A From that is not the account's is refused, unless the unit's policy says that it is rewritten.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, MediaUpload
from outgate.api.gmail_scopes import COMPOSE, MAIL, METADATA, MODIFY, READONLY, SEND
from outgate.api.google_error import ApiError, invalid, told
from outgate.api.message_parts import decoded
from outgate.api.message_resource import MessageResource, Profile
from outgate.directory.errors import NotAllowed
from outgate.mail.addresses import AddressError, canonical, format_mailbox, parse_mailboxes
from outgate.mail.header_check import split_message
from outgate.mail.headers import HeaderError, split_fields, value
from outgate.mail.line_ends import with_crlf
from outgate.model import Account
from outgate.operations import mail_operations, send_as_operations
from outgate.operations.context import Denied
from outgate.operations.mail_operations import KeyTaken, TooMuchMail

MAX_MESSAGE: Final = 36_700_160  # bytes, as at Google
# In base64, with room for the rest of the JSON.
MAX_ENCODED: Final = MAX_MESSAGE * 4 // 3 + 64 * 1024

USER: Final = ApiParameter(
    "userId", "The user's primary address, or `me`: the one that the token acts for.", default="me"
)
_TO: Final = (b"to", b"cc", b"bcc")
_MAX_KEY: Final = 255  # characters


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
    return MessageResource(id=queue_id, thread_id=queue_id, label_ids=["SENT"])


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


def profile(call: ApiCall) -> Profile:
    """Whose account it is."""
    user = call.user()
    with call.reading() as op:
        return Profile(email_address=send_as_operations.account(op, user).primary)


METHODS: Final = (
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
