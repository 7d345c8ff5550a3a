"""What programs upload, and the messages among it that they may submit. Somebody else's are not there for whoever asks.

An upload has an end, later where it is a message: nothing here is a mailbox. What is bounded is all of one account's.
"""

from collections.abc import Collection, Sequence
from dataclasses import field
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from outgate.directory.errors import NotAllowed, NotFound
from outgate.frozen import frozen
from outgate.store.tables import upload, upload_content, uploaded_message

DAY: Final = 86400.0
KEPT: Final = DAY  # seconds that an upload is kept
KEPT_MESSAGE: Final = 30 * DAY  # seconds that one is kept that is a message, since it was changed last
AT_MOST: Final = 1000  # uploads of one account, and as many messages
MAX_BYTES: Final = 500_000_000  # of one account
SWEPT: Final = 20  # uploads that go at once
SWEPT_BYTES: Final = 16_000_000  # that they have together, but for one larger: no message is written meanwhile


@frozen
class Upload:
    """What was uploaded, as which type; its size is in bytes."""

    id: int
    content_type: str
    content: bytes = field(repr=False)


@frozen
class UploadedMessage:
    """A message that may be submitted, without its content; `received_at` is in seconds since the epoch."""

    id: int
    upload_id: int
    size: int
    folders: frozenset[str]
    keywords: frozenset[str]
    received_at: float


class TooManyUploads(NotAllowed):
    """One more would be more than an account may have here."""


def _too_many() -> TooManyUploads:
    return TooManyUploads(
        "a user may have {most} uploads here, of {megabytes} MB together; destroy messages that are sent, or wait:"
        " what is no message goes after a day",
        most=AT_MOST,
        megabytes=MAX_BYTES // 1_000_000,
    )


def add(connection: Connection, account_id: int, content_type: str, content: bytes, now: float) -> int:
    """Keep it; returns its id. Raises TooManyUploads."""
    mine = (upload.c.account_id == account_id, upload.c.ends_at > now)  # what has ended is about to be removed
    counted = select(func.count(), func.coalesce(func.sum(upload.c.size), 0)).where(*mine)
    number, size = connection.execute(counted).one()
    if number >= AT_MOST or int(size) + len(content) > MAX_BYTES:
        raise _too_many()
    values = {"content_type": content_type, "size": len(content), "ends_at": now + KEPT}
    made = connection.execute(insert(upload).values(account_id=account_id, **values).returning(upload.c.id))
    identity = int(made.scalar_one())
    connection.execute(insert(upload_content).values(upload_id=identity, content=content))
    return identity


def find(connection: Connection, account_id: int, identity: int) -> Upload:
    """One of them with its content. Raises NotFound."""
    wanted = select(upload.c.id, upload.c.content_type, upload_content.c.content).join(upload_content)
    row = connection.execute(wanted.where(upload.c.id == identity, upload.c.account_id == account_id)).first()
    if row is None:
        raise NotFound("there is no such upload, or not any more")
    return Upload(row.id, row.content_type, bytes(row.content))


def remove_old(connection: Connection, now: float, limit: int) -> int:
    """Remove at most `limit` whose time is over, with their messages; returns their number."""
    old = select(upload.c.id, upload.c.size).where(upload.c.ends_at <= now).order_by(upload.c.ends_at)
    gone, size = list[int](), 0
    for row in connection.execute(old.limit(min(limit, SWEPT))):
        size += row.size
        if gone and size > SWEPT_BYTES:
            break
        gone.append(row.id)
    return connection.execute(delete(upload).where(upload.c.id.in_(gone))).rowcount


# --- messages --------------------------------------------------------------------------------------------------------


def add_message(
    connection: Connection,
    account_id: int,
    upload_id: int,
    folders: Collection[str],
    keywords: Collection[str],
    received_at: float,
    now: float,
) -> UploadedMessage:
    """An upload becomes a message. Raises NotFound and TooManyUploads."""
    mine = select(func.count()).select_from(uploaded_message).where(uploaded_message.c.account_id == account_id)
    if (connection.scalar(mine) or 0) >= AT_MOST:
        raise _too_many()
    if not _keep(connection, account_id, upload_id, now):
        raise NotFound("there is no such upload, or not any more")
    values = {"folders": " ".join(sorted(folders)), "keywords": " ".join(sorted(keywords))}
    made = connection.execute(
        insert(uploaded_message)
        .values(account_id=account_id, upload_id=upload_id, received_at=received_at, **values)
        .returning(uploaded_message.c.id)
    )
    return messages(connection, account_id, [int(made.scalar_one())])[0]


def messages(connection: Connection, account_id: int, identities: Sequence[int] | None = None) -> list[UploadedMessage]:
    """Those with these ids, else all, the oldest first."""
    columns = uploaded_message.c
    wanted = select(uploaded_message, upload.c.size).join(upload).where(columns.account_id == account_id)
    if identities is not None:
        wanted = wanted.where(columns.id.in_(identities))
    return [_made(row) for row in connection.execute(wanted.order_by(columns.id).limit(AT_MOST))]


def edit_message(
    connection: Connection,
    account_id: int,
    identity: int,
    folders: Collection[str],
    keywords: Collection[str],
    now: float,
) -> None:
    """Where it lies, and what is noted of it. Raises NotFound."""
    found = messages(connection, account_id, [identity])
    if not found:
        raise NotFound("there is no such message, or not any more")
    values = {"folders": " ".join(sorted(folders)), "keywords": " ".join(sorted(keywords))}
    connection.execute(update(uploaded_message).where(uploaded_message.c.id == identity).values(**values))
    _keep(connection, account_id, found[0].upload_id, now)


def remove_message(connection: Connection, account_id: int, identity: int) -> None:
    """With its upload, if no other message is of that. Raises NotFound."""
    columns = uploaded_message.c
    gone = delete(uploaded_message).where(columns.id == identity, columns.account_id == account_id)
    upload_id = connection.execute(gone.returning(columns.upload_id)).scalar()
    if upload_id is None:
        raise NotFound("there is no such message, or not any more")
    if connection.scalar(select(columns.id).where(columns.upload_id == upload_id).limit(1)) is None:
        connection.execute(delete(upload).where(upload.c.id == upload_id))


def _keep(connection: Connection, account_id: int, upload_id: int, now: float) -> bool:
    mine = (upload.c.id == upload_id, upload.c.account_id == account_id)
    return bool(connection.execute(update(upload).where(*mine).values(ends_at=now + KEPT_MESSAGE)).rowcount)


def _made(row: Row[Any]) -> UploadedMessage:
    folders, keywords = frozenset(row.folders.split()), frozenset(row.keywords.split())
    return UploadedMessage(row.id, row.upload_id, row.size, folders, keywords, row.received_at)
