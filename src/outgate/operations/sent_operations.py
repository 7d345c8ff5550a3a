"""Operations on what users send from the pages: sending a draft, taking it back, what became of it, and what to do
where somebody has not got it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import select

from outgate.authorise import entry_for
from outgate.directory import users
from outgate.directory.accounts import load_organisation
from outgate.directory.errors import Invalid, NotAllowed, NotFound
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.mail.addresses import ascii_form, canonical
from outgate.mail.header_rewrite import made_message_id
from outgate.model import Refused
from outgate.operations import targets
from outgate.operations.account_lookup import account_of, entry_of, require_mailbox
from outgate.operations.context import OperationContext
from outgate.operations.draft_message import composed, mailboxes, with_bcc
from outgate.operations.mail_operations import SendLimits, take
from outgate.operations.operation import operation
from outgate.queue import admin as queue
from outgate.queue.admin import Selection, WaitState
from outgate.queue.entry import Instruction
from outgate.queue.queue_id import QueueIds, to_text
from outgate.record import message_log
from outgate.record.events import MessageEvent
from outgate.route import refuses_past_gateway, route
from outgate.store.tables import message
from outgate.writing import drafts, sent_messages
from outgate.writing.sent_messages import SentMessage, SentState

RECALLED: Final = "taken back by its sender before it left"
GIVEN_UP: Final = "given up by its sender"
MOST_AHEAD: Final = 366 * 86400.0  # seconds that a message may wait for its time


@frozen
class Dispatch:
    """What sending needs of the installation; a message can be taken back for `undo_seconds`."""

    limits: SendLimits
    hostname: str
    undo_seconds: float


@operation(
    "mail.write", Privilege.MAIL_SEND, targets.user("user"), own=True, own_recorded=False, services=("dispatch",)
)
def send_draft(op: OperationContext, user: str, draft: int, dispatch: Dispatch, at: float = 0.0) -> int:
    """Send a draft, at once or at a time; returns the message's queue id. Sent twice, it is one message."""
    account = account_of(op, user)
    found = drafts.find(op.connection, account.id, draft)
    if found.sent_as is not None:
        return found.sent_as
    if at > op.now + MOST_AHEAD:
        raise Invalid("a message can wait for a year at most; choose an earlier time")
    entry, content = entry_of(account, found.content.sender), found.content
    to, cc, bcc = (mailboxes(text) for text in (content.to, content.cc, content.bcc))
    recipients = [ascii_form(one.address) or one.address for one in (*to, *cc, *bcc)]
    if not recipients:
        raise Invalid("add a recipient first: nobody stands in To, Cc or Bcc")
    date = max(at, op.now)
    identity = QueueIds().new(op.now)
    raw = composed(
        content,
        entry,
        account.name,
        (to, cc),
        drafts.attached(op.connection, draft),
        date=date,
        message_id=made_message_id(to_text(identity), entry.address).strip("<>"),
    )
    hold_until = max(at, op.now + dispatch.undo_seconds) if at or dispatch.undo_seconds else None
    take(op, account, identity, recipients, raw, dispatch.limits, hold_until)
    drafts.mark_sent(op.connection, draft, identity)
    name = f"{int(op.now)}.{to_text(identity)}.{dispatch.hostname}"
    sent = SentMessage(
        id=identity,
        sender=entry.address,
        recipients=", ".join(one.display_name or one.address for one in (*to, *cc, *bcc)),
        subject=content.subject,
        rfc822_message_id=made_message_id(to_text(identity), entry.address),
        sent_at=date,
        file_name=name,
        is_filed=False,
        not_filed="",
        is_open=True,
    )
    sent_messages.add(op.connection, account.id, sent, with_bcc(raw, bcc), hold_until or op.now)
    return identity


@operation("mail.recall", Privilege.MAIL_SEND, targets.user("user"), own=True, own_recorded=False)
def recall(op: OperationContext, user: str, message_id: int) -> int:
    """Take a message back that may not leave yet; it is a draft again, whose id is returned."""
    _own(op, user, message_id)
    wanted = select(message.c.id).where(message.c.id == message_id, message.c.not_before > op.now)
    if op.connection.scalar(wanted) is None:
        raise NotAllowed("it can't be taken back any more: it has left")
    queue.remove(op.connection, Selection(message_id=message_id), op.now, RECALLED)
    sent_messages.remove(op.connection, message_id)
    draft = drafts.reopen(op.connection, message_id)
    assert draft is not None, "a draft is kept until its message may leave"
    return draft


@operation("sent.list", Privilege.MAIL_SEND, targets.user("user"), changes=False, own=True)
def list_sent(op: OperationContext, user: str, limit: int, before: int | None = None) -> Sequence[SentMessage]:
    """List what a user has sent from the pages."""
    return sent_messages.listed(op.connection, users.find(op.connection, user).id, op.now, limit, before)


@operation("sent.trouble", Privilege.MAIL_SEND, targets.user("user"), changes=False, own=True)
def in_trouble(op: OperationContext, user: str, limit: int = 20) -> Sequence[SentMessage]:
    """See what a user has sent and somebody has not got."""
    return sent_messages.in_trouble(op.connection, users.find(op.connection, user).id, op.now, limit)


