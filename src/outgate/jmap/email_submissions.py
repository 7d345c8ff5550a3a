"""Submissions (RFC 8621 7): an uploaded message is sent by making one. What was made is on disk when it is answered.

Whom a message may be from, and by which way it leaves, is decided as of all mail: by its From. The identity that a
program names must be that of its From.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from math import floor
from typing import Any, Final

from outgate.api.gmail_scopes import COMPOSE, MODIFY, READONLY, SEND
from outgate.api.gmail_scopes import MAIL as ALL_MAIL
from outgate.authorise import authorise, authorise_envelope, entry_for
from outgate.directory.errors import NotAllowed, NotFound
from outgate.frozen import frozen
from outgate.iso_time import iso
from outgate.jmap import submission_envelope
from outgate.jmap.identities import identities, identity_id
from outgate.jmap.jmap_call import JmapCall
from outgate.jmap.jmap_fault import MethodFault, SetFault, wrong_property
from outgate.jmap.jmap_limits import MAX_IN_GET, MAX_IN_SET, SUBMISSION
from outgate.jmap.jmap_method import (
    Arguments,
    ChangesArguments,
    GetArguments,
    GivenObject,
    JmapMethod,
    ObjectSetting,
    Responses,
    SetArguments,
    Told,
    arguments,
    changes,
    given_object,
    got,
    limited,
    method_fault,
    read_after,
    set_objects,
)
from outgate.jmap.jmap_query import QueryArguments, found_by, queried
from outgate.jmap.submission_envelope import GivenEnvelope, SubmissionEnvelope
from outgate.jmap.uploaded_emails import email_id, moment, row_of, set_emails
from outgate.mail.header_check import CheckedHeader, MessageFault, examine, split_message
from outgate.mail.line_ends import with_crlf
from outgate.model import Account, Refused
from outgate.operations import send_as_operations, submission_operations
from outgate.operations.context import Denied
from outgate.operations.error_codes import ErrorCode, code_of, text_of
from outgate.operations.mail_operations import KeyTaken
from outgate.operations.submission_operations import PositionPassed, Submitting
from outgate.queue.queue_id import from_text, to_text
from outgate.writing.submissions import (
    EventPosition,
    RecipientOutcome,
    SubmissionHeading,
    SubmittedMessage,
    TooManyRecipients,
)

_PROPERTIES: Final = (
    *("id", "identityId", "emailId", "threadId", "envelope", "sendAt", "undoStatus", "deliveryStatus"),
    *("dsnBlobIds", "mdnBlobIds"),
)
_SET_BY_SERVER: Final = ("id", "threadId", "envelope", "sendAt", "undoStatus", "deliveryStatus")
_MAY_SEND: Final = (ALL_MAIL, COMPOSE, MODIFY, SEND)
_MAY_READ: Final = (*_MAY_SEND, READONLY)
_REPLY: Final = re.compile(r"[245]\d\d [245]\.\d{1,3}\.\d{1,3} ")
_CODE: Final = re.compile(r"([245])\d\d[ -]")


class NewEmailSubmission(GivenObject):
    """One that is asked for."""

    identity_id: str
    email_id: str
    envelope: GivenEnvelope | None = None


class SubmissionSetArguments(SetArguments):
    """EmailSubmission/set"""

    on_success_update_email: dict[str, dict[str, Any]] | None = None
    on_success_destroy_email: list[str] | None = None


# --- looking ---------------------------------------------------------------------------------------------------------


def _found(call: JmapCall, ids: Sequence[str] | None = None) -> list[SubmittedMessage]:
    """Those with these ids, else all."""
    with call.reading() as op:
        return submission_operations.submitted_messages(op, call.address, _rows(ids))


def _headings(call: JmapCall, ids: Sequence[str] | None = None) -> list[SubmissionHeading]:
    """The same, without recipients and what became of them."""
    with call.reading() as op:
        return submission_operations.submission_headings(op, call.address, _rows(ids))


def _rows(ids: Sequence[str] | None) -> list[int] | None:
    return None if ids is None else [one for one in map(_row, ids) if one]


def _row(identity: str) -> int:
    """The queue id in one of ours; 0 for anything else."""
    try:
        return from_text(identity[1:]) if identity == f"S{identity[1:].lower()}" else 0
    except ValueError:
        return 0


def _id(message: int) -> str:
    return f"S{to_text(message)}"


def _state(call: JmapCall) -> str:
    with call.reading() as op:
        return _said(submission_operations.position(op, call.address))


def _said(position: EventPosition) -> str:
    return f"{position.last}-{position.count}"


def _position(state: str) -> EventPosition | None:
    """None for what is no state."""
    match = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,9})", state)
    return match and EventPosition(int(match[1]), int(match[2]))


def _get(call: JmapCall, given: Arguments) -> Responses:
    asked = arguments(call, GetArguments, given)
    wanted = None if asked.ids is None else [call.resolved(one) for one in asked.ids[: MAX_IN_GET + 1]]
    state = _state(call)  # first: what happens now is told again
    try:
        found = _found(call, wanted)
    except TooManyRecipients:
        raise MethodFault(
            "requestTooLarge", "they have too many recipients to be told together; ask for fewer"
        ) from None
    told = got(call, asked, map(_told, found), state, _PROPERTIES)
    return [("EmailSubmission/get", told)]


def _changes(call: JmapCall, given: Arguments) -> Responses:
    asked = arguments(call, ChangesArguments, given)
    since, at_most = _position(asked.since_state), min(asked.max_changes or MAX_IN_GET, MAX_IN_GET)
    if since is None:
        raise MethodFault("cannotCalculateChanges")
    with call.reading() as op:
        found = submission_operations.changes_since(op, call.address, since, at_most)
    if found is None:
        raise MethodFault("cannotCalculateChanges")
    created, updated = map(_id, found.created), map(_id, found.updated)
    told = changes(call, asked, _said(found.position), list(created), list(updated), [], more=found.more)
    return [("EmailSubmission/changes", told)]


def _query(call: JmapCall, given: Arguments) -> Responses:
    asked, state = arguments(call, QueryArguments, given), _state(call)
    matches = found_by(asked.filter, _condition)
    found = [one for one in map(_asked_for, _headings(call)) if matches(one)]
    return [("EmailSubmission/query", queried(call, asked, found, state, _SORTED_BY))]


def _query_changes(call: JmapCall, given: Arguments) -> Responses:
    """A program asks again: what is pending becomes final without an event."""
    raise MethodFault("cannotCalculateChanges")


class SubmissionCondition(GivenObject):
    """Which submissions are asked for (RFC 8621 7.3)."""

    identity_ids: list[str] | None = None
    email_ids: list[str] | None = None
    thread_ids: list[str] | None = None
    undo_status: str | None = None
    before: str | None = None
    after: str | None = None


_SORTED_BY: Final = {"emailId": "emailId", "threadId": "threadId", "sentAt": "sendAt", "sendAt": "sendAt"}


def _condition(given: Mapping[str, object]) -> Callable[[Told], bool]:
    """What a submission must be."""
    asked = given_object(SubmissionCondition, given)
    before = None if asked.before is None else moment("before", asked.before)
    after = None if asked.after is None else moment("after", asked.after)
    identity_ids, email_ids, thread_ids = map(_set_of, (asked.identity_ids, asked.email_ids, asked.thread_ids))

    def matches(one: Told) -> bool:
        at = one["sendAt"]
        return (
            (identity_ids is None or one["identityId"] in identity_ids)
            and (email_ids is None or one["emailId"] in email_ids)
            and (thread_ids is None or one["threadId"] in thread_ids)
            and asked.undo_status in (None, one["undoStatus"])
            and (before is None or at < before)
            and (after is None or at >= after)
        )

    return matches


def _set_of(ids: Sequence[str] | None) -> frozenset[str] | None:
    return None if ids is None else frozenset(ids)


def _asked_for(one: SubmissionHeading) -> Told:
    """What a query may ask of one; times in seconds, whole ones as they are told."""
    return {
        "id": _id(one.id),
        "identityId": identity_id(one.sender),
        "emailId": email_id(one.email),
        "threadId": f"T{one.email}",
        "sendAt": floor(one.send_at),
        "undoStatus": _undo_status(one),
    }


def _undo_status(one: SubmissionHeading) -> str:
    return "canceled" if one.canceled else "pending" if one.may_cancel else "final"


def _told(one: SubmittedMessage) -> Told:
    return {
        "id": _id(one.id),
        "identityId": identity_id(one.sender),
        "emailId": email_id(one.email),
        "threadId": f"T{one.email}",
        "envelope": {
            "mailFrom": {"email": one.reverse_path, "parameters": None},
            "rcptTo": [{"email": address, "parameters": None} for address in one.recipients],
        },
        "sendAt": _date(one.send_at),
        "undoStatus": _undo_status(one),
        "deliveryStatus": {address: _status(one.outcomes.get(address)) for address in one.recipients},
        "dsnBlobIds": [],
        "mdnBlobIds": [],
    }


def _date(at: float) -> str:
    return (iso(at) or "")[:19] + "Z"


_WORDS: Final = {
    "queued": ("queued", "250 2.0.0 "),
    "delivered": ("unknown", "250 2.0.0 "),
    "bounced": ("no", "550 5.0.0 "),
}


def _status(outcome: RecipientOutcome | None) -> Told:
    """Handed over to another server is not yet delivered, says RFC 8621."""
    if outcome is None:  # the record is kept for a time
        return {"smtpReply": "250 2.0.0 no longer on record", "delivered": "unknown", "displayed": "unknown"}
    word, usual = _WORDS[outcome.kind]
    text = " ".join(outcome.said.split()) or "waits for its first attempt"
    match = _CODE.match(text)
    if match and not _REPLY.match(text):
        text = f"{text[:3]} {match[1]}.0.0 {text[4:]}"
    elif not match:
        text = ("450 4.0.0 " if outcome.kind == "queued" and outcome.said else usual) + text
    return {"smtpReply": text, "delivered": "yes" if outcome.is_local else word, "displayed": "unknown"}


# --- making ----------------------------------------------------------------------------------------------------------


@frozen
class _ReadEmail:
    """A message that is about to be submitted, as far as it is known before its transaction."""

    raw: bytes
    header: CheckedHeader
    account: Account


def _create(call: JmapCall, name: str, value: Mapping[str, Any], position: EventPosition | None) -> Told:
    new = given_object(NewEmailSubmission, value)
    key = f"{call.key} {call.number} {name}" if call.key else ""
    if (before := _before(call, key)) is not None:
        return _known_of(call, before)
    email = row_of("M", call.resolved(new.email_id))
    prepared = _prepared(call, email)
    sender = _sender(call, prepared, call.resolved(new.identity_id))
    envelope = _envelope(call, prepared, new.envelope, sender)
    wanted = Submitting(
        sender=sender,
        email=email,
        reverse_path=envelope.mail_from,
        recipients=envelope.recipients,
        raw=prepared.raw,
        hold_until=envelope.hold_until,
        key=key,
        request=call.body,
        position=position,
    )
    identity, limits = call.queue_ids.new(call.services.now()), call.services.send_limits
    try:
        with call.writing() as op:
            made = submission_operations.submit_message(op, call.address, identity, wanted, limits)
    except PositionPassed:
        raise MethodFault("stateMismatch") from None
    except Exception as error:
        raise _refused(error) from None
    return _known_of(call, made)


def _before(call: JmapCall, key: str) -> int | None:
    """What was made when this request came before: what it names may be gone, or be made anew. Raises SetFault."""
    if not key:
        return None
    try:
        with call.reading() as op:
            return submission_operations.submitted_before(op, call.address, key, call.body)
    except KeyTaken as error:
        raise _refused(error) from None


def _known_of(call: JmapCall, made: int) -> Told:
    """What the server has set of one that was made; no more than its id if it is forgotten, or can't be read now."""
    told = next(map(_told, read_after(lambda: _found(call, [_id(made)]), list[SubmittedMessage]())), {"id": _id(made)})
    return {key: told[key] for key in _SET_BY_SERVER if key in told}


