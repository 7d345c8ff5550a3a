"""May this account send as this From? Pure: it is handed the account as it stands and knows no table and no socket."""

from collections.abc import Sequence
from dataclasses import replace

from outgate.frozen import frozen
from outgate.mail.addresses import without_tag
from outgate.model import Account, Refused, SendAs, UnknownFrom


@frozen
class Authorised:
    """The From address that decides the route. `rewrite` says that From must be replaced by it."""

    chosen: SendAs
    rewrite: bool = False


def authorise(
    account: Account, reverse_path: str, header_from: Sequence[str], sender: str | None = None
) -> Authorised | Refused:
    """Decide whether `account` may send with this MAIL FROM and these From addresses (all in compared form).

    Several From addresses must all be the account's; the one that Sender names, else the first, decides the route
    (RFC 5322 section 3.6.2). An empty MAIL FROM is allowed: the account is known from its log-in.
    """
    if refused := authorise_envelope(account, reverse_path):
        return refused
    if not header_from:
        return Refused("the message has no From address; set From to one of your own addresses")
    for address in header_from:
        if reason := _unusable(account, address, "From"):
            return _rewritten(account) or Refused(reason)
    chosen = entry_for(account, sender if sender and sender in header_from else header_from[0])
    assert chosen
    return Authorised(chosen)


def entry_for(account: Account, address: str) -> SendAs | None:
    """What lets an account send as an address (in compared form): its own entry, else that of the address without its
    +tag, where policy allows that and the tagged address is nobody else's.
    """
    entry = account.send_as.get(address)
    if entry is None and account.policy.plus_tags and address not in account.others_tags:
        base = account.send_as.get(without_tag(address) or "")
        return base and replace(base, address=address, tag_of=base.address, is_primary=False, is_default=False)
    return entry


def authorise_envelope(account: Account, reverse_path: str) -> Refused | None:
    """The part that is known at MAIL already; None if there is nothing against it."""
    if account.suspended:
        return Refused(f"the account {account.primary} is suspended; ask your administrator")
    if account.policy.unknown_from is UnknownFrom.REWRITE:
        return None  # From decides, and MAIL FROM follows it
    if reverse_path and (reason := _unusable(account, reverse_path, "MAIL FROM")):
        return Refused(reason)
    return None


def _rewritten(account: Account) -> Authorised | None:
    """As Gmail does it, where policy says so: the default address takes the place of a From that is not one's own."""
    if account.policy.unknown_from is not UnknownFrom.REWRITE:
        return None
    default = next((entry for entry in account.send_as.values() if entry.is_default), None)
    return Authorised(default, rewrite=True) if default and default.verified else None


def _unusable(account: Account, address: str, where: str) -> str | None:
    entry = entry_for(account, address)
    if entry is None:
        return (
            f"{where} <{address}> is not an address of {account.primary}{_untagged(account, address)}; add it under"
            " 'Send mail as' (or have your administrator run: outgate sendas add) and confirm it, or send from"
            f" <{account.primary}>"
        )
    if not entry.verified:
        pending = f"a +tag of <{entry.tag_of}>, which is not" if entry.tag_of else "not"
        return (
            f"{where} <{address}> is {pending} confirmed yet; enter the code that was mailed to it, or have it sent"
            " again"
        )
    return None


def _untagged(account: Account, address: str) -> str:
    """Why the address without the tag, if that is the account's, does not help."""
    base = without_tag(address)
    if base is None or base not in account.send_as:
        return ""
    if address in account.others_tags:
        return f" (a +tag of <{base}>, but another user's own)"
    return f" (a +tag of <{base}>, but allowPlusTagsInFrom is off: {account.policy.source('plus_tags')})"
