"""Messages that are being written, with their files. Somebody else's are not there for whoever asks."""

import re
from collections.abc import Sequence
from mimetypes import guess_type
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from outgate.directory.errors import Invalid, NotFound
from outgate.frozen import frozen
from outgate.mail.compose import AttachedFile
from outgate.store.tables import draft, draft_file

MAX_DRAFTS: Final = 500  # of one account
MAX_TEXT: Final = 1024 * 1024  # characters of text or HTML
MAX_TAGS: Final = 10_000  # of HTML
MAX_FIELD: Final = 64 * 1024  # characters of a list of recipients
MAX_FILES: Final = 100
MAX_FILE_NAME: Final = 200
MAX_BYTES: Final = 500_000_000  # of all files of an account's drafts, those of what waits for its time among them


@frozen
class DraftContent:
    """What was typed. Address lists as they stand in the form; `html` is empty for plain text; Message-IDs with their
    brackets, several apart by spaces."""

    sender: str
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    text: str = ""
    html: str = ""
    in_reply_to: str = ""
    references: str = ""


@frozen
class DraftFile:
    """A file that goes with it; `size` in bytes."""

    id: int
    name: str
    content_type: str
    size: int


@frozen
class Draft:
    """A draft; `sent_as` is the queue id of the message that it became, while that can be taken back."""

    id: int
    content: DraftContent
    files: tuple[DraftFile, ...]
    changed_at: float
    sent_as: int | None


@frozen
class DraftSummary:
    """A line of the list."""

    id: int
    sender: str
    to: str
    subject: str
    changed_at: float


_FIELDS: Final = ("sender", "to", "cc", "bcc", "subject", "text", "html", "in_reply_to", "references")


def listed(connection: Connection, account_id: int) -> list[DraftSummary]:
    """The newest first, without what is sent."""
    columns = draft.c
    rows = connection.execute(
        select(columns.id, columns.sender, columns.to, columns.subject, columns.changed_at)
        .where(columns.account_id == account_id, columns.sent_as.is_(None))
        .order_by(columns.id.desc())
        .limit(MAX_DRAFTS)
    )
    return [DraftSummary(*row) for row in rows]


def count(connection: Connection, account_id: int) -> int:
    """How many there are."""
    wanted = select(func.count()).where(draft.c.account_id == account_id, draft.c.sent_as.is_(None))
    return connection.scalar(wanted) or 0


def find(connection: Connection, account_id: int, identity: int) -> Draft:
    """With its files, but for what is in them. Raises NotFound."""
    row = connection.execute(select(draft).where(draft.c.id == identity, draft.c.account_id == account_id)).first()
    if row is None:
        raise NotFound("this draft is not there any more")
    return _made(row, _files(connection, identity))


def save(connection: Connection, account_id: int, identity: int | None, content: DraftContent, now: float) -> int:
    """Keep what was typed; returns the draft's id. Raises NotFound and Invalid."""
    check(content)
    values: dict[str, Any] = {name: getattr(content, name) for name in _FIELDS} | {"changed_at": now}
    if identity is None:
        if count(connection, account_id) >= MAX_DRAFTS:
            raise Invalid("there are {most} drafts already; delete one first", most=MAX_DRAFTS)
        made = connection.execute(insert(draft).values(account_id=account_id, **values).returning(draft.c.id))
        return int(made.scalar_one())
    found = find(connection, account_id, identity)
    if found.sent_as is None:
        connection.execute(update(draft).where(draft.c.id == identity, draft.c.sent_as.is_(None)).values(values))
    elif found.content != content:
        raise _sent_already()
    return identity


def remove(connection: Connection, account_id: int, identity: int) -> None:
    """With its files. Raises Invalid."""
    mine = (draft.c.id == identity, draft.c.account_id == account_id)
    connection.execute(delete(draft).where(*mine, draft.c.sent_as.is_(None)))
    if connection.scalar(select(draft.c.id).where(*mine)) is not None:
        raise _sent_already()


