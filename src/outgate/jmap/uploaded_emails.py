"""Emails and their two mailboxes (RFC 8621 2, 4), in the measure that sending needs: messages among the uploads.

They are no mail store: a user's mailbox is elsewhere, and what lies here has an end. So there is Email/import, /get of
what is noted of each, and /set; Mailbox/get; and /changes that say whether anything has changed.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from outgate.api.gmail_scopes import COMPOSE, MODIFY, READONLY, SEND
from outgate.api.gmail_scopes import MAIL as ALL_MAIL
from outgate.directory.errors import NotFound
from outgate.iso_time import iso
from outgate.jmap.email_composing import NewEmail, composed
from outgate.jmap.jmap_call import JmapCall
from outgate.jmap.jmap_fault import MethodFault, SetFault, wrong_property
from outgate.jmap.jmap_limits import MAIL, MAX_IN_GET, MAX_IN_SET
from outgate.jmap.jmap_method import (
    Arguments,
    ChangesArguments,
    GetArguments,
    GivenObject,
    JmapMethod,
    ObjectSetting,
    OfAccount,
    Responses,
    SetArguments,
    Told,
    arguments,
    given_object,
    got,
    limited,
    read_after,
    refusal,
    set_objects,
    unchanged,
)
from outgate.mail.header_check import MessageFault, examine, split_message
from outgate.mail.line_ends import with_crlf
from outgate.operations import submission_operations
from outgate.queue.queue_id import to_text
from outgate.writing.uploads import TooManyUploads, UploadedMessage

MAY_WRITE: Final = (ALL_MAIL, COMPOSE, MODIFY, SEND)
MAY_READ: Final = (*MAY_WRITE, READONLY)
FOLDERS: Final = ("drafts", "sent")  # ids of the mailboxes, and their roles
_PROPERTIES: Final = ("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
_MAILBOX_PROPERTIES: Final = (
    *("id", "name", "parentId", "role", "sortOrder", "totalEmails", "unreadEmails", "totalThreads"),
    *("unreadThreads", "myRights", "isSubscribed"),
)
_KEYWORD: Final = re.compile(r"[!-~]{1,255}")
_NOT_IN_KEYWORDS: Final = re.compile(r'[(){\]%*"\\]')
_MAX_KEYWORDS: Final = 100


class ImportedEmail(GivenObject):
    """One that is to be made of a blob (RFC 8621 4.8)."""

    blob_id: str
    mailbox_ids: dict[str, bool]
    keywords: dict[str, bool] = Field(default_factory=dict)
    received_at: str | None = None


class ImportArguments(OfAccount):
    """Email/import"""

    if_in_state: str | None = None
    emails: dict[str, dict[str, Any]]


def row_of(prefix: str, identity: str) -> int:
    """The number in an id as programs have it; 0, which is nobody's, for anything else."""
    number = identity.removeprefix(prefix)
    return int(number) if identity.startswith(prefix) and re.fullmatch("[1-9][0-9]{0,15}", number) else 0


def email_id(message: int) -> str:
    """As programs name it."""
    return f"M{message}"


# --- looking ---------------------------------------------------------------------------------------------------------


def _all(call: JmapCall) -> list[UploadedMessage]:
    return _found(call, None)


def _found(call: JmapCall, messages: Sequence[int] | None) -> list[UploadedMessage]:
    with call.reading() as op:
        return submission_operations.uploaded_messages(op, call.address, messages)


def _told(message: UploadedMessage) -> Told:
    return {
        "id": email_id(message.id),
        "blobId": f"B{message.upload_id}",
        "threadId": f"T{message.id}",
        "mailboxIds": dict.fromkeys(sorted(message.folders), True),
        "keywords": dict.fromkeys(sorted(message.keywords), True),
        "size": message.size,
        "receivedAt": (iso(message.received_at) or "")[:19] + "Z",
    }


def _state(found: Sequence[UploadedMessage]) -> str:
    said = [(one.id, sorted(one.folders), sorted(one.keywords)) for one in found]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _get(call: JmapCall, given: Arguments) -> Responses:
    asked, found = arguments(call, GetArguments, given), _all(call)
    state = _state(found)
    if asked.ids is not None:
        found = _found(call, [row_of("M", call.resolved(one)) for one in asked.ids[: MAX_IN_GET + 1]])
    return [("Email/get", got(call, asked, map(_told, found), state, _PROPERTIES))]


