"""What was sent from the pages: whether its copy is in the Sent mailbox, and what became of it.

What became of it is read from queue and record; here is only whether its sender has to do with it still (`is_open`).
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)

from outgate.frozen import frozen
from outgate.store.tables import fact, message, recipient, sent_message

FILING: Final = 60.0  # seconds that one node has for the filing of a copy, before another one tries
AGAIN: Final = 300.0  # seconds until a copy that could not be filed is tried again
_UNFILABLE: Final = "no-mailbox"  # in the place of why a copy is not filed, where no mailbox is read
KEPT: Final = 30 * 86400.0  # seconds after which a copy that could not be filed is let go

_IS_BOUNCED: Final[ColumnElement[bool]] = literal_column("fact.kind = 'bounced'")


class SentState(StrEnum):
    """Waits for its time; on its way; waits after a failure; failed for somebody; arrived, as far as is known."""

    EARLY = "early"
    LEAVING = "leaving"
    WAITS = "waits"
    FAILED = "failed"
    DELIVERED = "delivered"


@frozen
class SentMessage:
    """One message. Times in seconds since the epoch; `leaves_at` is 0 when it may leave at once; `said` is what the
    last failure was, `failed` for whom for good; `not_filed` why its copy is not in the Sent mailbox yet,
    `is_unfilable` that it never will be, as no mailbox is read here, `has_copy` that it is kept here; `is_waiting` that
    somebody is still to get it."""

    id: int
    sender: str
    recipients: str
    subject: str
    rfc822_message_id: str
    sent_at: float
    file_name: str
    is_filed: bool
    not_filed: str
    is_open: bool
    state: SentState = SentState.DELIVERED
    leaves_at: float = 0.0
    said: str = ""
    failed: tuple[str, ...] = ()
    has_copy: bool = False
    is_unfilable: bool = False
    is_waiting: bool = False


@frozen
class UnfiledCopy:
    """A copy that is to be filed."""

    id: int
    account_id: int
    raw: bytes
    file_name: str
    rfc822_message_id: str
    sent_at: float


def add(
    connection: Connection,
    account_id: int,
    entry: SentMessage,
    raw: bytes | None,
    file_at: float,
) -> None:
    """A message is in the queue; its copy is filed from `file_at` on, if there is one to file."""
    connection.execute(
        insert(sent_message).values(
            message_id=entry.id,
            account_id=account_id,
            sender=entry.sender,
            recipients=entry.recipients,
            subject=entry.subject,
            rfc822_message_id=entry.rfc822_message_id,
            sent_at=entry.sent_at,
            file_name=entry.file_name,
            raw=raw,
            file_at=file_at,
            not_filed="",
            is_open=True,
        )
    )


def remove(connection: Connection, message_id: int) -> None:
    """It was taken back."""
    connection.execute(delete(sent_message).where(sent_message.c.message_id == message_id))


def close(connection: Connection, *message_ids: int) -> None:
    """Their senders have nothing more to do with them."""
    connection.execute(update(sent_message).where(sent_message.c.message_id.in_(message_ids)).values(is_open=False))


# --- lists -----------------------------------------------------------------------------------------------------------


def listed(
    connection: Connection, account_id: int, now: float, limit: int, before: int | None = None
) -> list[SentMessage]:
    """The newest first; `before` is the last one of the page before."""
    columns = sent_message.c
    wanted = _SELECT.where(columns.account_id == account_id)
    if before is not None:
        wanted = wanted.where(columns.message_id < before)
    rows = connection.execute(wanted.order_by(columns.message_id.desc()).limit(limit)).all()
    return _with_states(connection, rows, now)


def find(connection: Connection, account_id: int, message_id: int, now: float) -> SentMessage | None:
    """One of them."""
    columns = sent_message.c
    wanted = _SELECT.where(columns.account_id == account_id, columns.message_id == message_id)
    return next(iter(_with_states(connection, connection.execute(wanted).all(), now)), None)


def in_trouble(connection: Connection, account_id: int, now: float, limit: int) -> list[SentMessage]:
    """Those of which somebody has not got it, or not yet after a failure, and that nobody has settled."""
    columns = sent_message.c
    tried = exists().where(recipient.c.message_id == columns.message_id, recipient.c.attempts > 0)
    bounced = exists().where(fact.c.message_id == columns.message_id, _IS_BOUNCED)
    wanted = _SELECT.where(columns.account_id == account_id, columns.is_open, tried | bounced)
    rows = connection.execute(wanted.order_by(columns.message_id.desc()).limit(limit)).all()
    return _with_states(connection, rows, now)


def raw_of(connection: Connection, message_id: int) -> bytes | None:
    """Its copy, while it is not filed."""
    found = connection.scalar(select(sent_message.c.raw).where(sent_message.c.message_id == message_id))
    return bytes(found) if found is not None else None


def arrived(connection: Connection) -> list[int]:
    """Some that are open though they need nobody any more."""
    columns = sent_message.c
    waits = exists().where(message.c.id == columns.message_id)
    bounced = exists().where(fact.c.message_id == columns.message_id, _IS_BOUNCED)
    wanted = select(columns.message_id).where(columns.is_open, ~waits, ~bounced)
    return list(connection.scalars(wanted.limit(500)))


# --- copies ----------------------------------------------------------------------------------------------------------


def due(connection: Connection, now: float) -> int | None:
    """A message whose copy is to be filed now."""
    columns = sent_message.c
    wanted = select(columns.message_id).where(literal_column("raw IS NOT NULL"), columns.file_at <= now)
    return connection.scalar(wanted.order_by(columns.file_at).limit(1))


def claim(connection: Connection, message_id: int, now: float) -> UnfiledCopy | None:
    """Take its filing over; None if another node has."""
    columns = sent_message.c
    mine = update(sent_message).where(
        columns.message_id == message_id, columns.file_at <= now, columns.raw.is_not(None)
    )
    if not connection.execute(mine.values(file_at=now + FILING)).rowcount:
        return None
    row = connection.execute(select(sent_message).where(columns.message_id == message_id)).one()
    return UnfiledCopy(
        row.message_id, row.account_id, bytes(row.raw), row.file_name, row.rfc822_message_id, row.sent_at
    )


def filed(connection: Connection, message_id: int) -> None:
    """It is in the Sent mailbox."""
    connection.execute(
        update(sent_message).where(sent_message.c.message_id == message_id).values(raw=None, not_filed="")
    )


def not_filed(connection: Connection, copy: UnfiledCopy, reason: str, now: float) -> None:
    """It could not be filed; it is tried again, but not for ever."""
    _put_off(connection, copy, now, file_at=now + AGAIN, not_filed=reason)


def unfilable(connection: Connection, copy: UnfiledCopy, now: float) -> None:
    """There is no Sent mailbox here; it is not tried again before it is let go."""
    _put_off(connection, copy, now, file_at=copy.sent_at + KEPT, not_filed=_UNFILABLE)


def _put_off(connection: Connection, copy: UnfiledCopy, now: float, **values: Any) -> None:
    if now >= copy.sent_at + KEPT:
        values["raw"] = None
    connection.execute(update(sent_message).where(sent_message.c.message_id == copy.id).values(values))


_SELECT: Final[Select[Any]] = select(
    *(one for one in sent_message.c if one.name not in ("raw", "account_id", "file_at")),
    sent_message.c.raw.is_(None).label("is_filed"),
)


def _with_states(connection: Connection, rows: Sequence[Row[Any]], now: float) -> list[SentMessage]:
    """What became of each, by two looks for all of them."""
    ids = [row.message_id for row in rows]
    columns = recipient.c
    waiting: dict[int, Any] = {
        row.message_id: row
        for row in connection.execute(
            select(
                columns.message_id,
                func.max(columns.attempts).label("attempts"),
                func.max(columns.last_reply).label("said"),
                func.max(message.c.not_before).label("not_before"),
            )
            .join_from(recipient, message, message.c.id == columns.message_id)
            .where(columns.message_id.in_(ids))
            .group_by(columns.message_id)
        )
    }
    failed: dict[int, list[tuple[str, str]]] = {}
    bounced = connection.execute(
        select(fact.c.message_id, fact.c.detail).where(fact.c.message_id.in_(ids), _IS_BOUNCED).order_by(fact.c.id)
    )
    for row in bounced:
        failed.setdefault(row.message_id, []).append(_told(row.detail))
    return [_made(row, waiting.get(row.message_id), failed.get(row.message_id, []), now) for row in rows]


def _told(detail: str) -> tuple[str, str]:
    """Of a `bounced` event: for whom, and why."""
    found = json.loads(detail)
    return found["recipient"], found["reason"]


def _made(row: Row[Any], waiting: Any, failed: list[tuple[str, str]], now: float) -> SentMessage:
    state, said, leaves_at = SentState.DELIVERED, "", 0.0
    if failed:
        state, said = SentState.FAILED, failed[-1][1]
    elif waiting is not None and waiting.not_before is not None and waiting.not_before > now:
        state, leaves_at = SentState.EARLY, waiting.not_before
    elif waiting is not None:
        state, said = (SentState.WAITS, waiting.said or "") if waiting.attempts else (SentState.LEAVING, "")
    return SentMessage(
        id=row.message_id,
        sender=row.sender,
        recipients=row.recipients,
        subject=row.subject,
        rfc822_message_id=row.rfc822_message_id,
        sent_at=row.sent_at,
        file_name=row.file_name,
        is_filed=bool(row.is_filed) and not row.not_filed,
        not_filed=row.not_filed,
        is_open=bool(row.is_open),
        state=state,
        leaves_at=leaves_at,
        said=said,
        failed=tuple(one for one, _ in failed),
        has_copy=not row.is_filed,
        is_unfilable=row.not_filed == _UNFILABLE,
        is_waiting=waiting is not None,
    )
