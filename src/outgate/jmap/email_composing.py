"""Messages put together of properties (RFC 8621 4.6), in the measure that the pages' writer has: text, HTML, files.

What it can't write is refused by name; a program that wants more writes the message itself, and uploads it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from outgate.frozen import frozen
from outgate.jmap.identities import EmailAddress
from outgate.jmap.jmap_fault import wrong_property
from outgate.jmap.jmap_method import GivenObject, given_object
from outgate.mail.addresses import AddressError, Mailbox, canonical
from outgate.mail.compose import AttachedFile, compose
from outgate.mail.header_check import MessageFault
from outgate.mail.header_rewrite import made_message_id
from outgate.mailbox.html_text import text_of
from outgate.mailbox.letter import ids_in
from outgate.operations.draft_message import with_bcc
from outgate.writing.drafts import MAX_FILES, sendable

BlobReader = Callable[[str], bytes]  # of a blob's id; raises SetFault

_MAX_TAGS: Final = 10_000  # of HTML whose text is to be found


class BodyPart(GivenObject):
    """A part: a text among the body values, or a blob."""

    part_id: str | None = None
    blob_id: str | None = None
    type: str | None = None
    name: str | None = None
    disposition: str | None = None
    charset: str | None = None
    size: int | None = None


class BodyValue(GivenObject):
    """The text of a part."""

    value: str
    is_encoding_problem: bool = False
    is_truncated: bool = False


class NewEmail(GivenObject):
    """One that is to be put together."""

    mailbox_ids: dict[str, bool]
    keywords: dict[str, bool] = Field(default_factory=dict)
    received_at: str | None = None
    sent_at: str | None = None
    from_: list[EmailAddress] | None = Field(None, alias="from")
    to: list[EmailAddress] | None = None
    cc: list[EmailAddress] | None = None
    bcc: list[EmailAddress] | None = None
    reply_to: list[EmailAddress] | None = None
    subject: str | None = None
    in_reply_to: list[str] | None = None
    references: list[str] | None = None
    body_structure: BodyPart | None = None
    text_body: list[BodyPart] | None = None
    html_body: list[BodyPart] | None = None
    attachments: list[BodyPart] | None = None
    body_values: dict[str, BodyValue] = Field(default_factory=dict)


@frozen
class ComposedEmail:
    """The message that it is, and what is to be noted of it."""

    raw: bytes
    asked: NewEmail


def composed(
    given: Mapping[str, Any], queue_id: str, date: Callable[[NewEmail], float], read: BlobReader
) -> ComposedEmail:
    """Put it together; `queue_id` is what its Message-ID is made of. Raises SetFault."""
    asked = given_object(NewEmail, given)
    sender = _sender(asked)
    text, html = _texts(asked)
    to, cc, bcc = (_mailboxes(name, getattr(asked, name)) for name in ("to", "cc", "bcc"))
    reply_to = _mailboxes("replyTo", asked.reply_to)
    if len(reply_to) > 1:
        raise wrong_property("replyTo", "one address is written")
    try:
        raw = compose(
            sender=sender,
            to=to,
            cc=cc,
            subject=asked.subject or "",
            text=text.replace("\r\n", "\n"),
            html=html.replace("\r\n", "\n"),
            date=date(asked),
            message_id=made_message_id(queue_id, sender.address).strip("<>"),
            reply_to=reply_to[0] if reply_to else None,
            attachments=_files(asked.attachments or (), read),
            in_reply_to=next(iter(_ids(asked.in_reply_to)), ""),
            references=_ids(asked.references),
        )
    except (AddressError, MessageFault) as error:
        raise wrong_property("subject" if isinstance(error, MessageFault) else "from", str(error)) from None
    return ComposedEmail(with_bcc(raw, bcc), asked)


def _sender(asked: NewEmail) -> Mailbox:
    found = _mailboxes("from", asked.from_)
    if len(found) != 1:
        raise wrong_property("from", "it is one address")
    return found[0]


def _mailboxes(name: str, given: Sequence[EmailAddress] | None) -> list[Mailbox]:
    try:
        for one in given or ():
            canonical(one.email)
    except AddressError as error:
        raise wrong_property(name, str(error)) from None
    return [Mailbox(one.name or "", one.email) for one in given or ()]


def _texts(asked: NewEmail) -> tuple[str, str]:
    """The text and the HTML; the text of what is HTML alone is found in that."""
    if asked.body_structure and (asked.text_body or asked.html_body or asked.attachments):
        raise wrong_property("bodyStructure", "it excludes textBody, htmlBody and attachments")
    parts = {"text/plain": asked.text_body or [], "text/html": asked.html_body or []}
    if asked.body_structure:
        kind = (asked.body_structure.type or "text/plain").lower()
        if kind not in parts:
            raise wrong_property("bodyStructure", "it is one text here; use textBody, htmlBody and attachments")
        parts[kind] = [asked.body_structure]
    text = _text("textBody", "text/plain", parts, asked)
    html = _text("htmlBody", "text/html", parts, asked)
    if html and not text:
        if html.count("<") > _MAX_TAGS:
            raise wrong_property("htmlBody", f"without a text beside it, it has at most {_MAX_TAGS} tags")
        text = text_of(html)
    return text, html


def _text(name: str, kind: str, of_kind: Mapping[str, Sequence[BodyPart]], asked: NewEmail) -> str:
    parts = of_kind[kind]
    if not parts:
        return ""
    if any((one.type or kind).lower() != kind for one in parts):
        raise wrong_property(name, f"its type is {kind}")
    value = asked.body_values.get(parts[0].part_id or "")
    if len(parts) > 1 or value is None or value.is_truncated or value.is_encoding_problem:
        raise wrong_property(name, "it is one part, whose partId is among bodyValues")
    return value.value


def _files(parts: Sequence[BodyPart], read: BlobReader) -> list[AttachedFile]:
    if len(parts) > MAX_FILES:
        raise wrong_property("attachments", f"a message has at most {MAX_FILES} files")
    if any(one.blob_id is None for one in parts):
        raise wrong_property("attachments", "each has a blobId")
    return [
        AttachedFile(one.name or "file", sendable(one.type or "", one.name or ""), read(one.blob_id or ""))
        for one in parts
    ]


def _ids(given: Sequence[str] | None) -> tuple[str, ...]:
    """Message-IDs, which JMAP has without their brackets."""
    return ids_in(" ".join(f"<{one}>" for one in given or ()))