def _prepared(call: JmapCall, email: int) -> _ReadEmail:
    with call.reading() as op:
        found = submission_operations.uploaded_messages(op, call.address, [email])
        if not found:
            raise wrong_property("emailId", "there is no such message, or not any more")
        content = submission_operations.read_upload(op, call.address, found[0].upload_id).content
        account = send_as_operations.account(op, call.address)
    raw, most = with_crlf(content), call.services.send_limits.message.message_bytes
    if len(raw) > most:
        raise SetFault("tooLarge", maxSize=most)
    try:
        return _ReadEmail(raw, examine(raw[: split_message(raw) or len(raw)]), account)
    except MessageFault as fault:
        raise SetFault("invalidEmail", str(fault), properties=["from"]) from None


def _sender(call: JmapCall, prepared: _ReadEmail, identity: str) -> str:
    """The address of the identity, if it is that of the message's From."""
    account, header = prepared.account, prepared.header
    known = identities(account, {})
    if identity not in known:
        raise wrong_property("identityId", "there is no such identity")
    if account.suspended:
        raise SetFault("forbiddenToSend", "the account is suspended; ask your administrator")
    verdict = authorise(account, account.primary, header.header_from, header.sender)
    if isinstance(verdict, Refused):
        raise SetFault("forbiddenFrom", verdict.reason)
    chosen, address = verdict.chosen, known[identity].entry.address
    if address not in (chosen.address, chosen.covered_by):
        raise SetFault("forbiddenFrom", f"From <{chosen.address}> is not that of the identity, <{address}>")
    return address


