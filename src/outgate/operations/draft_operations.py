"""Operations on drafts: what users write on the pages, before it is sent."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Self

from outgate.directory import users
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.mail.compose import AttachedFile
from outgate.mailbox.clean_html import written
from outgate.operations import targets
from outgate.operations.account_lookup import account_of, entry_of
from outgate.operations.context import OperationContext
from outgate.operations.draft_message import unfinished
from outgate.operations.operation import operation
from outgate.writing import drafts
from outgate.writing.drafts import Draft, DraftContent, DraftSummary

_BASE64: Final = 0.72  # of a message's bytes are a file's: base64 takes 4 for 3, and a line end for every 57


@frozen
class WrittenDraft:
    """What was typed, fit to be kept. It is made before the transaction: cleaning HTML of many tags takes a second, in
    which nobody's message could be accepted.
    """

    content: DraftContent

    @classmethod
    def of(cls, typed: DraftContent) -> Self:
        """Of what was typed. Raises Invalid."""
        drafts.check(typed)
        return cls(replace(typed, html=written(typed.html)))


@operation("draft.list", Privilege.MAIL_SEND, targets.user("user"), changes=False, own=True)
def list_drafts(op: OperationContext, user: str) -> Sequence[DraftSummary]:
    """List a user's drafts."""
    return drafts.listed(op.connection, users.find(op.connection, user).id)


@operation("draft.show", Privilege.MAIL_SEND, targets.user("user"), changes=False, own=True)
def show_draft(op: OperationContext, user: str, draft: int) -> Draft:
    """Read a user's draft."""
    return drafts.find(op.connection, users.find(op.connection, user).id, draft)


@operation("draft.raw", Privilege.MAIL_SEND, targets.user("user"), changes=False, own=True)
def draft_as_message(op: OperationContext, user: str, draft: int) -> bytes:
    """Read a user's draft as the message that it is so far."""
    account = account_of(op, user)
    found = drafts.find(op.connection, account.id, draft)
    return unfinished(account, found, drafts.attached(op.connection, draft))


@operation("draft.save", Privilege.MAIL_SEND, targets.user("user"), own=True, own_recorded=False)
def save_draft(op: OperationContext, user: str, draft: int | None, wanted: WrittenDraft) -> int:
    """Keep what a user is writing."""
    account = account_of(op, user)
    entry_of(account, wanted.content.sender)
    return drafts.save(op.connection, account.id, draft, wanted.content, op.now)


@operation(
    "draft.attach",
    Privilege.MAIL_SEND,
    targets.user("user"),
    own=True,
    own_recorded=False,
    services=("max_message_bytes",),
)
def attach_file(op: OperationContext, user: str, draft: int, file: AttachedFile, max_message_bytes: int) -> None:
    """Attach a file to a draft."""
    room = int(max_message_bytes * _BASE64)
    drafts.add_file(op.connection, users.find(op.connection, user).id, draft, file, room)


@operation("draft.detach", Privilege.MAIL_SEND, targets.user("user"), own=True, own_recorded=False)
def detach_file(op: OperationContext, user: str, draft: int, file: int) -> None:
    """Take a file out of a draft."""
    drafts.remove_file(op.connection, users.find(op.connection, user).id, draft, file)


@operation("draft.delete", Privilege.MAIL_SEND, targets.user("user"), own=True, own_recorded=False)
def delete_draft(op: OperationContext, user: str, draft: int) -> None:
    """Throw a draft away."""
    drafts.remove(op.connection, users.find(op.connection, user).id, draft)
