"""What a draft is as a message. Knows no operation.

A finished one can be sent; one that is still being written is shown as it stands, half an address included.
"""

from collections.abc import Sequence
from email.header import Header

from outgate.directory.errors import Invalid
from outgate.mail.addresses import AddressError, Mailbox, ascii_form, parse_mailboxes
from outgate.mail.compose import AttachedFile, compose
from outgate.mailbox.letter import ids_in
from outgate.model import Account, SendAs
from outgate.writing.drafts import Draft, DraftContent


def mailboxes(text: str) -> list[Mailbox]:
    """What stands in To, Cc or Bcc. Raises Invalid."""
    try:
        return parse_mailboxes(text.strip(" ,;").encode()) if text.strip(" ,;") else []
    except (AddressError, UnicodeEncodeError) as error:
        raise Invalid("{text}: {why}", text=text.strip()[:200], why=error) from None


def composed(
    content: DraftContent,
    entry: SendAs,
    name: str,
    addressed: tuple[Sequence[Mailbox], Sequence[Mailbox]],
    attachments: Sequence[AttachedFile],
    *,
    date: float,
    message_id: str,
) -> bytes:
    """The message, from this address, to those in To and Cc; `name` is its sender's if the address has none. Raises
    Invalid and mail.header_check.MessageFault.
    """
    to, cc = addressed
    try:
        return compose(
            sender=Mailbox(entry.display_name or name, entry.address),
            to=to,
            cc=cc,
            subject=content.subject,
            text=content.text.replace("\r\n", "\n"),
            html=content.html,
            date=date,
            message_id=message_id,
            reply_to=Mailbox("", entry.reply_to) if entry.reply_to else None,
            attachments=attachments,
            in_reply_to=next(iter(ids_in(content.in_reply_to)), ""),
            references=ids_in(content.references),
        )
    except AddressError as error:
        raise Invalid(error.text, **error.facts) from None


def with_bcc(raw: bytes, bcc: Sequence[Mailbox]) -> bytes:
    """The sender's own copy says who got it unseen."""
    if not bcc:
        return raw
    line = ",\r\n ".join(ascii_form(one.address) or one.address for one in bcc)
    return f"Bcc: {line}\r\n".encode() + raw


def unfinished(account: Account, draft: Draft, attachments: Sequence[AttachedFile]) -> bytes:
    """A draft as it stands: without Message-ID, since it has none yet. Raises MessageFault."""
    content = draft.content
    entry = account.send_as.get(content.sender) or account.send_as[account.primary]  # its address may be gone by now
    found, odd = dict[str, list[Mailbox]](), b""
    for name, text in (("To", content.to), ("Cc", content.cc), ("Bcc", content.bcc)):
        try:
            found[name] = mailboxes(text)
        except Invalid:
            found[name] = []
            odd += f"{name}: {_unstructured(text)}\r\n".encode()
    addressed = found["To"], found["Cc"]
    raw = composed(content, entry, account.name, addressed, attachments, date=draft.changed_at, message_id="")
    return odd + with_bcc(raw, found["Bcc"])


def _unstructured(text: str) -> str:
    return Header(" ".join(text.split()), "utf-8").encode(linesep="\r\n")