def _envelope(call: JmapCall, prepared: _ReadEmail, given: GivenEnvelope | None, sender: str) -> SubmissionEnvelope:
    account, header = prepared.account, prepared.header
    if given:
        max_hold = call.services.config.submission.max_hold
        envelope = submission_envelope.said(given, call.services.now(), max_hold)
        if refused := authorise_envelope(account, envelope.mail_from):
            raise SetFault("forbiddenMailFrom", refused.reason)
    else:
        entry = entry_for(account, header.sender or header.header_from[0])
        is_allowed = entry is not None and sender in (entry.address, entry.covered_by)
        allowed = account.primary if sender.startswith("*@") else sender
        envelope = submission_envelope.read_off(header, allowed, is_allowed)
    most = call.services.send_limits.message.recipients
    if not envelope.recipients:
        raise SetFault("noRecipients", "nobody stands in rcptTo, or in To, Cc and Bcc")
    if len(envelope.recipients) > most:
        raise SetFault("tooManyRecipients", maxRecipients=most)
    return envelope


_OTHER_REQUEST: Final = "this Idempotency-Key was used for another request; a repetition is the same, byte for byte"


def _refused(error: Exception) -> SetFault:
    """Why a message is not taken. Raises the error itself if it is not that."""
    text = text_of(error)
    match error:
        case KeyTaken():
            return SetFault("invalidProperties", _OTHER_REQUEST, properties=[])
        case NotFound(facts={"address": str(address)}):
            return SetFault("invalidRecipients", text, invalidRecipients=[address])
        case Denied() | NotAllowed():
            return SetFault("forbiddenToSend", text)
    if code_of(error) is ErrorCode.INVALID:
        return SetFault("invalidEmail", text, properties=[])
    raise error


