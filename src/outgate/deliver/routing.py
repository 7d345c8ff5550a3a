"""The ways of a claimed item's recipients, as the directory has them now: the same decision as at submission. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from outgate.authorise import authorise
from outgate.deliver.delivery import Delivery
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.suspension import suspended
from outgate.deliver.tls_policy import tls_of
from outgate.directory.reader import WayReading
from outgate.mail.addresses import canonical
from outgate.model import Account, Organisation, QueueKey, Refused, SendAs
from outgate.queue import Item, Message, Recipient
from outgate.route import Route, own_route, route

RECIPIENTS: Final = 100  # in one transaction; every server must take that many (RFC 5321 section 4.5.3.1.8)


def decide(item: Item, recipients: Sequence[Recipient], reading: WayReading) -> list[Delivery]:
    """One delivery for each way, and for each 100 recipients of it."""
    version, account, organisation, restrictions = reading
    chosen = account.send_as.get(item.message.chosen_from) if account else None
    by_way: dict[tuple[Route, str | None], list[Recipient]] = {}
    for recipient in recipients:
        way, refused = _way(organisation, account, chosen, item.message, recipient)
        by_way.setdefault((way, refused), []).append(_at(recipient, way.queue))
    return [
        Delivery(
            item,
            tuple(together[start : start + RECIPIENTS]),
            way,
            account,
            version,
            tls_of(way),
            refused,
            restrictions.of(way.queue),
        )
        for (way, refused), together in by_way.items()
        for start in range(0, len(together), RECIPIENTS)
    ]


def is_still(delivery: Delivery, found: Sequence[Delivery]) -> bool:
    """Whether what was found anew is the way that the delivery has."""
    return [(one.route, one.tls, one.refused) for one in found] == [(delivery.route, delivery.tls, None)]


def refusal(delivery: Delivery, now: float) -> Outcome | None:
    """Why this account may not send this any more, as authorise would say it of a new message; or why it has to wait,
    where nothing may be tried.
    """
    return _refusal(delivery) or (suspended(delivery.restrictions, now) if delivery.restrictions else None)


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
    verdict = authorise(account, "", (message.chosen_from,))
    return Outcome(Verdict.FAILED, f"5.7.1 {verdict.reason}") if isinstance(verdict, Refused) else None


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
