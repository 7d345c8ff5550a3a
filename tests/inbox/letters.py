"""Letters that others have sent, as files in a Maildir."""

from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from outgate.mailbox.maildir_mailbox import folder_of
from way.place import Site


def text(content: str, **fields: str) -> bytes:
    """A letter of plain text; `fields` by their names with `_` for `-`."""
    message = EmailMessage(policy=SMTP)
    defaults = {"from": "Carol <carol@recipient.example>", "to": "alice@example.com", "subject": "Prices"}
    for name, value in (defaults | fields).items():
        message[name.replace("_", "-")] = value
    message.set_content(content)
    return message.as_bytes()


def with_files(content: str, files: Mapping[str, bytes], **fields: str) -> bytes:
    """The same with files, by their names."""
    message = message_from_bytes(text(content, **fields), policy=SMTP)
    assert isinstance(message, EmailMessage)
    for name, data in files.items():
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def html(content: str, **fields: str) -> bytes:
    """The same of HTML alone, byte by byte as it is given."""
    plain = text("", **fields)
    header = plain.partition(b"\r\n\r\n")[0].replace(b"text/plain", b"text/html")
    return header + b"\r\n\r\n" + content.encode()


def put(site: Site, user: str, name: str, raw: bytes) -> Path:
    """Into the inbox, as new."""
    return put_into(folder_of(site.data / "mail", user), name, raw)


def put_into(folder: Path, name: str, raw: bytes) -> Path:
    """Into this Maildir."""
    for sub in ("tmp", "new", "cur"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    (folder / "new" / name).write_bytes(raw)
    return folder / "new" / name
