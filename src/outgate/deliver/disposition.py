"""What an attempt's outcomes mean: who is done, who is tried again and when, who is reported on. Pure."""

from collections.abc import Iterator
from dataclasses import field, replace
from typing import Final

from outgate.deliver.delivery import AttemptResult, Delivery
from outgate.deliver.outcome import COMMON_LOG_IN, Outcome, Verdict
from outgate.frozen import frozen
from outgate.mail.report import ReportedRecipient
from outgate.mail.report_text import Action, Remedy
from outgate.model import Schedule
from outgate.queue import Defer, Finish, Put, Recipient
from outgate.queue.queue_id import to_text
from outgate.queue.retry import next_attempt, spread_of
from outgate.record import events
from outgate.record.events import MessageEvent, Passage
from outgate.route import RouteKind

BY_GATEWAY: Final = (RouteKind.USER_GATEWAY, RouteKind.DOMAIN_GATEWAY)

Failed = tuple[Recipient, Outcome]


@frozen
class Deferral:
    """A recipient that waits for its next attempt. `late`: so long by now that the sender is told of it."""

    recipient: Recipient
    outcome: Outcome
    again: float
    late: bool


@frozen
class Disposition:
    """The outcomes of one delivery sorted out; `failed` are those for whom there is no more hope."""

    delivery: Delivery
    result: AttemptResult
    at: float
    schedule: Schedule
    done: list[Failed] = field(default_factory=list)
    deferred: list[Deferral] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def finish(self, leased_by: str, report: Put | None = None) -> Finish:
        """The change that commits it all."""
        numbers = [recipient.number for recipient, _ in (*self.done, *self.failed)]
        return Finish(
            self.delivery.item.message.id, numbers, [*self._defers()], [*self._events(report)], leased_by, report
        )

    def reported(self) -> list[ReportedRecipient]:
        """What the sender is to hear, of those recipients of whom he wants to (RFC 3461 section 4.1)."""
        if not (self.failed or self.deferred or any(one.notify for one, _ in self.done)):
            return []  # nearly always
        return [
            *(self._failed(one, outcome) for one, outcome in self.failed if _wants(one, "FAILURE")),
            *(self._delayed(one) for one in self.deferred if one.late and _wants(one.recipient, "DELAY")),
            *(self._done(one, outcome) for one, outcome in self.done if outcome.success and _wants(one, "SUCCESS")),
        ]

    def _defers(self) -> Iterator[Defer]:
        for one in self.deferred:
            told = one.recipient.delay_told or one.late
            attempts = one.recipient.attempts + (not one.outcome.untried)
            tried = replace(one.recipient, attempts=attempts, delay_told=told)
            yield Defer(tried, one.again, _reason(one.outcome, self.delivery), one.outcome.untried)

    def _events(self, report: Put | None) -> Iterator[MessageEvent]:
        passage, told = _passage(self.delivery), to_text(report.message.id) if report else None
        if not all(outcome.untried for outcome in self.result.outcomes):
            yield _attempt(self.delivery, self.result, self.at)
        delay = self.at - self.delivery.item.message.waits_since
        for recipient, outcome in self.done:
            yield events.delivered(
                passage,
                self.at,
                recipient=recipient.address,
                by=outcome.peer or self.result.peer,
                reply=outcome.reason,
                delay=delay,
            )
        for one in self.deferred:
            if _is_known(one, self.delivery):
                continue
            yield events.deferred(
                passage,
                self.at,
                recipient=one.recipient.address,
                reason=_reason(one.outcome, self.delivery),
                next_attempt=one.again,
                late=one.late or one.outcome.suspends,
                said=one.outcome.reason,
                report=told if one.late and _wants(one.recipient, "DELAY") else None,
            )
        for recipient, outcome in self.failed:
            named = told if _wants(recipient, "FAILURE") else None
            reason = _reason(outcome, self.delivery)
            yield events.bounced(passage, self.at, recipient=recipient.address, reason=reason, report=named)

    def _failed(self, recipient: Recipient, outcome: Outcome) -> ReportedRecipient:
        """What is given up is a permanent failure, whatever the last reply was called."""
        return self._unsuccessful(
            recipient, outcome, Action.FAILED, "5" + outcome.status[1:], _remedy(outcome, self.delivery)
        )

    def _delayed(self, deferral: Deferral) -> ReportedRecipient:
        outcome = deferral.outcome
        return self._unsuccessful(
            deferral.recipient, outcome, Action.DELAYED, "4" + outcome.status[1:], _delay_remedy(outcome, self.delivery)
        )

    def _unsuccessful(
        self, recipient: Recipient, outcome: Outcome, action: Action, status: str, remedy: Remedy
    ) -> ReportedRecipient:
        reason = _reason(outcome, self.delivery)
        remote = outcome.reply is not None and reason == outcome.reason
        return ReportedRecipient(
            address=recipient.address,
            action=action,
            status=status,
            remedy=remedy,
            words="" if remote else outcome.public or reason.partition(" ")[2],
            reply=reason if remote else None,
            remote_mta=self._peer(outcome) if remote else None,
            original=recipient.orcpt,
            last_attempt=self.at,
        )

    def _done(self, recipient: Recipient, outcome: Outcome) -> ReportedRecipient:
        return ReportedRecipient(
            address=recipient.address,
            action=outcome.success or Action.RELAYED,
            status="2.0.0" if outcome.reply is None else outcome.status,
            remote_mta=self._peer(outcome),
            original=recipient.orcpt,
            last_attempt=self.at,
        )

    def _peer(self, outcome: Outcome) -> str | None:
        return (outcome.peer or self.result.peer).partition("[")[0] or None


