"""Writes new messages (RFC 5322, MIME): plain text, HTML beside it, attachments. Bytes out; dates and ids passed in.

Outside the way of a message, so the stdlib's email package does the work. Knows no account: callers pass texts.
"""

from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from unicodedata import category

from outgate.frozen import frozen
from outgate.mail.addresses import Mailbox, ascii_form, format_mailbox
from outgate.mail.header_check import MessageFault
from outgate.mail.headers import format_date


@frozen
class AttachedFile:
    """A file to attach; `content_type` as in `application/pdf`."""

    filename: str
    content_type: str
    content: bytes


def compose(
    *,
    sender: Mailbox,
    to: Sequence[Mailbox],
    subject: str,
    text: str,
    date: float,
    message_id: str,
    cc: Sequence[Mailbox] = (),
    reply_to: Mailbox | None = None,
    attachments: Sequence[AttachedFile] = (),
    automatic: bool = False,
    html: str = "",
    in_reply_to: str = "",
    references: Sequence[str] = (),
) -> bytes:
    """A new message, US-ASCII but for addresses that have no such form (then the header is UTF-8: RFC 6532).

    `message_id` comes without angle brackets, empty for none (of what is not sent yet), `in_reply_to` and `references`
    as they were in the message that this answers (RFC 5322 section 3.6.4). `html` is the same text once more.

    Raises AddressError for a mailbox that can't be written, and MessageFault for a control character in the subject or
    a file's name, and for what is no Unicode text.
    """
    _require_line("the subject", subject)
    for attachment in attachments:
        _require_line("the name of a file", attachment.filename)
    _require_text("the text", text)
    _require_text("the text", html)
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["Subject"] = subject
    message["Date"] = format_date(int(date))
    if message_id:
        message["Message-ID"] = f"<{message_id}>"
    if automatic:
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5
    if in_reply_to:
        message["In-Reply-To"] = in_reply_to
    if references:
        message["References"] = " ".join(references)
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    for attachment in attachments:
        maintype, _, subtype = attachment.content_type.partition("/")
        message.add_attachment(attachment.content, maintype=maintype, subtype=subtype, filename=attachment.filename)
    addressed = {"From": [sender], "To": to, "Cc": cc, "Reply-To": [reply_to] if reply_to else []}
    return b"".join([_address_field(*item) for item in addressed.items() if item[1]]) + message.as_bytes()


def _require_line(what: str, text: str) -> None:
    _require_text(what, text)
    if any(category(char) in ("Cc", "Zl", "Zp") for char in text):
        raise MessageFault(f"{what} has a line break or another control character")


def _require_text(what: str, text: str) -> None:
    """A lone surrogate is what Python makes of bytes that were not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MessageFault(f"{what} is not valid UTF-8") from None


def _address_field(name: str, mailboxes: Sequence[Mailbox]) -> bytes:
    """One mailbox a line. The stdlib's own folding may encode the comma behind a long name and so lose an address."""
    written = [format_mailbox(item.display_name, ascii_form(item.address) or item.address) for item in mailboxes]
    folded = ",\r\n ".join([mailbox.replace("?= ", "?=\r\n ") for mailbox in written])
    return f"{name}: {folded}\r\n".encode()
