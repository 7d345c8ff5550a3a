"""May this account send as this From? Pure: it is handed the account as it stands and knows no table and no socket."""

from collections.abc import Sequence
from dataclasses import replace

from outgate.frozen import frozen
from outgate.mail.addresses import without_tag
from outgate.model import WHOLE_DOMAIN, Account, Refused, SendAs, UnknownFrom


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
        if refused := _unusable(account, address, "From"):
            return _rewritten(account) or refused
    chosen = entry_for(account, sender if sender and sender in header_from else header_from[0])
    assert chosen
    return Authorised(chosen)


def entry_for(account: Account, address: str) -> SendAs | None:
    """What lets an account send as an address (in compared form): its own entry; else that of the address without its
    +tag, where policy allows that and the tagged address is nobody else's; else that of the whole domain.

    What can't be used now goes before none that can, so nobody loses an address by beginning to add it.
    """
    if address.startswith(WHOLE_DOMAIN):
        return None
    own = account.send_as.get(address)
    if own and own.verified:
        return own
    found = [one for one in (own, _without_tag(account, address), _whole_domain(account, address)) if one]
    best = min(found, key=_standing, default=None)
    if best is None or best is own:
        return best
    return replace(best, address=address, covered_by=best.address, is_primary=False, is_default=False)


def _standing(entry: SendAs) -> int:
    """What can be used, what can be again by itself, what needs its code."""
    return 0 if entry.verified else 1 if entry.is_suspended else 2


def _without_tag(account: Account, address: str) -> SendAs | None:
    if not account.policy.plus_tags or address in account.others_tags:
        return None
    return account.send_as.get(without_tag(address) or "")


def _whole_domain(account: Account, address: str) -> SendAs | None:
    """Not in the organisation's own domains: what is there has its users."""
    entry = account.send_as.get(WHOLE_DOMAIN + address.rpartition("@")[2])
    return entry if entry and not entry.own_domain else None


def authorise_envelope(account: Account, reverse_path: str) -> Refused | None:
    """The part that is known at MAIL already; None if there is nothing against it."""
    if account.suspended:
        return Refused("the account {account} is suspended; ask your administrator", {"account": account.primary})
    if account.policy.unknown_from is UnknownFrom.REWRITE:
        return None  # From decides, and MAIL FROM follows it
    return _unusable(account, reverse_path, "MAIL FROM") if reverse_path else None


def refused_as(account: Account, address: str) -> Refused | None:
    """Why a message that was taken may not leave as this address (in compared form) any more; None if it may.

    Whatever becomes of an unknown From of a new message: of this one the sender's copy says whom it is from.
    """
    return _unusable(account, address, "From")


def _rewritten(account: Account) -> Authorised | None:
    """As Gmail does it, where policy says so: the default address takes the place of a From that is not one's own."""
    if account.policy.unknown_from is not UnknownFrom.REWRITE:
        return None
    default = next((entry for entry in account.send_as.values() if entry.is_default), None)
    return Authorised(default, rewrite=True) if default and default.verified else None


def _unusable(account: Account, address: str, where: str) -> Refused | None:
    entry = entry_for(account, address)
    if entry is None:
        return _tag_refused(account, address, where) or Refused(
            "{where} <{address}> is not an address of {account}; add it under 'Send mail as' (or have your"
            " administrator run: outgate sendas add) and confirm it, or send from <{account}>",
            {"where": where, "address": address, "account": account.primary},
        )
    if entry.verified:
        return None
    if entry.is_suspended:
        return Refused(
            "{where} <{address}> can't be used now: the DNS of its domain does not prove it any more; ask your"
            " administrator",
            {"where": where, "address": address},
            passes=True,
        )
    if entry.covered_by:
        return Refused(
            "{where} <{address}> is a +tag of <{base}>, which is not confirmed yet; enter the code that was mailed to"
            " that, or have it sent again",
            {"where": where, "address": address, "base": entry.covered_by},
        )
    return Refused(
        "{where} <{address}> is not confirmed yet; enter the code that was mailed to it, or have it sent again",
        {"where": where, "address": address},
    )


def _tag_refused(account: Account, address: str, where: str) -> Refused | None:
    """Why the address without the tag does not help, if that is the account's."""
    base = without_tag(address)
    if base is None or base not in account.send_as:
        return None
    facts = {"where": where, "address": address, "base": base}
    if address in account.others_tags:
        return Refused(
            "{where} <{address}> is another user's own address, though it is a +tag of <{base}>; add it under 'Send"
            " mail as' and confirm it, or send from <{base}>",
            facts,
        )
    return Refused(
        "{where} <{address}> is a +tag of <{base}>, but allowPlusTagsInFrom is off ({source}); add it under 'Send mail"
        " as' and confirm it, or send from <{base}>",
        facts | {"source": account.policy.origin("plus_tags")},
    )
