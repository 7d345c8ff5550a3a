"""Who is told what, and when: failure, delay and success, with NOTIFY, on both databases and over a restart."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Engine, select

from deliver.test_deliverer import CAROL, DAVE, House, Wire, until
from outgate.config import DeliverySettings
from outgate.deliver.delivery import AttemptResult, Delivery, all_alike
from outgate.deliver.disposition import settle
from outgate.deliver.outcome import COMMON_LOG_IN, Outcome, Verdict, judge
from outgate.deliver.tls_policy import tls_of
from outgate.mail.report_text import Action, Remedy
from outgate.model import Account, Gateway, Organisation, Policy, QueueKey, QueueKind, Schedule, Security, SendAs
from outgate.queue import Item, Put, Recipient
from outgate.record import message_log
from outgate.record.events import EventKind, MessageEvent
from outgate.route import Route, RouteKind
from outgate.smtp import Reply
from outgate.store.engine import read
from outgate.store.tables import recipient
from outgate.submit import originate
from submissions import NOON

HOUR = 3600.0
SCHEDULE = Schedule(60.0, 3.0, 4 * HOUR, 4 * HOUR, 120 * HOUR, fault_report_after=300.0)
LOG_IN = Outcome(Verdict.RETRY, "4.7.8 mx[192.0.2.1]:587: log-in refused: 535 5.7.8 Wrong password")
CERTIFICATE = Outcome(Verdict.RETRY, "4.7.5 mx[192.0.2.1]:587: the peer's certificate is not accepted: expired")
GATEWAY = Gateway("gateway:3", "smtp.partner.example", 587, Security.STARTTLS)
NO_STARTTLS = Outcome(Verdict.RETRY, "4.7.4 mx[192.0.2.1]:587: the peer does not offer STARTTLS, which is required")
DOWN = Outcome(
    Verdict.RETRY, "4.4.1 mx[192.0.2.1]:587: could not connect: refused", public="could not connect to mx:587"
)


def said(code: int, enhanced: str, words: str) -> Outcome:
    return judge(Reply(code, enhanced, (words,)), frozenset({535}))


def delivery(
    *recipients: Recipient, kind: RouteKind = RouteKind.USER_GATEWAY, reverse_path: str = "alice@partner.example"
) -> Delivery:
    put = originate(1, b"From: alice@partner.example\r\n\r\n", reverse_path, [CAROL], Organisation(frozenset()), NOON)
    message = replace(put.message, account_id=1, chosen_from="alice@partner.example")
    account = Account(1, "alice@example.com", "Alice", "/", False, Policy(), {CAROL: SendAs(CAROL)})
    route = Route(kind, QueueKey(QueueKind.GATEWAY, "3"), reverse_path, (), gateway=GATEWAY)
    return Delivery(Item(message, recipients), recipients, route, account, 1, tls_of(route))


def one(notify: str | None = None, *, told: bool = False, attempts: int = 3) -> Recipient:
    return Recipient(0, CAROL, QueueKey(QueueKind.GATEWAY, "3"), None, notify, attempts, told)


def told(outcome: Outcome, waited: float, to: Recipient | None = None, **options: Any) -> list[tuple[Action, Remedy]]:
    tried = delivery(to or one(), **options)
    disposition = settle(tried, all_alike(tried, outcome, "mx[192.0.2.1]:25"), NOON + waited, SCHEDULE)
    return [(each.action, each.remedy) for each in disposition.reported()]


@pytest.mark.parametrize(("attempts", "wait"), [(0, 90.0), (3, 1620.0)])
def test_what_a_peer_puts_off_is_not_tried_faster_than_by_the_schedule(attempts: int, wait: float) -> None:
    outcome = Outcome(Verdict.RETRY, "4.3.2 less", again=NOON + 90, queue_until=NOON + 90)
    tried = delivery(one(attempts=attempts))
    (deferral,) = settle(tried, all_alike(tried, outcome), NOON, SCHEDULE).deferred
    assert wait <= deferral.again - NOON <= wait * (1.25 if wait != 90.0 else 1.0)


@pytest.mark.parametrize(
    ("outcome", "remedy"),
    [
        (LOG_IN, Remedy.LOG_IN),
        (said(535, "5.7.139", "SmtpClientAuthentication is disabled"), Remedy.LOG_IN),
        (CERTIFICATE, Remedy.TLS),
        (NO_STARTTLS, Remedy.TLS),
    ],
)
def test_what_only_the_sender_can_repair_is_told_soon(outcome: Outcome, remedy: Remedy) -> None:
    assert told(outcome, 299) == []
    assert told(outcome, 300) == [(Action.DELAYED, remedy)]
    assert told(outcome, 300, kind=RouteKind.DIRECT) == []
    assert told(outcome, 300, one(told=True)) == []


@pytest.mark.parametrize("outcome", [DOWN, said(451, "4.7.1", "Greylisted"), said(421, "", "Busy")])
def test_other_delays_are_told_after_hours_and_once(outcome: Outcome) -> None:
    assert told(outcome, 4 * HOUR - 1) == []
    assert told(outcome, 4 * HOUR) == [(Action.DELAYED, Remedy.WAIT)]
    assert told(outcome, 9 * HOUR, one(told=True)) == []


@pytest.mark.parametrize(
    ("notify", "failure", "delay", "success"),
    [
        (None, True, True, False),
        ("NEVER", False, False, False),
        ("FAILURE", True, False, False),
        ("DELAY", False, True, False),
        ("success,delay", False, True, True),
        ("SUCCESS", False, False, True),
        ("SUCCESS,FAILURE,DELAY", True, True, True),
    ],
)
def test_notify_says_what_is_told(notify: str | None, failure: bool, delay: bool, success: bool) -> None:
    assert bool(told(said(550, "5.1.1", "No"), 1, one(notify))) == failure
    assert bool(told(DOWN, 5 * HOUR, one(notify))) == delay
    tried = delivery(one(notify))
    for action in (Action.DELIVERED, Action.RELAYED):
        result = AttemptResult([replace(said(250, "2.0.0", "Ok"), success=action)], "mx[192.0.2.1]:25")
        reported = settle(tried, result, NOON, SCHEDULE).reported()
        assert [each.action for each in reported] == ([action] if success else [])
    honoured = AttemptResult([said(250, "2.0.0", "Ok")], "mx[192.0.2.1]:25")
    assert settle(tried, honoured, NOON, SCHEDULE).reported() == []


def test_delays_are_told_to_nobody_where_the_settings_say_so() -> None:
    tried = delivery(one())
    silent = replace(SCHEDULE, delay_report_after=0, fault_report_after=0)
    for outcome in (DOWN, LOG_IN):
        assert settle(tried, all_alike(tried, outcome), NOON + 50 * HOUR, silent).reported() == []


@pytest.mark.parametrize(
    ("outcome", "status", "remedy"),
    [
        (said(550, "", "Mail from 5.9.33.7 refused"), "5.0.0", Remedy.THEIR_POSTMASTER),
        (said(554, "", "5.7.26.1 is listed"), "5.0.0", Remedy.THEIR_POSTMASTER),
        (said(550, "", "see http://x.example/2.1.5 5.1.1"), "5.0.0", Remedy.THEIR_POSTMASTER),
        (said(550, "5.1.1", "from 5.9.33.7: no such user"), "5.1.1", Remedy.ADDRESS),
        (said(552, "5.2.2", "Over quota"), "5.2.2", Remedy.MAILBOX_FULL),
        (said(552, "5.3.4", "Too large"), "5.3.4", Remedy.TOO_LARGE),
        (said(550, "5.7.1", "Spam"), "5.7.1", Remedy.THEIR_POSTMASTER),
        (Outcome(Verdict.FAILED, "5.7.1 the attachment 'a.exe' may not leave"), "5.7.1", Remedy.ADMINISTRATOR),
    ],
)
def test_status_and_remedy_of_a_failure(outcome: Outcome, status: str, remedy: Remedy) -> None:
    tried = delivery(one())
    (reported,) = settle(tried, all_alike(tried, outcome), NOON, SCHEDULE).reported()
    assert (reported.status, reported.remedy) == (status, remedy)


@pytest.mark.parametrize(
    ("outcome", "status", "remedy"),
    [
        (said(451, "4.3.0", "Later, 5.1.1 perhaps"), "5.3.0", Remedy.LATER),
        (said(451, "", "From 4.7.1.9"), "5.0.0", Remedy.LATER),
        (DOWN, "5.4.1", Remedy.LATER),
        (LOG_IN, "5.7.8", Remedy.LOG_IN),
        (said(452, "4.2.2", "Full"), "5.2.2", Remedy.MAILBOX_FULL),
    ],
)
def test_status_and_remedy_of_what_is_given_up(outcome: Outcome, status: str, remedy: Remedy) -> None:
    tried = delivery(one(told=True))
    (reported,) = settle(tried, all_alike(tried, outcome), NOON + 121 * HOUR, SCHEDULE).reported()
    assert (reported.action, reported.status, reported.remedy) == (Action.FAILED, status, remedy)


def test_a_network_that_is_not_the_senders_is_not_told() -> None:
    tried = delivery(one(told=True))
    (reported,) = settle(tried, all_alike(tried, DOWN), NOON + 121 * HOUR, SCHEDULE).reported()
    assert reported.words == "could not connect to mx:587"


SUSPENDED = Outcome(Verdict.RETRY, "4.7.8 suspended until 2027-01-15 by outgate: 535 user sales@partner.example")
BY_RULE = Outcome(
    Verdict.RETRY, "4.3.2 suspended by outgate: rule r: 4.7.0 mx: log-in put off: 454 sales@partner.example"
)


@pytest.mark.parametrize(
    "outcome", [LOG_IN, SUSPENDED, BY_RULE, said(535, "5.7.8", "Wrong user sales@partner.example")]
)
@pytest.mark.parametrize("waited", [4 * HOUR, 121 * HOUR])
@pytest.mark.parametrize("is_common", [True, False])
def test_what_was_said_to_a_common_log_in_is_neither_recorded_for_senders_nor_reported(
    outcome: Outcome, waited: float, is_common: bool
) -> None:
    tried = delivery(one())
    if is_common:
        gateway = replace(tried.route.gateway or GATEWAY, identity="common-gateway:3")
        tried = replace(tried, route=replace(tried.route, gateway=gateway))
    disposition = settle(tried, all_alike(tried, outcome), NOON + waited, SCHEDULE)
    (reported,) = disposition.reported()
    finish = disposition.finish("me")
    (event,) = [one for one in finish.events if one.kind in (EventKind.DEFERRED, EventKind.BOUNCED)]
    recorded = {event.detail["reason"], *(one.reply for one in finish.deferred)}
    assert recorded == {COMMON_LOG_IN if is_common else outcome.reason}
    told = (reported.words, reported.reply) == (COMMON_LOG_IN.partition(" ")[2], None)
    assert told is is_common
    if event.kind is EventKind.DEFERRED:  # administrators are told of it by a notice
        assert event.detail.get("said", event.detail["reason"]) == outcome.reason


# --- in the queue --------------------------------------------------------------------------------------------------


@pytest.fixture
def wire() -> Wire:
    return Wire()


EAGER = DeliverySettings(retry_first=0.001, retry_factor=1, delay_report_after=0.05, stop_timeout=5.0)


@pytest_asyncio.fixture
async def house(example: Engine, wire: Wire) -> AsyncIterator[House]:
    made = House(example, wire, EAGER)
    made.deliverer.start()
    yield made
    await made.close()


def letter(house: House, notify: str | None = None) -> Put:
    put = house.letter(CAROL, sender=DAVE)
    return replace(put, recipients=[replace(one, notify=notify) for one in put.recipients])


async def later(delivery: Delivery) -> AttemptResult:
    return all_alike(delivery, Outcome(Verdict.RETRY, "4.4.1 later"))


async def test_a_delay_is_told_once_also_after_a_restart(wire: Wire, example: Engine) -> None:
    house = House(example, wire, EAGER)
    house.deliverer.start()
    asked: list[str] = []

    async def answer(delivery: Delivery) -> AttemptResult:
        if not delivery.route.reverse_path:
            return all_alike(delivery, Outcome(Verdict.DELIVERED, "250 Ok"), "peer")
        asked.append(delivery.recipients[0].address)
        return await later(delivery)

    wire.answer = answer
    put = letter(house)
    await house.queue.put(put)
    await until(lambda: reports(house))
    await house.close()
    again, before = House(example, wire, EAGER), len(asked)
    again.deliverer.start()
    await until(lambda: len(asked) > before + 5)
    await again.close()
    assert len(reports(house)) == 1
    events = history(house, put)
    late = [event.detail for event in events if event.detail.get("late")]
    assert [(one["queue"], bool(one["report"])) for one in late] == [("mx:recipient.example", True)]
    with read(example) as connection:
        assert connection.scalars(select(recipient.c.delay_told)).all() == [True]


async def test_who_wants_no_report_of_a_delay_gets_none(house: House, wire: Wire) -> None:
    wire.answer = later
    put = letter(house, "NEVER")
    await house.queue.put(put)
    await until(lambda: any(event.detail.get("late") for event in history(house, put)))
    assert reports(house) == []


async def test_a_report_of_success_is_queued_with_the_outcome(house: House, wire: Wire) -> None:
    async def relayed(delivery: Delivery) -> AttemptResult:
        return all_alike(delivery, Outcome(Verdict.DELIVERED, "250 Ok", success=Action.RELAYED), "mx")

    wire.answer = relayed
    await house.queue.put(letter(house, "SUCCESS"))
    await until(lambda: not house.waits())
    assert [[one.address for one in each.recipients] for each in wire.carried] == [[CAROL], [DAVE]]


def reports(house: House) -> list[int]:
    with read(house.engine) as connection:
        events = [event for _, event in message_log.latest(connection, 0, 10_000)]
    return [one.message_id for one in events if one.kind.value == "accepted" and not one.detail["mail_from"]]


def history(house: House, put: Put) -> list[MessageEvent]:
    with read(house.engine) as connection:
        return message_log.history(connection, put.message.id)
