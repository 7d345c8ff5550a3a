"""What programs have submitted: who asked for what, and what became of it. Somebody else's are not there.

What became of a message is read from queue and record. Both only grow by events, so the number of the last event that
was told of, with how many there were, says what a program has seen: `position`.
"""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from outgate.directory.errors import NotFound
from outgate.frozen import frozen
from outgate.store.tables import email_submission, fact, message, recipient

AT_MOST: Final = 1000  # of one account: the oldest are forgotten first
KEPT: Final = 30 * 86400.0  # seconds since it was to leave
LOCAL: Final = "maildir"  # by whom a message was delivered that lies in a mailbox here
MAX_LISTED: Final = 200_000  # characters of recipients that are told of together; one submission may have more
MAX_EVENTS: Final = 10_000  # that are looked at together
_OUTCOMES: Final = ("delivered", "bounced")


@frozen
class RecipientOutcome:
    """What became of one recipient, or has so far: `kind` is delivered, bounced or queued; `said` the last reply, empty
    for none; `is_local` that it lies in a mailbox of this server.
    """

    kind: str
    said: str
    is_local: bool = False


@frozen
class SubmissionHeading:
    """One submission, but for who gets it; `id` is the message's queue id, `email` the uploaded message. Times in
    seconds since the epoch. `may_cancel` says that it waits for its time.
    """

    id: int
    sender: str
    email: int
    reverse_path: str
    send_at: float
    canceled: bool
    may_cancel: bool


@frozen
class SubmittedMessage(SubmissionHeading):
    """The whole of it. `outcomes` are by recipient in compared form."""

    recipients: tuple[str, ...]
    outcomes: Mapping[str, RecipientOutcome]


@frozen
class NewSubmission:
    """What is kept of one: who asked for what."""

    id: int
    sender: str
    email: int
    reverse_path: str
    recipients: Sequence[str]
    send_at: float


@frozen
class EventPosition:
    """How far events were told of: the last one's number, and how many there were."""

    last: int = 0
    count: int = 0


@frozen
class ChangedSubmissions:
    """What has happened to submissions since a position; `more` says that there is more behind `position`."""

    created: Sequence[int]
    updated: Sequence[int]
    position: EventPosition
    more: bool


class TooManyRecipients(Exception):
    """Of what is asked for, all at once: ask for fewer submissions."""


def add(connection: Connection, account_id: int, new: NewSubmission) -> None:
    """It is in the queue. The oldest beyond `AT_MOST` are forgotten."""
    columns = email_submission.c
    connection.execute(
        insert(email_submission).values(
            message_id=new.id,
            account_id=account_id,
            sender=new.sender,
            uploaded_message_id=new.email,
            reverse_path=new.reverse_path,
            recipients=json.dumps(list(new.recipients)),
            send_at=new.send_at,
            canceled=False,
        )
    )
    mine = select(columns.message_id).where(columns.account_id == account_id)
    beyond = mine.order_by(columns.message_id.desc()).offset(AT_MOST).limit(1).scalar_subquery()
    connection.execute(delete(email_submission).where(columns.account_id == account_id, columns.message_id <= beyond))


def headings(
    connection: Connection, account_id: int, now: float, identities: Sequence[int] | None = None
) -> list[SubmissionHeading]:
    """Those with these ids, else all, the oldest first."""
    columns = email_submission.c
    shown = (columns.message_id, columns.sender, columns.uploaded_message_id, columns.reverse_path)
    wanted = select(*shown, columns.send_at, columns.canceled).where(columns.account_id == account_id)
    if identities is not None:
        wanted = wanted.where(columns.message_id.in_(identities))
    rows = connection.execute(wanted.order_by(columns.message_id)).all()
    early = _early(connection, [row.message_id for row in rows], now)
    return [SubmissionHeading(**_heading(row, early)) for row in rows]


def listed(
    connection: Connection, account_id: int, now: float, identities: Sequence[int] | None = None
) -> list[SubmittedMessage]:
    """The whole of them. Raises TooManyRecipients."""
    mine = [email_submission.c.account_id == account_id]
    if identities is not None:
        mine.append(email_submission.c.message_id.in_(identities))
    size = func.coalesce(func.sum(func.length(email_submission.c.recipients)), 0)
    number, characters = connection.execute(select(func.count(), size).where(*mine)).one()
    if number > 1 and characters > MAX_LISTED:
        raise TooManyRecipients
    rows = connection.execute(select(email_submission).where(*mine).order_by(email_submission.c.message_id)).all()
    ids = [row.message_id for row in rows]
    outcomes, early = _outcomes(connection, ids), _early(connection, ids, now)
    return [
        SubmittedMessage(
            **_heading(row, early),
            recipients=tuple(json.loads(row.recipients)),
            outcomes=outcomes.get(row.message_id, {}),
        )
        for row in rows
    ]


