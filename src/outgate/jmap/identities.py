"""Identities (RFC 8621 6): the From addresses that a user may send from now. One that must still be proven is none.

A signature is kept as HTML alone: its text is what that says, and a text that is set becomes HTML.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from outgate.api.gmail_scopes import MAIL as ALL_MAIL
from outgate.api.gmail_scopes import MODIFY, READONLY, SETTINGS_BASIC, SETTINGS_SHARING
from outgate.directory.change import compared
from outgate.frozen import frozen
from outgate.jmap.jmap_call import JmapCall
from outgate.jmap.jmap_fault import SetFault, wrong_property
from outgate.jmap.jmap_limits import SUBMISSION
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
    read_after,
    set_objects,
)
from outgate.mailbox.html_text import text_of
from outgate.model import Account, SendAs
from outgate.operations import send_as_operations
from outgate.operations.send_as_operations import WrittenSignature

_PROPERTIES: Final = ("id", "name", "email", "replyTo", "bcc", "textSignature", "htmlSignature", "mayDelete")
_MAY_READ: Final = (ALL_MAIL, MODIFY, READONLY, SETTINGS_BASIC, SETTINGS_SHARING)
_MAY_CHANGE: Final = (SETTINGS_BASIC, SETTINGS_SHARING)
_ID_BYTES: Final = 12
_DIGEST_BYTES: Final = 6


class EmailAddress(GivenObject):
    """A mailbox, as JMAP has it (RFC 8621 4.1.2.3)."""

    name: str | None = None
    email: str


class IdentityPatch(GivenObject):
    """What of an identity is to be changed."""

    name: str | None = None
    reply_to: list[EmailAddress] | None = None
    bcc: list[EmailAddress] | None = None
    text_signature: str | None = None
    html_signature: str | None = None


class NewIdentity(IdentityPatch):
    """One that is asked for."""

    email: str


@frozen
class Identity:
    """One address that may be sent from, with its signature."""

    entry: SendAs
    told: Told

    @property
    def id(self) -> str:
        """As programs name it: of the address, so it is the same for as long as that is the user's."""
        return identity_id(self.entry.address)


def identity_id(address: str) -> str:
    """The id of an identity with this address."""
    return "I" + _short(address, _ID_BYTES)


def identities(account: Account, signatures: Mapping[str, str]) -> dict[str, Identity]:
    """Those of an account, by id."""
    usable = [one for one in account.send_as.values() if one.verified or one.is_primary]
    found = [Identity(one, _told(one, account, signatures.get(one.address, ""))) for one in usable]
    return {one.id: one for one in found}


def _told(entry: SendAs, account: Account, signature: str) -> Told:
    return {
        "id": identity_id(entry.address),
        "name": entry.display_name or account.name,
        "email": entry.address,
        "replyTo": [{"name": None, "email": entry.reply_to}] if entry.reply_to else None,
        "bcc": None,
        "textSignature": text_of(signature) if signature else "",
        "htmlSignature": signature,
        "mayDelete": not entry.is_primary,
    }


def _of_user(call: JmapCall) -> dict[str, Identity]:
    with call.reading() as op:
        account = send_as_operations.account(op, call.address)
        return identities(account, send_as_operations.signatures(op, call.address))


# --- looking ---------------------------------------------------------------------------------------------------------


def _get(call: JmapCall, given: Arguments) -> Responses:
    asked, found = arguments(call, GetArguments, given), _of_user(call)
    return [("Identity/get", got(call, asked, [one.told for one in found.values()], _state(found), _PROPERTIES))]


def _changes(call: JmapCall, given: Arguments) -> Responses:
    asked, found = arguments(call, ChangesArguments, given), _of_user(call)
    before, now = _read_state(asked.since_state), _read_state(_state(found))
    created = [one for one in now if one not in before]
    updated = [one for one in now if one in before and now[one] != before[one]]
    destroyed = [one for one in before if one not in now]
    changed = [*created, *updated, *destroyed]
    told = changed[: asked.max_changes]
    if len(told) < len(changed):  # the state in which no others have changed yet
        now = {one: now[one] for one in now if one not in changed or one in told} | {
            one: before[one] for one in before if one in changed and one not in told
        }
    kinds = ([one for one in kind if one in told] for kind in (created, updated, destroyed))
    state = ".".join(sorted(one + digest for one, digest in now.items()))
    return [("Identity/changes", changes(call, asked, state, *kinds, more=len(told) < len(changed)))]


