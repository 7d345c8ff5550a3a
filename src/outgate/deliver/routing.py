"""The ways of an item's recipients: those that submission has just decided, or as the directory has them now, which is
the same decision. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from outgate.authorise import entry_for, refused_as
from outgate.deliver.delivery import Delivery
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.suspension import suspended
from outgate.deliver.tls_policy import tls_of
from outgate.directory.reader import WayReading
from outgate.mail.addresses import canonical
from outgate.model import Account, Organisation, QueueKey, Refused, Restrictions, SendAs
from outgate.queue import Instruction, Item, Message, Recipient
from outgate.route import Route, Ways, own_route, route

RECIPIENTS: Final = 100  # in one transaction; every server must take that many (RFC 5321 section 4.5.3.1.8)
TOGETHER: Final = 60.0  # seconds: parts of a message that are due meet at a multiple of it

_RETURNED: Final = "returned by the administrator before it could be delivered"

_Found = tuple[Recipient, Route, str | None]  # the way, and why policy does not let it be taken, if so


def as_submitted(item: Item, ways: Ways, restrictions: Restrictions) -> list[Delivery]:
    """By the ways that submission has found; whether they still hold is asked when there is a connection."""
    found = [(one, ways.routes[one.number], None) for one in item.recipients]
    return _deliveries(item, found, ways.account, ways.version, restrictions)


def decide(item: Item, recipients: Sequence[Recipient], reading: WayReading) -> list[Delivery]:
    """By the ways that are right in this state of the directory."""
    version, account, organisation, restrictions = reading
    chosen = entry_for(account, item.message.chosen_from) if account else None
    found = []
    for recipient in recipients:
        way, refused = _instructed(organisation, account, chosen, item.message, recipient)
        found.append((_at(recipient, way.queue), way, refused))
    return _deliveries(item, found, account, version, restrictions)


def is_still(delivery: Delivery, found: Sequence[Delivery]) -> bool:
    """Whether what was found anew is the way that the delivery has."""
    return [(one.route, one.tls, one.refused) for one in found] == [(delivery.route, delivery.tls, None)]


def refusal(delivery: Delivery, now: float) -> Outcome | None:
    """Why this account may not send this any more, as authorise would say it of a new message; or why it has to wait,
    where nothing may be tried.
    """
    return _refusal(delivery) or _early(delivery.item.message, now) or _suspended(delivery, now)


def part(others_due: float, now: float) -> Outcome:
    """It came without others of its message, of whom the last is due then: together they are one request. All parts
    wait until the same moment.
    """
    reason = "4.3.2 by this interface a message goes to all its recipients at once, and others of it wait"
    together = (now // TOGETHER + 1) * TOGETHER
    return Outcome(Verdict.RETRY, reason, again=others_due if others_due > now else together, untried=True)


def _suspended(delivery: Delivery, now: float) -> Outcome | None:
    if not delivery.restrictions:
        return None
    return suspended(delivery.restrictions, now, is_users=delivery.route.is_by_own_gateway)


def _early(message: Message, now: float) -> Outcome | None:
    """Whoever has made it due: before its time it is not handed over (RFC 4865)."""
    if message.not_before is None or now >= message.not_before:
        return None
    reason = "4.3.2 the sender lets it leave later"
    return Outcome(Verdict.RETRY, reason, again=message.not_before, untried=True)


def _refusal(delivery: Delivery) -> Outcome | None:
    message, account = delivery.item.message, delivery.account
    if delivery.refused:
        return Outcome(Verdict.FAILED, f"5.7.1 {delivery.refused}")
    if message.account_id is None:
        return None
    if account is None:
        return Outcome(Verdict.FAILED, "5.7.1 the sender's account was deleted")
    if account.suspended:
        return Outcome(Verdict.RETRY, "4.7.1 the sender's account is suspended")
    refused = refused_as(account, message.chosen_from)
    if refused is None:
        return None
    if refused.passes:
        return Outcome(Verdict.RETRY, f"4.7.1 {refused.reason}")
    return Outcome(Verdict.FAILED, f"5.7.1 {refused.reason}")


def _deliveries(
    item: Item, found: Sequence[_Found], account: Account | None, version: int, restrictions: Restrictions
) -> list[Delivery]:
    """One delivery for each way, and for each 100 recipients of it; for all of them where the header names them."""
    return [
        Delivery(
            item,
            together[start : start + most],
            way,
            account,
            version,
            tls_of(way),
            refused,
            restrictions.of(way.queue),
        )
        for together, way, refused in _by_way(found)
        for most in (_most(way, len(together)),)
        for start in range(0, len(together), most)
    ]


def _most(way: Route, count: int) -> int:
    """Recipients of one transaction. A provider's interface takes a message for all whom its header names."""
    return RECIPIENTS if way.gateway is None or way.gateway.is_smtp else count


def _by_way(found: Sequence[_Found]) -> list[tuple[tuple[Recipient, ...], Route, str | None]]:
    if len(found) == 1:  # nearly always
        recipient, way, refused = found[0]
        return [((recipient,), way, refused)]
    by_way: dict[tuple[Route, str | None], list[Recipient]] = {}
    for recipient, way, refused in found:
        by_way.setdefault((way, refused), []).append(recipient)
    return [(tuple(together), way, refused) for (way, refused), together in by_way.items()]


def _instructed(
    organisation: Organisation, account: Account | None, chosen: SendAs | None, message: Message, recipient: Recipient
) -> tuple[Route, str | None]:
    """As an administrator wants it for this recipient, if one has said so: never by somebody else's gateway."""
    if recipient.instruction is Instruction.RETURN:
        return _way(organisation, account, chosen, message, recipient)[0], _RETURNED
    if recipient.instruction is not None and chosen is not None:
        chosen = replace(chosen, gateway=None, common_gateway=None)
    if recipient.instruction is Instruction.DIRECT:
        organisation = replace(organisation, domain_gateway=None, gateways_of_domains={})
    return _way(organisation, account, chosen, message, recipient)


def _way(
    organisation: Organisation, account: Account | None, chosen: SendAs | None, message: Message, recipient: Recipient
) -> tuple[Route, str | None]:
    """The recipient's way, and why policy does not let it be taken, if so."""
    address = canonical(recipient.address)
    way = route(organisation, account, chosen, address, reverse_path=message.reverse_path)
    if isinstance(way, Refused):
        return own_route(organisation, address, message.reverse_path), way.reason
    return way, None


def _at(recipient: Recipient, queue: QueueKey) -> Recipient:
    return recipient if recipient.queue == queue else replace(recipient, queue=queue)