def _changes(call: JmapCall, given: Arguments) -> Responses:
    return [("Email/changes", unchanged(call, arguments(call, ChangesArguments, given), _state(_all(call))))]


def _get_mailboxes(call: JmapCall, given: Arguments) -> Responses:
    asked, told = arguments(call, GetArguments, given), _mailboxes(_all(call))
    return [("Mailbox/get", got(call, asked, told, _mailbox_state(told), _MAILBOX_PROPERTIES))]


def _mailbox_changes(call: JmapCall, given: Arguments) -> Responses:
    asked, state = arguments(call, ChangesArguments, given), _mailbox_state(_mailboxes(_all(call)))
    return [("Mailbox/changes", unchanged(call, asked, state) | {"updatedProperties": None})]


def _mailbox_state(told: Sequence[Told]) -> str:
    return "-".join(f"{one['totalEmails']}.{one['unreadEmails']}" for one in told)


def _mailboxes(found: Sequence[UploadedMessage]) -> list[Told]:
    return [_mailbox(number, folder, found) for number, folder in enumerate(FOLDERS)]


def _mailbox(number: int, folder: str, found: Sequence[UploadedMessage]) -> Told:
    within = [one for one in found if folder in one.folders]
    unread = [one for one in within if not one.keywords & {"$seen", "$draft"}]
    rights = dict.fromkeys(("mayReadItems", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords"), True)
    none = dict.fromkeys(("mayCreateChild", "mayRename", "mayDelete"), False)
    return {
        "id": folder,
        "name": folder.title(),
        "parentId": None,
        "role": folder,
        "sortOrder": number,
        "totalEmails": len(within),
        "unreadEmails": len(unread),
        "totalThreads": len(within),
        "unreadThreads": len(unread),
        "myRights": rights | none | {"maySubmit": True},
        "isSubscribed": True,
    }


# --- making and changing ---------------------------------------------------------------------------------------------


def _import(call: JmapCall, given: Arguments) -> Responses:
    asked = arguments(call, ImportArguments, given)
    limited(list(asked.emails), MAX_IN_SET)
    before = _state(_all(call))
    if asked.if_in_state not in (None, before):
        raise MethodFault("stateMismatch")
    created, not_created = dict[str, Told](), dict[str, Told]()
    for name, value in asked.emails.items():
        try:
            created[name] = _imported(call, given_object(ImportedEmail, value))
            call.created[name] = created[name]["id"]
        except SetFault as fault:
            not_created[name] = fault.told()
        except Exception as error:
            not_created[name] = refusal(error, has_done=bool(created)).told()
    after = read_after(lambda: _state(_all(call)), before)
    told: Told = {"accountId": call.account, "oldState": before, "newState": after}
    return [("Email/import", told | {"created": created or None, "notCreated": not_created or None})]


def _imported(call: JmapCall, new: ImportedEmail) -> Told:
    folders, keywords = _folders(new.mailbox_ids), _keywords(new.keywords)
    received_at = call.services.now() if new.received_at is None else moment("receivedAt", new.received_at)
    _require_message(_blob(call, new.blob_id, "blobId"))
    upload = row_of("B", new.blob_id)
    try:
        with call.writing() as op:
            made = submission_operations.take_for_message(op, call.address, upload, folders, keywords, received_at)
    except TooManyUploads as error:
        raise SetFault("overQuota", str(error)) from None
    return _made(made)


def _require_message(content: bytes) -> None:
    """Raises SetFault unless it begins as a message does."""
    whole = with_crlf(content)
    try:
        examine(whole[: split_message(whole) or len(whole)])
    except MessageFault as fault:
        raise SetFault("invalidEmail", str(fault)) from None


def _composed(call: JmapCall, value: Mapping[str, Any]) -> Told:
    now, room = call.services.now(), call.services.config.submission.max_message_bytes

    def date(asked: NewEmail) -> float:
        return now if asked.sent_at is None else moment("sentAt", asked.sent_at)

    def read(blob: str) -> bytes:
        nonlocal room
        content = _blob(call, blob, "attachments")
        room -= len(content)
        if room < 0:
            raise SetFault("tooLarge", "its files are more than a message may have")
        return content

    made = composed(value, to_text(call.queue_ids.new(now)), date, read)
    folders, keywords = _folders(made.asked.mailbox_ids), _keywords(made.asked.keywords)
    received_at = now if made.asked.received_at is None else moment("receivedAt", made.asked.received_at)
    try:
        with call.writing() as op:
            upload = submission_operations.add_upload(op, call.address, "message/rfc822", made.raw)
            message = submission_operations.take_for_message(op, call.address, upload, folders, keywords, received_at)
    except TooManyUploads as error:
        raise SetFault("overQuota", str(error)) from None
    return _made(message)


def _made(message: UploadedMessage) -> Told:
    """What the server has set."""
    return {name: _told(message)[name] for name in ("id", "blobId", "threadId", "size")}


def _blob(call: JmapCall, blob: str, name: str) -> bytes:
    """Its content. Raises SetFault, which names the property that has it."""
    try:
        with call.reading() as op:
            return submission_operations.read_upload(op, call.address, row_of("B", blob)).content
    except NotFound as error:
        raise wrong_property(name, str(error)) from None


def set_emails(call: JmapCall, asked: SetArguments) -> Told:
    """The answer of Email/set, of a program's own call or of one that a submission implies."""

    def create(_name: str, value: Mapping[str, Any]) -> Told:
        return _composed(call, value)

    def update(identity: str, value: Mapping[str, Any]) -> Told | None:
        message = _one(call, identity)
        folders, keywords = _patched(message, value)
        with call.writing() as op:
            submission_operations.note_of_message(op, call.address, message.id, folders, keywords)
        return None

    def destroy(identity: str) -> None:
        with call.writing() as op:
            submission_operations.delete_message(op, call.address, row_of("M", identity))

    return set_objects(call, asked, ObjectSetting(create, update, destroy, lambda: _state(_all(call))))


def _set(call: JmapCall, given: Arguments) -> Responses:
    return [("Email/set", set_emails(call, arguments(call, SetArguments, given)))]


def _one(call: JmapCall, identity: str) -> UploadedMessage:
    found = _found(call, [row_of("M", identity)])
    if not found:
        raise SetFault("notFound")
    return found[0]


def _patched(message: UploadedMessage, patch: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Where it lies, and its keywords, after a patch (RFC 8620 5.3). Raises SetFault."""
    told = _told(message)
    sets: dict[str, dict[str, Any]] = {name: dict(told[name]) for name in ("mailboxIds", "keywords")}
    for path, value in patch.items():
        name, slash, key = path.partition("/")
        if name not in sets:
            raise wrong_property(name[:80], "it can't be changed")
        if slash and name in patch:
            raise SetFault("invalidPatch", f"{name} is named twice")
        if not (slash or value is None or isinstance(value, dict)):
            raise wrong_property(name, "it is an object, or null for none")
        if not slash:
            sets[name] = value or {}
        elif value is None:
            sets[name].pop(_unescaped(key), None)
        else:
            sets[name][_unescaped(key)] = value
    return _folders(sets["mailboxIds"]), _keywords(sets["keywords"])


def _unescaped(key: str) -> str:
    return key.replace("~1", "/").replace("~0", "~")


def _folders(given: Mapping[str, Any]) -> list[str]:
    if not given or any(value is not True for value in given.values()) or not set(given) <= set(FOLDERS):
        raise wrong_property("mailboxIds", f"it names at least one of {', '.join(FOLDERS)}, each with true")
    return sorted(given)


def _keywords(given: Mapping[str, Any]) -> list[str]:
    if not all(value is True and _is_keyword(name) for name, value in given.items()) or len(given) > _MAX_KEYWORDS:
        raise wrong_property("keywords", "each is a word of US-ASCII (RFC 8621 4.1.1), with true")
    return sorted({one.lower() for one in given})


def _is_keyword(name: str) -> bool:
    return bool(_KEYWORD.fullmatch(name)) and not _NOT_IN_KEYWORDS.search(name)


def moment(name: str, text: str) -> float:
    """A UTCDate in seconds since the epoch. Raises SetFault."""
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", text):
            raise ValueError
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise wrong_property(name, "it must be as in 2026-01-31T12:00:00Z") from None


METHODS: Final = (
    JmapMethod("Mailbox/get", MAIL, MAY_READ, _get_mailboxes),
    JmapMethod("Mailbox/changes", MAIL, MAY_READ, _mailbox_changes),
    JmapMethod("Email/get", MAIL, MAY_READ, _get),
    JmapMethod("Email/changes", MAIL, MAY_READ, _changes),
    JmapMethod("Email/set", MAIL, MAY_WRITE, _set),
    JmapMethod("Email/import", MAIL, MAY_WRITE, _import),
)