def _state(found: Mapping[str, Identity]) -> str:
    """Each identity's digest: so a state says by itself what was there, and nothing of it need be kept."""
    parts = [one.id + _short(repr(sorted(one.told.items())), _DIGEST_BYTES) for one in found.values()]
    return ".".join(sorted(parts))


def _read_state(state: str) -> dict[str, str]:
    """Digests by id; of what was no state of ours, nothing."""
    cut = len(identity_id(""))
    return {part[:cut]: part[cut:] for part in state.split(".") if len(part) > cut}


def _short(text: str, size: int) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:size]).decode()


# --- changing --------------------------------------------------------------------------------------------------------


def _set(call: JmapCall, given: Arguments) -> Responses:
    asked, found = arguments(call, SetArguments, given), _of_user(call)

    def create(_name: str, value: Mapping[str, Any]) -> Told:
        return _refuse_new(given_object(NewIdentity, value), found)

    def update(identity: str, value: Mapping[str, Any]) -> Told | None:
        return _update(call, _one(call, found, identity), value)

    def destroy(identity: str) -> None:
        entry = _one(call, found, identity).entry
        if entry.is_primary:
            raise SetFault("forbidden", "the primary address can't be deleted")
        with call.writing() as op:
            send_as_operations.remove(op, call.address, entry.address)

    how = ObjectSetting(create, update, destroy, lambda: _state(_of_user(call)))
    return [("Identity/set", set_objects(call, asked, how))]


def _one(call: JmapCall, found: Mapping[str, Identity], identity: str) -> Identity:
    if identity not in found:
        raise SetFault("notFound")
    if not found[identity].entry.is_primary and not call.has_scope(SETTINGS_SHARING):
        raise SetFault("forbidden", f"of addresses other than the primary one this needs the scope {SETTINGS_SHARING}")
    return found[identity]


def _refuse_new(new: NewIdentity, found: Mapping[str, Identity]) -> Told:
    """An address is an identity once it is proven, and then by itself."""
    identity = identity_id(compared(new.email))
    if identity in found:
        raise SetFault("alreadyExists", "an address is one identity; change that", existingId=identity)
    raise SetFault(
        "forbiddenFrom",
        "this address is not confirmed as the user's own; add it under Settings > Accounts, or by sendAs.create of the"
        " Gmail API: it is an identity once it is confirmed",
        properties=["email"],
    )


def _update(call: JmapCall, identity: Identity, value: Mapping[str, Any]) -> Told | None:
    """Returns what is now otherwise than it was given."""
    if odd := sorted(set(value) - {"name", "replyTo", "bcc", "textSignature", "htmlSignature"}):
        raise wrong_property(odd[0][:80], "it can't be changed")
    patch = given_object(IdentityPatch, value)
    if patch.bcc:
        raise wrong_property("bcc", "no Bcc is kept of an address; add it to each message")
    reply_to, signature, address = _reply_to(value, patch), _signature(value, patch), identity.entry.address
    with call.writing() as op:
        send_as_operations.edit(
            op,
            call.address,
            address,
            display_name=(patch.name or "") if "name" in value else None,
            reply_to=reply_to,
        )
        if signature is not None:
            send_as_operations.set_signature(op, call.address, address, signature)
    now = read_after(lambda: _of_user(call)[identity.id].told, Told())
    changed = {name: told for name, told in now.items() if told != value.get(name, identity.told[name])}
    return changed or None


def _reply_to(value: Mapping[str, Any], patch: IdentityPatch) -> str | None:
    """None to leave it as it is."""
    if "replyTo" not in value:
        return None
    wanted: Sequence[EmailAddress] = patch.reply_to or ()
    if len(wanted) > 1:
        raise wrong_property("replyTo", "one address is kept")
    return wanted[0].email if wanted else ""


def _signature(value: Mapping[str, Any], patch: IdentityPatch) -> WrittenSignature | None:
    """HTML counts where both are given; None to leave it as it is. Raises Invalid."""
    if "htmlSignature" in value:
        return WrittenSignature.of(patch.html_signature or "")
    if "textSignature" not in value:
        return None
    lines = escape(patch.text_signature or "", quote=False).splitlines()
    return WrittenSignature.of("<br>".join(lines))


METHODS: Final = (
    JmapMethod("Identity/get", SUBMISSION, _MAY_READ, _get),
    JmapMethod("Identity/changes", SUBMISSION, _MAY_READ, _changes),
    JmapMethod("Identity/set", SUBMISSION, _MAY_CHANGE, _set),
)
