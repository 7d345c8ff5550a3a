"""Operations on what programs upload and submit (JMAP): messages among the uploads, and what became of them."""

from collections.abc import Sequence
from dataclasses import field
from typing import Final

from outgate.directory import users
from outgate.directory.errors import NotAllowed
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.account_lookup import account_of
from outgate.operations.context import OperationContext
from outgate.operations.mail_operations import KeyTaken, SendLimits, take
from outgate.operations.operation import operation
from outgate.operations.sent_operations import RECALLED
from outgate.queue import admin as queue
from outgate.queue.admin import Selection
from outgate.queue.queue_id import from_text, to_text
from outgate.store import answered_requests
from outgate.writing import submissions, uploads
from outgate.writing.submissions import (
    ChangedSubmissions,
    EventPosition,
    NewSubmission,
    SubmissionHeading,
    SubmittedMessage,
)
from outgate.writing.uploads import Upload, UploadedMessage

_USER: Final = targets.user("user")


@frozen
class Submitting:
    """What is to be submitted: the uploaded message `email`, as `raw`, from one of the user's addresses.

    With a `key` it is submitted once, however often the same `request` comes within a day; with a `position` only if
    nothing has happened since.
    """

    sender: str
    email: int
    reverse_path: str
    recipients: Sequence[str]
    raw: bytes = field(repr=False)
    hold_until: float | None = None
    key: str = ""
    request: bytes = field(default=b"", repr=False)
    position: EventPosition | None = None


class PositionPassed(Exception):
    """Something has happened since: nothing is submitted."""


# --- uploads ---------------------------------------------------------------------------------------------------------


@operation("upload.add", Privilege.MAIL_SEND, _USER, own=True, own_recorded=False, programs_recorded=False)
def add_upload(op: OperationContext, user: str, content_type: str, content: bytes) -> int:
    """Keep what a program uploads, for a time."""
    return uploads.add(op.connection, _account_id(op, user), content_type, content, op.now)


@operation("upload.read", Privilege.MAIL_SEND, _USER, changes=False, own=True)
def read_upload(op: OperationContext, user: str, upload: int) -> Upload:
    """Read what a program has uploaded."""
    return uploads.find(op.connection, _account_id(op, user), upload)


@operation("upload.take", Privilege.MAIL_SEND, _USER, own=True, own_recorded=False, programs_recorded=False)
def take_for_message(
    op: OperationContext, user: str, upload: int, folders: Sequence[str], keywords: Sequence[str], received_at: float
) -> UploadedMessage:
    """Take an upload for a message that a program may submit."""
    return uploads.add_message(op.connection, _account_id(op, user), upload, folders, keywords, received_at, op.now)


@operation("upload.messages", Privilege.MAIL_SEND, _USER, changes=False, own=True)
def uploaded_messages(op: OperationContext, user: str, messages: Sequence[int] | None = None) -> list[UploadedMessage]:
    """List messages among what a program has uploaded."""
    return uploads.messages(op.connection, _account_id(op, user), messages)


@operation("upload.note", Privilege.MAIL_SEND, _USER, own=True, own_recorded=False, programs_recorded=False)
def note_of_message(
    op: OperationContext, user: str, message: int, folders: Sequence[str], keywords: Sequence[str]
) -> None:
    """Note where an uploaded message lies, and its keywords."""
    uploads.edit_message(op.connection, _account_id(op, user), message, folders, keywords, op.now)


@operation("upload.delete", Privilege.MAIL_SEND, _USER, own=True, own_recorded=False, programs_recorded=False)
def delete_message(op: OperationContext, user: str, message: int) -> None:
    """Delete an uploaded message."""
    uploads.remove_message(op.connection, _account_id(op, user), message)


# --- submissions -----------------------------------------------------------------------------------------------------


