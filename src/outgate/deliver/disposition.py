"""What an attempt's outcomes mean: who is done, who is tried again and when, who gets a delivery report. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from outgate.config import DeliverySettings
from outgate.deliver.delivery import AttemptResult, Delivery
from outgate.deliver.outcome import Outcome, Verdict
from outgate.mail.report import FailedRecipient, bounce
from outgate.model import Organisation
from outgate.queue import Defer, Finish, Put, Recipient
from outgate.queue.queue_id import to_text
from outgate.queue.retry import next_attempt
from outgate.record import events
from outgate.record.events import MessageEvent, Passage
from outgate.submit import originate

Failed = tuple[Recipient, Outcome]


@dataclass(frozen=True, slots=True)
class Disposition:
    """The outcomes of one job sorted out; `failed` are those for whom there is no more hope."""

    done: list[int]
    deferred: list[Defer]
    failed: list[Failed]
    events: list[MessageEvent]
    passage: Passage

    def finish(self, message_id: int, leased_by: str, now: float, report: Put | None = None) -> Finish:
        """The change that commits it all."""
        recorded = [*self.events, *_bounced(self.passage, self.failed, now, report)]
        done = [*self.done, *(recipient.number for recipient, _ in self.failed)]
        return Finish(message_id, done, self.deferred, recorded, leased_by, report)


def settle(delivery: Delivery, result: AttemptResult, now: float, settings: DeliverySettings) -> Disposition:
    """Sort the outcomes of an attempt that ended at `now`."""
    disposition = Disposition([], [], [], [_attempt(delivery, result, now)], _passage(delivery))
    for recipient, outcome in zip(delivery.recipients, result.outcomes, strict=True):
        _sort(disposition, delivery, recipient, outcome, result.peer, now, settings)
    return disposition


def _sort(
    into: Disposition,
    delivery: Delivery,
    recipient: Recipient,
    outcome: Outcome,
    peer: str,
    now: float,
    settings: DeliverySettings,
) -> None:
    message, peer = delivery.item.message, outcome.peer or peer
    if outcome.verdict is Verdict.DELIVERED:
        into.done.append(recipient.number)
        into.events.append(
            events.delivered(
                into.passage,
                now,
                recipient=recipient.address,
                by=peer,
                reply=outcome.reason,
                delay=now - message.received_at,
            )
        )
        return
    again = None
    if outcome.verdict is Verdict.RETRY:
        attempts = recipient.attempts + 1
        again = next_attempt(attempts, now, message.received_at, settings.retry, settings.give_up_after)
    if again is None:
        into.failed.append((recipient, outcome))
        return
    tried = Recipient(
        recipient.number, recipient.address, recipient.queue, recipient.orcpt, recipient.notify, recipient.attempts + 1
    )
    into.deferred.append(Defer(tried, again, outcome.reason))
    into.events.append(
        events.deferred(into.passage, now, recipient=recipient.address, reason=outcome.reason, next_attempt=again)
    )


def _attempt(delivery: Delivery, result: AttemptResult, now: float) -> MessageEvent:
    return events.attempt(
        delivery.item.message.id,
        now,
        way=delivery.route.kind.value,
        verdicts=[outcome.verdict.value for outcome in result.outcomes],
        peer=result.peer,
        tls=result.tls,
        mail_from=delivery.route.reverse_path,
        recipients=len(delivery.recipients),
        reply=result.reply,
        seconds=result.seconds,
        footer=result.footer,
    )


def _passage(delivery: Delivery) -> Passage:
    message, route = delivery.item.message, delivery.route
    return Passage(message.id, message.chosen_from or message.reverse_path, str(route.queue), route.kind.value)


def _bounced(passage: Passage, failed: Sequence[Failed], now: float, report: Put | None) -> list[MessageEvent]:
    named = to_text(report.message.id) if report else None
    return [
        events.bounced(
            passage,
            now,
            recipient=recipient.address,
            reason=outcome.reason,
            report=named,
        )
        for recipient, outcome in failed
    ]


def report_to(delivery: Delivery) -> str | None:
    """Who is told of a failure: the account's primary address, the postmaster for mail of the organisation itself (a
    journal copy), and nobody for mail with a null sender.
    """
    message = delivery.item.message
    if not message.reverse_path:
        return None
    if message.account_id is None:
        return message.reverse_path
    return delivery.account.primary if delivery.account else None


def wants_report(recipient: Recipient) -> bool:
    """Whether the sender asked to hear of this recipient's failure (RFC 3461 section 4.1); without NOTIFY he did."""
    return recipient.notify is None or "FAILURE" in recipient.notify.upper().split(",")


def report(
    delivery: Delivery,
    failed: Sequence[Failed],
    *,
    to: str,
    header: bytes,
    identity: int,
    now: float,
    hostname: str,
    peer: str,
    organisation: Organisation,
) -> Put:
    """The delivery report, ready for the queue; it goes to the primary address by the organisation's own ways."""
    message = delivery.item.message
    raw = bounce(
        hostname=hostname,
        recipient=to,
        failed=[_failed(recipient, outcome, peer, now) for recipient, outcome in failed],
        original_header=header,
        arrived_at=message.received_at,
        date=now,
        message_id=f"{to_text(identity)}@{hostname}",
        envid=message.envid,
    )
    return originate(identity, raw, "", [to], organisation, now)


_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")


def _failed(recipient: Recipient, outcome: Outcome, peer: str, now: float) -> FailedRecipient:
    """A reply begins with its three-digit code; our own words begin with an enhanced status code (RFC 3463)."""
    remote = outcome.reason[:3].isdigit()
    found = _STATUS.search(outcome.reason)
    gave_up = outcome.verdict is Verdict.RETRY
    return FailedRecipient(
        address=recipient.address,
        status=_permanent(found.group(1)) if found else "5.0.0",
        reason="it could not be delivered for too long" if gave_up else "the message was refused",
        reply=outcome.reason if remote else None,
        advice="" if remote else outcome.public or outcome.reason,
        remote_mta=(outcome.peer or peer).partition("[")[0] or None if remote else None,
        original=recipient.orcpt,
        last_attempt=now,
    )


def _permanent(status: str) -> str:
    """What is given up is a permanent failure, whatever the last reply was called."""
    return "5" + status[1:]
