"""To whom a message is submitted, as whom and when (RFC 8621 7): as a program says it, or as the message does. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from outgate.frozen import frozen
from outgate.jmap.jmap_fault import SetFault, wrong_property
from outgate.jmap.jmap_method import GivenObject
from outgate.mail.addresses import AddressError, canonical, parse_mailboxes
from outgate.mail.header_check import CheckedHeader
from outgate.mail.headers import value

_TO: Final = (b"to", b"cc", b"bcc")
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class EnvelopeAddress(GivenObject):
    """An address with the parameters of MAIL or RCPT."""

    email: str
    parameters: dict[str, str | None] | None = None


class GivenEnvelope(GivenObject):
    """Who sends to whom, as a program says it."""

    mail_from: EnvelopeAddress
    rcpt_to: list[EnvelopeAddress]


@frozen
class SubmissionEnvelope:
    """Addresses in compared form, each recipient once; `hold_until` is in seconds since the epoch."""

    mail_from: str
    recipients: Sequence[str]
    hold_until: float | None = None


def said(given: GivenEnvelope, now: float, max_hold: int) -> SubmissionEnvelope:
    """What a program says. Raises SetFault."""
    for one in given.rcpt_to:
        if one.parameters:
            raise wrong_property("envelope", f"{min(one.parameters)[:40]}: a recipient has no parameters here")
    try:
        mail_from = canonical(given.mail_from.email) if given.mail_from.email else ""
    except AddressError as error:
        raise SetFault("forbiddenMailFrom", str(error)) from None
    recipients = _readable([one.email for one in given.rcpt_to])
    return SubmissionEnvelope(mail_from, recipients, _hold_until(given.mail_from.parameters or {}, now, max_hold))


def read_off(header: CheckedHeader, allowed: str, is_allowed: bool) -> SubmissionEnvelope:
    """What the message says. MAIL FROM is its Sender, else its From, unless that is not of the identity: then the
    identity's `allowed`. Raises SetFault.
    """
    sender = header.sender or header.header_from[0]
    found: list[str] = []
    try:
        for field in header.fields:
            if field.name in _TO and value(field).strip():
                found += [one.address for one in parse_mailboxes(value(field))]
    except AddressError as error:
        raise SetFault("invalidEmail", str(error), properties=["to", "cc", "bcc"]) from None
    return SubmissionEnvelope(sender if is_allowed else allowed, _readable(found))


def _readable(addresses: Sequence[str]) -> list[str]:
    found, odd = list[str](), list[str]()
    for address in addresses:
        try:
            found.append(canonical(address))
        except AddressError:
            odd.append(address[:320])
    if odd:
        raise SetFault("invalidRecipients", "not an address", invalidRecipients=odd)
    return list(dict.fromkeys(found))


def _hold_until(parameters: Mapping[str, str | None], now: float, most: int) -> float | None:
    """When it may leave (RFC 4865)."""
    named = {name.upper(): text or "" for name, text in parameters.items()}
    offered = {"HOLDFOR", "HOLDUNTIL"} if most else set()
    if odd := sorted(set(named) - offered):
        raise wrong_property("envelope", f"MAIL FROM has no parameter {odd[0][:40]} here")
    if len(named) > 1:
        raise wrong_property("envelope", "HOLDFOR and HOLDUNTIL exclude each other")
    if not named:
        return None
    until = _until(named, now)
    if until > now + most:
        raise wrong_property("envelope", f"a message may be held back for {most} seconds at most")
    return max(until, now)


def _until(named: Mapping[str, str], now: float) -> float:
    try:
        if "HOLDFOR" in named:
            if not re.fullmatch("[1-9][0-9]{0,8}", named["HOLDFOR"]):
                raise ValueError
            return now + int(named["HOLDFOR"])
        if not _DATE_TIME.fullmatch(named["HOLDUNTIL"]):
            raise ValueError
        return datetime.fromisoformat(named["HOLDUNTIL"]).timestamp()
    except (ValueError, OverflowError):
        raise wrong_property("envelope", "HOLDFOR is in seconds, HOLDUNTIL as in 2026-01-31T12:00:00Z") from None