@operation("submission.before", Privilege.MAIL_SEND, _USER, changes=False, own=True)
def submitted_before(op: OperationContext, user: str, key: str, request: bytes) -> int | None:
    """Find what was submitted when the same request came before, under the same key."""
    return _before(op, _account_id(op, user), key, request)


@operation("submission.send", Privilege.MAIL_SEND, _USER, own=True, services=("identity", "limits"))
def submit_message(op: OperationContext, user: str, identity: int, wanted: Submitting, limits: SendLimits) -> int:
    """Submit an uploaded message; returns its queue id. What was submitted under the same key is not sent again."""
    account = account_of(op, user)
    before = _before(op, account.id, wanted.key, wanted.request) if wanted.key else None
    if before is not None:
        return before
    if wanted.position not in (None, submissions.position(op.connection, account.id)):
        raise PositionPassed
    to, sender, at = wanted.recipients, wanted.reverse_path, wanted.hold_until
    put = take(op, account, identity, to, wanted.raw, limits, at, reverse_path=sender)
    send_at = put.message.waits_since
    kept = NewSubmission(identity, wanted.sender, wanted.email, sender, to, send_at)
    submissions.add(op.connection, account.id, kept)
    if wanted.key:
        answered_requests.keep(op.connection, account.id, wanted.key, wanted.request, to_text(identity), op.now)
    return identity


@operation("submission.list", Privilege.MAIL_SEND, _USER, changes=False, own=True)
def submitted_messages(
    op: OperationContext, user: str, messages: Sequence[int] | None = None
) -> list[SubmittedMessage]:
    """See what programs have submitted as a user, and what became of it."""
    return submissions.listed(op.connection, _account_id(op, user), op.now, messages)


@operation("submission.headings", Privilege.MAIL_SEND, _USER, changes=False, own=True)
def submission_headings(
    op: OperationContext, user: str, messages: Sequence[int] | None = None
) -> list[SubmissionHeading]:
    """List what programs have submitted as a user, without its recipients."""
    return submissions.headings(op.connection, _account_id(op, user), op.now, messages)


@operation("submission.position", Privilege.MAIL_SEND, _USER, changes=False, own=True)
def position(op: OperationContext, user: str) -> EventPosition:
    """See how much has happened to what programs have submitted as a user."""
    return submissions.position(op.connection, _account_id(op, user))


@operation("submission.changes", Privilege.MAIL_SEND, _USER, changes=False, own=True)
def changes_since(op: OperationContext, user: str, since: EventPosition, at_most: int) -> ChangedSubmissions | None:
    """See what has happened since to what programs have submitted as a user."""
    return submissions.changed(op.connection, _account_id(op, user), since, at_most)


@operation("submission.cancel", Privilege.MAIL_SEND, _USER, own=True)
def cancel_submission(op: OperationContext, user: str, message: int) -> None:
    """Take back what was submitted and waits for its time."""
    account_id = _account_id(op, user)
    if not any(one.may_cancel for one in submissions.headings(op.connection, account_id, op.now, [message])):
        raise NotAllowed("it can't be taken back any more: it has left")
    queue.remove(op.connection, Selection(message_id=message), op.now, RECALLED)
    submissions.cancel(op.connection, account_id, message)


@operation("submission.forget", Privilege.MAIL_SEND, _USER, own=True)
def forget_submission(op: OperationContext, user: str, message: int) -> None:
    """Forget what was submitted, whatever becomes of it."""
    submissions.forget(op.connection, _account_id(op, user), message)


def _account_id(op: OperationContext, user: str) -> int:
    return users.find(op.connection, user).id


def _before(op: OperationContext, account_id: int, key: str, request: bytes) -> int | None:
    """Raises KeyTaken."""
    try:
        before = answered_requests.find(op.connection, account_id, key, request, op.now)
    except answered_requests.KeyUsed:
        raise KeyTaken("this Idempotency-Key was used for another message; take a new key for each") from None
    return None if before is None else from_text(before)