def add_file(connection: Connection, account_id: int, identity: int, file: AttachedFile, room: int) -> None:
    """`room` is how many bytes all its files may have. Raises NotFound and Invalid."""
    files = _unsent(connection, account_id, identity).files
    if len(files) >= MAX_FILES:
        raise Invalid("a message has at most {most} files", most=MAX_FILES)
    if sum(one.size for one in files) + len(file.content) > room:
        raise Invalid(
            "{name} is too large: all files of a message together may have {megabytes} MB",
            name=file.filename,
            megabytes=room // 1_000_000,
        )
    if _bytes(connection, account_id) + len(file.content) > MAX_BYTES:
        raise Invalid(
            "the files of all your drafts and of what waits for its time together may have {megabytes} MB; delete a"
            " draft or take a message back first",
            megabytes=MAX_BYTES // 1_000_000,
        )
    connection.execute(
        insert(draft_file).values(
            draft_id=identity,
            name=file.filename[:MAX_FILE_NAME],
            content_type=file.content_type,
            size=len(file.content),
            content=file.content,
        )
    )


def remove_file(connection: Connection, account_id: int, identity: int, file: int) -> None:
    """One of them. Raises NotFound and Invalid."""
    _unsent(connection, account_id, identity)
    connection.execute(delete(draft_file).where(draft_file.c.id == file, draft_file.c.draft_id == identity))


def attached(connection: Connection, identity: int) -> list[AttachedFile]:
    """All files with what is in them."""
    columns = draft_file.c
    rows = connection.execute(select(draft_file).where(columns.draft_id == identity).order_by(columns.id))
    return [AttachedFile(row.name, row.content_type, bytes(row.content)) for row in rows]


def mark_sent(connection: Connection, identity: int, message_id: int) -> None:
    """It became this message."""
    connection.execute(update(draft).where(draft.c.id == identity).values(sent_as=message_id))


def reopen(connection: Connection, message_id: int) -> int | None:
    """The message was taken back; returns the draft that it was, None if it is gone."""
    changed = update(draft).where(draft.c.sent_as == message_id).values(sent_as=None).returning(draft.c.id)
    return connection.execute(changed).scalar()


def forget_sent(connection: Connection, message_ids: Sequence[int]) -> None:
    """These have left for good."""
    connection.execute(delete(draft).where(draft.c.sent_as.in_(message_ids)))


def check(content: DraftContent) -> None:
    """Whether it can be kept, before anything is made of it. Raises Invalid."""
    if not is_short(content):
        raise Invalid("the text is too long; send it as a file")
    if max(len(content.to), len(content.cc), len(content.bcc), len(content.subject)) > MAX_FIELD:
        raise Invalid("there are too many recipients for one message")


def sendable(content_type: str, name: str) -> str:
    """The type that a file is sent with: as it was said to be, else by its name. Never a message or a multipart, which
    would have to be taken apart first (RFC 2046 section 5)."""
    for kind in (content_type.partition(";")[0].strip().lower(), guess_type(name)[0] or ""):
        if re.fullmatch(r"(?!message/|multipart/)[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}", kind):
            return kind
    return "application/octet-stream"


def _sent_already() -> Invalid:
    return Invalid("this message was sent already; take it back first, then change it")


def is_short(content: DraftContent) -> bool:
    """Whether its text and HTML are no longer than may be kept."""
    return max(len(content.text), len(content.html)) <= MAX_TEXT and content.html.count("<") <= MAX_TAGS


def _unsent(connection: Connection, account_id: int, identity: int) -> Draft:
    found = find(connection, account_id, identity)
    if found.sent_as is not None:
        raise _sent_already()
    return found


def _bytes(connection: Connection, account_id: int) -> int:
    wanted = select(func.sum(draft_file.c.size)).join_from(draft_file, draft).where(draft.c.account_id == account_id)
    return int(connection.scalar(wanted) or 0)


def _files(connection: Connection, identity: int) -> tuple[DraftFile, ...]:
    columns = draft_file.c
    wanted = select(columns.id, columns.name, columns.content_type, columns.size)
    return tuple(
        DraftFile(*row) for row in connection.execute(wanted.where(columns.draft_id == identity).order_by("id"))
    )


def _made(row: Row[Any], files: tuple[DraftFile, ...]) -> Draft:
    values = row._mapping
    content = DraftContent(**{name: values[name] for name in _FIELDS})
    return Draft(values["id"], content, files, values["changed_at"], values["sent_as"])