def _reason(outcome: Outcome, delivery: Delivery) -> str:
    """As the message's record has it, which its sender may read: nothing of a log-in that is an administrator's."""
    gateway = delivery.route.gateway
    return COMMON_LOG_IN if gateway and gateway.is_common and outcome.tells_of_log_in else outcome.reason


def _is_known(deferral: Deferral, delivery: Delivery) -> bool:
    """Whether the record says already that it waits, and why: nothing has happened since."""
    same = deferral.recipient.last_reply == events.excerpt(_reason(deferral.outcome, delivery))
    return same and deferral.outcome.untried and not deferral.late


def settle(delivery: Delivery, result: AttemptResult, now: float, schedule: Schedule) -> Disposition:
    """Sort the outcomes of an attempt that ended at `now`."""
    disposition = Disposition(delivery, result, now, schedule)
    for recipient, outcome in zip(delivery.recipients, result.outcomes, strict=True):
        if outcome.verdict is Verdict.DELIVERED:
            disposition.done.append((recipient, outcome))
            continue
        again = _again(recipient, outcome, delivery, now, schedule)
        if again is None:
            disposition.failed.append((recipient, outcome))
        else:
            late = _is_late(recipient, outcome, delivery, now, schedule)
            disposition.deferred.append(Deferral(recipient, outcome, again, late))
    return disposition


def _again(recipient: Recipient, outcome: Outcome, delivery: Delivery, now: float, schedule: Schedule) -> float | None:
    if outcome.verdict is not Verdict.RETRY:
        return None
    message = delivery.item.message
    since = message.waits_since
    scheduled = next_attempt(schedule, recipient.attempts + 1, now, since, spread_of(message.id))
    if scheduled is None or outcome.again is None:
        return scheduled
    again = outcome.again
    if outcome.queue_until is not None:  # what was tried, and only put off, is not tried faster than by the schedule
        again = max(again, scheduled)
    return min(again, *_to_be_told(recipient, outcome, since, now, schedule))


def _to_be_told(
    recipient: Recipient, outcome: Outcome, since: float, now: float, schedule: Schedule
) -> Iterator[float]:
    """When the sender is to hear of what waits: what is not tried wakes up for that."""
    yield since + schedule.give_up_after
    late = since + schedule.delay_report_after
    if schedule.delay_report_after and late > now and not (recipient.delay_told or outcome.told):
        yield late


def _is_late(recipient: Recipient, outcome: Outcome, delivery: Delivery, now: float, schedule: Schedule) -> bool:
    """Whether it is time to say that the message waits: soon, where only the sender can do something about it."""
    if outcome.told:
        return False
    after = schedule.delay_report_after
    if schedule.fault_report_after and _only_the_sender_can_repair(outcome, delivery):
        after = schedule.fault_report_after
    waited = now - delivery.item.message.waits_since
    return bool(after) and waited >= after and not recipient.delay_told


def _only_the_sender_can_repair(outcome: Outcome, delivery: Delivery) -> bool:
    return delivery.route.is_by_own_gateway and (outcome.is_of_log_in or outcome.is_of_tls)


def _attempt(delivery: Delivery, result: AttemptResult, now: float) -> MessageEvent:
    return events.attempt(
        delivery.item.message.id,
        now,
        way=str(delivery.route.kind),
        verdicts=[str(outcome.verdict) for outcome in result.outcomes],
        peer=result.peer,
        tls=result.tls,
        mail_from=delivery.route.reverse_path if result.mail_from is None else result.mail_from,
        recipients=len(delivery.recipients),
        reply=result.reply,
        seconds=result.seconds,
        footer=result.footer,
    )


def _passage(delivery: Delivery) -> Passage:
    message, route = delivery.item.message, delivery.route
    sender = message.chosen_from or message.reverse_path
    return Passage(message.id, sender, str(route.queue), str(route.kind), route.queue_name)


def report_to(delivery: Delivery) -> str | None:
    """Who is told: the account's primary address, the postmaster for mail of the organisation itself (a journal copy),
    and nobody for mail with a null sender.
    """
    message = delivery.item.message
    if not message.reverse_path:
        return None
    if message.account_id is None:
        return message.reverse_path
    return delivery.account.primary if delivery.account else None


def _wants(recipient: Recipient, what: str) -> bool:
    """Whether the sender wants to hear of this (RFC 3461 section 4.1). Without NOTIFY it is all but success."""
    if recipient.notify is None:
        return what != "SUCCESS"
    return what in recipient.notify.upper().split(",")


# --- what to do ------------------------------------------------------------------------------------------------------

_BY_STATUS: Final = {"2.2": Remedy.MAILBOX_FULL, "2.3": Remedy.TOO_LARGE, "3.4": Remedy.TOO_LARGE}


def _delay_remedy(outcome: Outcome, delivery: Delivery) -> Remedy:
    if _only_the_sender_can_repair(outcome, delivery):
        return Remedy.LOG_IN if outcome.is_of_log_in else Remedy.TLS
    return Remedy.WAIT


def _remedy(outcome: Outcome, delivery: Delivery) -> Remedy:
    if (remedy := _delay_remedy(outcome, delivery)) is not Remedy.WAIT:
        return remedy
    detail = outcome.status[2:]
    if detail.startswith("1."):
        return Remedy.ADDRESS
    if detail in _BY_STATUS:
        return _BY_STATUS[detail]
    if outcome.verdict is Verdict.RETRY:
        return Remedy.LATER
    return Remedy.ADMINISTRATOR if outcome.reply is None else Remedy.THEIR_POSTMASTER