def cancel(connection: Connection, account_id: int, identity: int) -> None:
    """It was taken back."""
    _one(connection, account_id, identity)
    mine = update(email_submission).where(email_submission.c.message_id == identity)
    connection.execute(mine.values(canceled=True))


def forget(connection: Connection, account_id: int, identity: int) -> None:
    """Whatever becomes of its message. Raises NotFound."""
    _one(connection, account_id, identity)
    connection.execute(delete(email_submission).where(email_submission.c.message_id == identity))


def remove_old(connection: Connection, before: float, limit: int) -> int:
    """Forget at most `limit` that were to leave before then; returns their number."""
    columns = email_submission.c
    old = select(columns.message_id).where(columns.send_at < before).order_by(columns.send_at).limit(limit)
    return connection.execute(delete(email_submission).where(columns.message_id.in_(old))).rowcount


# --- what has changed ------------------------------------------------------------------------------------------------


def position(connection: Connection, account_id: int) -> EventPosition:
    """Where events of an account's submissions stand now."""
    events = _events(account_id).subquery()
    last, count = connection.execute(select(func.max(events.c.id), func.count()).select_from(events)).one()
    return EventPosition(last or 0, count)


def changed(connection: Connection, account_id: int, since: EventPosition, at_most: int) -> ChangedSubmissions | None:
    """What has happened to at most so many submissions; None if what was told of then is not all there any more."""
    events = _events(account_id)
    earlier = events.where(fact.c.id <= since.last)
    if connection.scalar(select(func.count()).select_from(earlier.subquery())) != since.count:
        return None
    later = events.where(fact.c.id > since.last).order_by(fact.c.id).limit(MAX_EVENTS + 1)
    rows, touched, last, count = connection.execute(later).all(), dict[int, None](), since.last, 0
    for row in rows[:MAX_EVENTS]:
        if row.message_id not in touched and len(touched) == at_most:
            break
        touched[row.message_id] = None
        last, count = row.id, count + 1
    before = earlier.with_only_columns(fact.c.message_id).where(fact.c.message_id.in_(touched)).distinct()
    known = set(connection.scalars(before))
    created = [one for one in touched if one not in known]
    updated = [one for one in touched if one in known]
    position = EventPosition(last, since.count + count)
    return ChangedSubmissions(created, updated, position, more=count < len(rows))


def _events(account_id: int) -> Select[Any]:
    columns = email_submission.c
    joined = select(fact.c.id, fact.c.message_id).join_from(
        email_submission, fact, fact.c.message_id == columns.message_id
    )
    return joined.where(columns.account_id == account_id)


# --- what became of them ---------------------------------------------------------------------------------------------


def _outcomes(connection: Connection, identities: Sequence[int]) -> dict[int, dict[str, RecipientOutcome]]:
    found: dict[int, dict[str, RecipientOutcome]] = {}
    columns = recipient.c
    waiting = select(columns.message_id, columns.address, columns.last_reply)
    for row in connection.execute(waiting.where(columns.message_id.in_(identities))):
        found.setdefault(row.message_id, {})[row.address] = RecipientOutcome("queued", row.last_reply or "")
    for event in _told(connection, identities):
        detail = json.loads(event.detail)
        said = detail["reply"] if event.kind == "delivered" else detail["reason"]
        is_local = event.kind == "delivered" and detail["by"] == LOCAL
        found.setdefault(event.message_id, {})[detail["recipient"]] = RecipientOutcome(event.kind, said, is_local)
    return found


def _told(connection: Connection, identities: Sequence[int]) -> Iterable[Row[Any]]:
    wanted = (fact.c.message_id.in_(identities), fact.c.kind.in_(_OUTCOMES))
    return connection.execute(select(fact.c.message_id, fact.c.kind, fact.c.detail).where(*wanted).order_by(fact.c.id))


def _early(connection: Connection, identities: Sequence[int], now: float) -> set[int]:
    return set(connection.scalars(select(message.c.id).where(message.c.id.in_(identities), message.c.not_before > now)))


def _one(connection: Connection, account_id: int, identity: int) -> None:
    columns = email_submission.c
    mine = (columns.message_id == identity, columns.account_id == account_id)
    if connection.scalar(select(columns.message_id).where(*mine)) is None:
        raise NotFound("there is no such submission, or not any more")


def _heading(row: Any, early: Container[int]) -> dict[str, Any]:
    return {
        "id": row.message_id,
        "sender": row.sender,
        "email": row.uploaded_message_id,
        "reverse_path": row.reverse_path,
        "send_at": row.send_at,
        "canceled": row.canceled,
        "may_cancel": row.message_id in early,
    }