# --- changing --------------------------------------------------------------------------------------------------------


def _set(call: JmapCall, given: Arguments) -> Responses:
    asked = arguments(call, SubmissionSetArguments, given)
    limited([*(asked.create or {}), *(asked.update or {}), *(asked.destroy or [])], MAX_IN_SET)
    emails, has_made = _emails(call, asked), False

    def create(name: str, value: Mapping[str, Any]) -> Told:
        nonlocal has_made
        made = _create(call, name, value, None if has_made else _position(asked.if_in_state or ""))
        email, has_made = call.resolved(str(value["emailId"])), True
        emails.update(
            {made["id"]: email}
            if row_of("M", email)
            else read_after(lambda: _emails_of(call, [made["id"]]), dict[str, str]())
        )
        return made

    def update(identity: str, value: Mapping[str, Any]) -> Told | None:
        one = _one(call, identity)
        if set(value) != {"undoStatus"} or value["undoStatus"] != "canceled":
            raise wrong_property("undoStatus", "all that can be changed is undoStatus, to canceled")
        if not one.may_cancel:
            raise SetFault("cannotUnsend", "it can't be taken back any more: it has left")
        with call.writing() as op:
            submission_operations.cancel_submission(op, call.address, one.id)
        status = _known_of(call, one.id).get("deliveryStatus")
        return status and {"deliveryStatus": status}

    def destroy(identity: str) -> None:
        with call.writing() as op:
            submission_operations.forget_submission(op, call.address, _one(call, identity).id)

    told = set_objects(call, asked, ObjectSetting(create, update, destroy, lambda: _state(call)))
    return [("EmailSubmission/set", told), *_implied(call, asked, told, emails)]


