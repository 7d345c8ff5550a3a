"""A draft's content of the message that a program sends, and the message's parts as Gmail's API tells them. Pure.

What a draft keeps is what the pages' writer has: From, To, Cc, Bcc, Subject, what it answers, text, HTML, and files.
"""

import base64
from collections.abc import Mapping, Sequence
from email import message_from_bytes
from email.message import Message
from typing import Final

from outgate.api.google_error import ApiError, invalid
from outgate.api.message_resource import MessagePart, MessagePartBody, MessagePartHeader
from outgate.mail.addresses import AddressError, Mailbox, decode_words, parse_mailboxes
from outgate.mail.compose import AttachedFile
from outgate.mail.header_check import split_message
from outgate.mail.headers import HeaderError, split_fields, value
from outgate.mailbox import letter
from outgate.mailbox.letter import files_of, ids_in, letter_of, people_text
from outgate.model import Account
from outgate.writing.drafts import DraftContent, sendable

_LONGEST_SUBJECT: Final = 900  # characters; the reader of letters cuts off what is longer


def read(raw: bytes, account: Account) -> tuple[DraftContent, list[AttachedFile]]:
    """What is in a message; without From it is from the default address. Raises ApiError."""
    found = letter_of(raw, "", 0.0)
    if len(found.head.subject) > _LONGEST_SUBJECT:
        raise invalid(f"Invalid message: the subject has more than {_LONGEST_SUBJECT} characters.")
    if len(found.text) >= letter.MAX_TEXT or len(found.html) >= letter.MAX_TEXT:
        raise invalid("Invalid message: the text is too long; send it as a file.")
    if found.html.count("<") >= letter.MAX_TAGS:
        raise invalid("Invalid message: the HTML has too many tags; send it as a file.")
    fields = _fields(raw)
    content = DraftContent(
        sender=_sender(fields, account),
        **{name: people_text(_people(fields, name)) for name in ("to", "cc", "bcc")},
        subject=found.head.subject,
        text=found.text,
        html=found.html,
        in_reply_to=" ".join(_ids(fields, "in-reply-to")[:1]),
        references=" ".join(_ids(fields, "references")),
    )
    contents = files_of(raw, [file.number for file in found.files])
    return content, [
        AttachedFile(contents[file.number][0], sendable(file.content_type, file.name), contents[file.number][1])
        for file in found.files
    ]


def _fields(raw: bytes) -> dict[str, list[bytes]]:
    """Values of the header by lower-case name. Raises ApiError."""
    size = split_message(raw)
    found: dict[str, list[bytes]] = {}
    try:
        for field in split_fields(raw if size is None else raw[: size - 2]):
            found.setdefault(field.name.decode("latin-1"), []).append(value(field))
    except HeaderError as error:
        raise _no_message(error) from None
    return found


def _no_message(error: Exception) -> ApiError:
    return invalid(f"Invalid message: {error}.")


def _people(fields: Mapping[str, Sequence[bytes]], name: str) -> list[Mailbox]:
    try:
        return [one for text in fields.get(name, ()) if text.strip() for one in parse_mailboxes(text)]
    except AddressError as error:
        raise _no_message(error) from None


def _sender(fields: Mapping[str, Sequence[bytes]], account: Account) -> str:
    people = _people(fields, "from")
    if not people:
        return next(one.address for one in account.send_as.values() if one.is_default)
    address = letter.compared(people[0].address)
    if len(people) > 1 or address not in account.send_as:
        raise invalid(
            f"Invalid From: a draft of {account.primary} is from one of its sendAs entries,"
            f" as <{address[:320]}> is not."
        )
    return address


def _ids(fields: Mapping[str, Sequence[bytes]], name: str) -> tuple[str, ...]:
    return ids_in(b" ".join(fields.get(name, ())).decode("latin-1"))


# --- what is told ----------------------------------------------------------------------------------------------------


def payload_of(raw: bytes, *, with_bodies: bool) -> MessagePart:
    """The parts of a message that was composed here; without bodies its header alone."""
    return _part(message_from_bytes(raw), "", with_bodies)


def _part(part: "Message[str, str]", number: str, with_bodies: bool) -> MessagePart:
    within = part.get_payload()
    parts = within if isinstance(within, list) and with_bodies else []
    content = part.get_payload(decode=True) if with_bodies and not parts else b""
    content = content if isinstance(content, bytes) else b""
    inner = f"{number}." if number else ""
    return MessagePart(
        part_id=number,
        mime_type=part.get_content_type(),
        filename=decode_words(part.get_filename("")),
        headers=[MessagePartHeader(name=name, value=_told(text)) for name, text in part.raw_items()],
        body=MessagePartBody(size=len(content), data=in_base64url(content) if content else None),
        parts=[_part(one, f"{inner}{count}", with_bodies) for count, one in enumerate(parts)] or None,
    )


def _told(text: str) -> str:
    """Unfolded, with what is encoded read; UTF-8 as it stands in a header is there as surrogates (RFC 6532)."""
    return decode_words(" ".join(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split()))


def in_base64url(content: bytes) -> str:
    """As in `raw`."""
    return base64.urlsafe_b64encode(content).decode()