@frozen
class SentDetails:
    """A message, its events, and its copy if that is not in the Sent mailbox yet."""

    sent: SentMessage
    events: Sequence[MessageEvent]
    raw: bytes | None


@operation("sent.show", Privilege.MAIL_SEND, targets.user("user"), changes=False, own=True)
def show_sent(op: OperationContext, user: str, message_id: int) -> SentDetails:
    """See what became of a message that a user has sent from the pages."""
    found = _own(op, user, message_id)
    events = message_log.history(op.connection, message_id)
    return SentDetails(found, events, sent_messages.raw_of(op.connection, message_id))


@operation("sent.retry", Privilege.MAIL_SEND, targets.user("user"), own=True, own_recorded=False)
def retry_sent(op: OperationContext, user: str, message_id: int) -> int:
    """Try a message at once that waits after a failure; returns the number of recipients."""
    _own(op, user, message_id)
    return queue.retry(op.connection, Selection(message_id=message_id), op.now)


@operation(
    "sent.again", Privilege.MAIL_SEND, targets.user("user"), own=True, own_recorded=False, services=("dispatch",)
)
def send_again(op: OperationContext, user: str, message_id: int, raw: bytes, dispatch: Dispatch) -> int:
    """Send a message once more to those for whom it has failed; returns its new queue id. `raw` is its copy."""
    found = _own(op, user, message_id)
    if found.is_waiting:
        raise NotAllowed("others are still to get it: send it again when it is settled who has not got it")
    if not found.failed or not found.is_open:
        raise NotAllowed("there is nobody to send it to again")
    account, identity = account_of(op, user), QueueIds().new(op.now)
    take(op, account, identity, found.failed, raw, dispatch.limits)
    again = SentMessage(
        id=identity,
        sender=found.sender,
        recipients=", ".join(found.failed),
        subject=found.subject,
        rfc822_message_id=found.rfc822_message_id,
        sent_at=op.now,
        file_name=found.file_name,
        is_filed=True,
        not_filed="",
        is_open=True,
    )
    # Where the copy is kept here alone, it goes with the message: it may have to be sent once more.
    sent_messages.add(op.connection, account.id, again, raw if found.has_copy else None, op.now)
    sent_messages.close(op.connection, message_id)
    return identity


@operation("sent.past-gateway", Privilege.MAIL_SEND, targets.user("user"), own=True)
def send_past_gateway(op: OperationContext, user: str, message_id: int) -> int:
    """Let the organisation's servers deliver a message that waits for its address's own server.

    Returns the number of recipients. Raises NotAllowed: policy must let them, and nothing that an administrator has
    said of the message is changed.
    """
    found, account = _own(op, user, message_id), account_of(op, user)
    entry = entry_for(account, found.sender) or entry_of(account, found.sender)  # which says why not
    if refused := refuses_past_gateway(account, entry):
        raise NotAllowed(refused.text, **refused.facts)
    of_message = Selection(message_id=message_id)
    if queue.matching(op.connection, replace(of_message, state=WaitState.HELD)):
        raise NotAllowed("your administrator holds this message back; ask why")
    if queue.instructions(op.connection, of_message) - {Instruction.ORGANISATION}:
        raise NotAllowed("your administrator has settled where this message goes; ask why")
    moved = queue.instruct(op.connection, of_message, Instruction.ORGANISATION, op.now, op.actor.name)
    if not moved:
        raise NotAllowed("its own server is taking it just now, or nobody waits for it; look again in a moment")
    op.note(message=to_text(message_id), address=entry.address, recipients=moved)
    return moved


@operation("sent.give-up", Privilege.MAIL_SEND, targets.user("user"), own=True, own_recorded=False)
def give_up(op: OperationContext, user: str, message_id: int) -> None:
    """Let a message go to nobody any more who has not got it, and speak of it no more."""
    if _own(op, user, message_id).state is SentState.EARLY:
        raise NotAllowed("it has not left yet: take it back instead")
    queue.remove(op.connection, Selection(message_id=message_id), op.now, GIVEN_UP)
    sent_messages.close(op.connection, message_id)


@operation("mail.check", Privilege.MAIL_SEND, targets.user("user"), changes=False, own=True, services=("limits",))
def check_recipients(op: OperationContext, user: str, sender: str, text: str, limits: SendLimits) -> int:
    """See whether what stands in To, Cc or Bcc can be sent to; returns how many it is."""
    account, organisation = account_of(op, user), load_organisation(op.connection)
    entry = entry_of(account, sender)
    found = mailboxes(text)
    for one in found:
        if limits.local_mailboxes:
            require_mailbox(op, organisation, one.address)
        way = route(organisation, account, entry, canonical(one.address), reverse_path=account.primary)
        if isinstance(way, Refused):
            raise NotAllowed(way.text, **way.facts)
    return len(found)


def _own(op: OperationContext, user: str, message_id: int) -> SentMessage:
    found = sent_messages.find(op.connection, users.find(op.connection, user).id, message_id, op.now)
    if found is None:
        raise NotFound("there is no such message among those that you have sent here")
    return found