def _one(call: JmapCall, identity: str) -> SubmissionHeading:
    found = _headings(call, [identity])
    if not found:
        raise SetFault("notFound")
    return found[0]


def _emails(call: JmapCall, asked: SubmissionSetArguments) -> dict[str, str]:
    """The messages of submissions that are changed or destroyed, before they are."""
    named = [*(asked.update or {}), *(asked.destroy or [])]
    if not (asked.on_success_update_email or asked.on_success_destroy_email) or not named:
        return {}
    return _emails_of(call, [call.resolved(name) for name in named])


def _emails_of(call: JmapCall, ids: Sequence[str]) -> dict[str, str]:
    return {_id(one.id): email_id(one.email) for one in _headings(call, ids)}


def _implied(call: JmapCall, asked: SubmissionSetArguments, told: Told, emails: Mapping[str, str]) -> Responses:
    """The one Email/set that follows, of those that were made, changed or destroyed."""
    succeeded = {
        *(made["id"] for made in (told["created"] or {}).values()),
        *(told["updated"] or {}),
        *(told["destroyed"] or []),
    } & emails.keys()
    patches = {call.resolved(name): patch for name, patch in (asked.on_success_update_email or {}).items()}
    gone = [call.resolved(name) for name in asked.on_success_destroy_email or []]
    update = {emails[name]: patch for name, patch in patches.items() if name in succeeded}
    destroy = list(dict.fromkeys(emails[name] for name in gone if name in succeeded))
    if not update and not destroy:
        return []
    implied = SetArguments(account_id=call.account, update=update or None, destroy=destroy or None)
    try:
        return [("Email/set", set_emails(call, implied))]
    except Exception as error:  # what was submitted is told of all the same
        return [("error", method_fault("Email/set", error).told())]


METHODS: Final = (
    JmapMethod("EmailSubmission/get", SUBMISSION, _MAY_READ, _get),
    JmapMethod("EmailSubmission/changes", SUBMISSION, _MAY_READ, _changes),
    JmapMethod("EmailSubmission/query", SUBMISSION, _MAY_READ, _query),
    JmapMethod("EmailSubmission/queryChanges", SUBMISSION, _MAY_READ, _query_changes),
    JmapMethod("EmailSubmission/set", SUBMISSION, _MAY_SEND, _set),
)
