"""Operations on mail itself: sending as a user."""

from collections.abc import Sequence

from outgate.directory import users
from outgate.directory.accounts import load, load_organisation
from outgate.directory.errors import DirectoryError, Invalid, NotAllowed
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.model import Account, Phrase
from outgate.operations import targets
from outgate.operations.account_lookup import require_mailbox
from outgate.operations.context import Counted, OperationContext
from outgate.operations.operation import operation
from outgate.queue import Put
from outgate.queue.queue_id import to_text
from outgate.store import answered_requests
from outgate.submit import MessageLimits, Refusal, RefusalReason, submit, whole_message

_AT_FAULT = (RefusalReason.MALFORMED, RefusalReason.TOO_LARGE, RefusalReason.LOOP)


class TooMuchMail(NotAllowed):
    """More recipients or messages than the account may have, in one message or in a day."""


@frozen
class SendLimits:
    """What sending needs of the configuration. `local_mailboxes` says that an address in the organisation's own domains
    must be somebody's."""

    message: MessageLimits
    local_mailboxes: bool


@operation("mail.send", Privilege.MAIL_SEND, targets.user("user"), own=True, services=("identity", "limits"))
def send(
    op: OperationContext, user: str, identity: int, recipients: Sequence[str], raw: bytes, limits: SendLimits
) -> Put:
    """Send a message as a user."""
    return take(op, _sender(op, user), identity, recipients, raw, limits)


def take(
    op: OperationContext,
    account: Account,
    identity: int,
    recipients: Sequence[str],
    raw: bytes,
    limits: SendLimits,
    hold_until: float | None = None,
    reverse_path: str | None = None,
) -> Put:
    """What an operation that sends does with a whole message: the one way in; without a reverse path it is the
    account's. Raises DirectoryError, and Counted for what is on record as refused.
    """
    organisation = load_organisation(op.connection)
    submission = whole_message(
        identity,
        op.now,
        account,
        raw,
        reverse_path=account.primary if reverse_path is None else reverse_path,
        recipients=recipients,
        limits=limits.message,
        hold_until=hold_until,
    )
    if isinstance(submission, Refusal):
        raise _error(submission)
    if limits.local_mailboxes:
        for address in recipients:
            require_mailbox(op, organisation, address)
    outcome = submit(op.connection, submission, organisation, limits.message)
    if isinstance(outcome, Refusal):
        op.note(message=to_text(identity))
        raise Counted(_error(outcome))
    op.note(message=to_text(identity), sender=outcome.message.chosen_from)
    return outcome


class KeyTaken(Invalid):
    """The key of a request that may be repeated names another one already."""


def send_once(
    op: OperationContext,
    user: str,
    key: str,
    identity: int,
    recipients: Sequence[str],
    raw: bytes,
    limits: SendLimits,
) -> str:
    """Send a message unless that was done already under this key; returns its queue id as text. Raises KeyTaken.

    Without a key it is sent whatever was sent before.
    """
    account = _sender(op, user)
    try:
        before = answered_requests.find(op.connection, account.id, key, raw, op.now) if key else None
    except answered_requests.KeyUsed:
        raise KeyTaken("this Idempotency-Key was used for another message; take a new key for each") from None
    if before is not None:
        send.require(op, user, identity, recipients, raw, limits)
        return before
    sent = to_text(send(op, user, identity, recipients, raw, limits).message.id)
    if key:
        answered_requests.keep(op.connection, account.id, key, raw, sent, op.now)
    return sent


def _sender(op: OperationContext, user: str) -> Account:
    account = load(op.connection, users.find(op.connection, user).id)
    assert account, "the operation has found its target"
    return account


def _error(refusal: Refusal) -> DirectoryError:
    too_much, at_fault = refusal.reason is RefusalReason.TOO_MANY, refusal.reason in _AT_FAULT
    kind, words = TooMuchMail if too_much else Invalid if at_fault else NotAllowed, refusal.words
    return kind(words.text, **words.facts) if isinstance(words, Phrase) else kind(words)
