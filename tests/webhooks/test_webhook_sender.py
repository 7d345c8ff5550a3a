"""Endpoints get what is on record, signed, again if need be, over restarts, and none waits for another."""

import asyncio

import pytest
import standardwebhooks
from sqlalchemy import select
from structlog.testing import capture_logs

from outgate.config import EgressSettings
from outgate.directory import restrictions
from outgate.directory.errors import Invalid
from outgate.model import Cause, QueueKey, QueueKind, Restriction
from outgate.queue.queue_id import to_text
from outgate.record.retention import remove_messages
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.webhooks import endpoints, taking, tries, webhook_sender
from outgate.webhooks.endpoints import StopCause, WebhookSettings
from outgate.webhooks.event_body import WebhookEventType
from outgate.webhooks.posting import TryOutcome
from webhooks.conftest import Office
from webhooks.receiver import Receiver

DAY = 86400.0
# What is no question of the database.
on_sqlite = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)


async def test_an_outcome_is_posted_as_standard_webhooks_has_it(office: Office, receiver: Receiver) -> None:
    secret = office.add(receiver)
    number = office.bounce(after=1)
    await office.serve()
    delivered, bounced = sorted(receiver.received, key=lambda one: one.event["type"], reverse=True)
    assert standardwebhooks.Webhook(secret).verify(bounced.body, bounced.headers) == bounced.event
    assert bounced.headers["content-type"] == "application/json"
    assert bounced.event.keys() == {"type", "timestamp", "data"}
    assert bounced.event["type"] == "message.bounced"
    assert bounced.event["data"] == {
        "message": to_text(number),
        "message_id": "<1@client.example>",
        "account": "alice@example.com",
        "unit": "/Sales",
        "from": ["sales@example.com"],
        "recipient": "carol@r.example",
        "reason": "550 5.1.1 no such",
        "report": None,
    }
    assert delivered.event["data"]["reply"] == "250 ok"
    assert delivered.event_id != bounced.event_id
    assert "." not in bounced.event_id, "it is signed between full stops"
    assert [one.outcome for one in office.tries()] == [TryOutcome.DELIVERED] * 2
    assert office.find().waiting == 0
    receiver.take()
    await office.serve(office.another())
    assert receiver.take() == [], "what was delivered is not sent again, by a later process either"


@on_sqlite
async def test_what_fails_is_sent_again_later_with_the_same_id_and_body_by_a_later_process(
    office: Office, receiver: Receiver
) -> None:
    office.add(receiver)
    receiver.status = 500
    office.bounce()
    with capture_logs() as lines:
        await office.serve()
    [first] = receiver.take()
    [told] = [line for line in lines if line["log_level"] == "warning"]
    assert (told["event"], told["event_id"], told["reason"]) == ("webhook failed", first.event_id, "HTTP 500")
    await office.later(4)
    assert receiver.take() == [], "not before its time"
    after_a_kill = office.another()  # nothing was given back; it has the former one's name
    await office.later(3, after_a_kill)
    [second] = receiver.take()
    assert (second.event_id, second.body) == (first.event_id, first.body)
    waits = 7.0
    for pause in tries.SCHEDULE[1:]:
        receiver.status = 204
        office.bounce()
        await office.later(5, after_a_kill)
        [other] = receiver.take()
        assert other.event_id != first.event_id, "others are taken all the while"
        receiver.status = 500
        await office.later(pause * (1 + tries.JITTER), after_a_kill)
        assert [one.event_id for one in receiver.take()] == [first.event_id]
        waits += pause
    assert waits > 3 * DAY
    of_it = [one for one in office.tries() if one.event_id == first.event_id]
    assert [one.outcome for one in of_it] == [TryOutcome.GIVEN_UP] + [TryOutcome.AGAIN] * 9
    assert of_it[0].reason == "HTTP 500"
    assert office.find().waiting == 0


@on_sqlite
async def test_a_sick_endpoint_delays_no_other(office: Office, receiver: Receiver) -> None:
    with Receiver() as sick:
        sick.open.clear()
        office.add(sick, "sick")
        office.add(receiver, "well")
        office.bounce()
        while not (sick.asked.is_set() and receiver.received):
            await office.sender.look()
            await asyncio.sleep(0)
        assert sick.received == []
        office.bounce()
        while len(receiver.received) < 2:
            await office.sender.look()
            await asyncio.sleep(0)
        sick.open.set()
        await office.sender.finish()
        await office.serve()
        assert len(sick.received) == 2


async def test_one_process_sends_at_a_time_and_another_goes_on_when_it_is_gone(
    office: Office, receiver: Receiver
) -> None:
    office.add(receiver)
    office.bounce()
    await office.serve()
    office.bounce()
    other = office.another("second")
    await office.serve(other)
    assert len(receiver.received) == 1, "the first has the lease"
    running = asyncio.create_task(office.sender.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await office.serve(other)
    assert len({one.event_id for one in receiver.received}) == 2


async def test_an_endpoint_has_so_many_waiting_and_the_rest_stays_on_record(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MOST_WAITING", 3)
    office.add(receiver)
    receiver.status = 503
    office.bounce(after=6)
    await office.serve()
    assert (office.find().waiting, office.find().state) == (3, "failing")
    assert len(receiver.take()) < 7, "it is left alone for a time"
    receiver.status = 204
    await office.later(tries.LONGEST_PAUSE * 4)
    await office.serve()
    assert len({one.event_id for one in receiver.take()}) == 7
    assert (office.find().waiting, office.find().state) == (0, "on")


@on_sqlite
async def test_an_endpoint_that_asks_for_time_gets_it(office: Office, receiver: Receiver) -> None:
    office.add(receiver)
    receiver.answers = [(429, {"Retry-After": "3600"})]
    office.bounce()
    await office.serve()
    office.bounce()
    await office.later(3000)
    assert len(receiver.take()) == 1
    await office.later(700)
    assert len(receiver.take()) == 2


@on_sqlite
async def test_an_endpoint_that_is_gone_or_fails_for_days_is_stopped_and_an_administrator_told(
    office: Office, receiver: Receiver
) -> None:
    office.add(receiver)
    receiver.answers = [(410, {})]
    office.bounce()
    await office.serve()
    assert office.find().state == "stopped"
    assert [name for name, _, _ in office.told] == ["tickets"]
    assert "outgate webhook enable tickets" in office.told[0][2]
    office.bounce()
    await office.later(DAY)
    assert len(receiver.take()) == 1, "nothing more is sent"
    with write(office.engine) as connection:
        endpoints.start(connection, "tickets", office.now, from_now=False)
    receiver.status = 500
    await office.serve()
    for _ in range(6):
        await office.later(DAY)
    assert str(office.find().stopped) == "nothing but failures for five days, the last: HTTP 500"
    assert len(office.told) == 2
    with write(office.engine) as connection:
        endpoints.start(connection, "tickets", office.now, from_now=False)
    receiver.take()
    receiver.status = 200
    office.bounce()
    await office.serve()
    assert len({one.event_id for one in receiver.take()}) == 3, "all that happened meanwhile, and what came then"


@on_sqlite
@pytest.mark.parametrize("status", [200, 410, 500])
async def test_what_came_of_a_removed_webhooks_event_concerns_no_other(
    office: Office, receiver: Receiver, status: int
) -> None:
    with Receiver() as former:
        former.open.clear()
        former.status = status
        office.add(former)
        office.bounce()
        await office.sender.look()
        while not former.asked.is_set():
            await asyncio.sleep(0)
        with write(office.engine) as connection:
            endpoints.remove(connection, "tickets")
        office.add(receiver)
        receiver.status = 503
        office.bounce()
        await office.serve(office.another("second"))
        before = office.find()
        former.open.set()
        await office.sender.finish()
        assert (office.find(), office.find().waiting, len(office.tries())) == (before, 1, 1)


@on_sqlite
async def test_what_came_of_an_event_that_waits_no_more_says_nothing(office: Office, receiver: Receiver) -> None:
    receiver.open.clear()
    receiver.status = 410
    office.add(receiver)
    office.bounce()
    await office.sender.look()
    while not receiver.asked.is_set():
        await asyncio.sleep(0)
    with write(office.engine) as connection:
        endpoints.stop(connection, office.find().id, StopCause.ASKED, "admin@example.com", office.now)
        endpoints.start(connection, "tickets", office.now, from_now=True)
    receiver.open.set()
    await office.sender.finish()
    assert (office.find().state, office.tries()) == ("on", [])


@on_sqlite
async def test_no_redirect_is_followed_and_no_private_address_asked(office: Office, receiver: Receiver) -> None:
    with Receiver() as other:
        office.add(receiver)
        receiver.answers = [(302, {"Location": other.url})]
        office.bounce()
        await office.serve()
        assert (other.received, office.tries()[0].reason) == ([], "the answer is a redirect")
    receiver.take()
    await office.later(400, office.another(egress=EgressSettings()))
    assert receiver.take() == []
    assert "private network" in office.tries()[0].reason or "loopback" in office.tries()[0].reason


@on_sqlite
async def test_for_a_day_after_a_rotation_both_secrets_sign(office: Office, receiver: Receiver) -> None:
    old = office.add(receiver)
    with write(office.engine) as connection:
        new = endpoints.rotate(connection, office.vault, "tickets", office.now).text
    office.bounce()
    await office.serve()
    await office.later(DAY)
    office.bounce()
    await office.serve()
    assert [(one.is_signed_by(old), one.is_signed_by(new)) for one in receiver.take()] == [(True, True), (False, True)]


@on_sqlite
async def test_a_new_secret_takes_the_place_of_one_that_can_not_be_opened(office: Office, receiver: Receiver) -> None:
    office.add(receiver)
    with write(office.engine) as connection:
        connection.execute(tables.webhook.update().values(sealed_secret=b"changed outside"))
    office.bounce()
    await office.serve()
    assert "make a new one" in str(office.find().stopped)
    with write(office.engine) as connection:
        secret = endpoints.rotate(connection, office.vault, "tickets", office.now).text
        endpoints.start(connection, "tickets", office.now, from_now=False)
    await office.serve()
    [received] = receiver.received
    assert received.is_signed_by(secret)
    assert (office.find().state, office.find().former_until) == ("on", None)


async def test_only_what_was_asked_for_is_sent(office: Office, receiver: Receiver) -> None:
    with Receiver() as of_unit, Receiver() as of_user:
        office.add(receiver, "bounces", event_types=(WebhookEventType.BOUNCED,))
        office.add(of_unit, "of-unit", unit="/Sales")
        office.add(of_user, "of-user", user="bob@example.com")
        for one in ("alice@example.com", "bob@example.com", ""):
            office.bounce(one, after=1)
        await office.serve()
        assert receiver.types == ["message.bounced"] * 3
        assert {one.event["data"]["account"] for one in of_unit.received} == {"alice@example.com"}
        assert {one.event["data"]["account"] for one in of_user.received} == {"bob@example.com"}
        assert len(of_user.received) == 2


async def test_gateways_are_told_of_when_they_are_suspended_and_when_they_go_on(
    office: Office, receiver: Receiver
) -> None:
    gateway = QueueKey(QueueKind.DOMAIN_GATEWAY)
    office.add(receiver)
    await office.serve()
    wanted = Restriction(Cause.OPERATOR, "they move house", "admin@example.com", office.now, office.now + 3600)
    with write(office.engine) as connection:
        restrictions.put(connection, gateway, wanted)
    await office.serve()
    await office.serve(office.another())
    [suspended] = receiver.take()
    assert (suspended.event["type"], suspended.event["data"]["reason"]) == ("gateway.suspended", "they move house")
    office.now += 4000
    await office.serve(office.another())
    [resumed] = receiver.take()
    assert (resumed.event["type"], resumed.event["data"]["queue"]) == ("gateway.resumed", "domain-gateway")


@on_sqlite
async def test_suspensions_wait_within_the_same_bound_and_all_are_told_in_the_end(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MOST_WAITING", 4)
    queues = [QueueKey(QueueKind.DOMAIN_GATEWAY, str(row)) for row in range(6)]
    office.add(receiver)
    receiver.status = 503
    wanted = Restriction(Cause.OPERATOR, "they move house", "admin@example.com", office.now, office.now + 3600)
    with write(office.engine) as connection:
        for queue in queues:
            restrictions.put(connection, queue, wanted)
    for _ in range(3):
        await office.later(tries.LONGEST_PAUSE, office.another())
    assert office.find().waiting == 4
    office.now += 3600
    await office.later(tries.LONGEST_PAUSE, office.another())
    assert office.find().waiting == 4
    receiver.take()
    receiver.status = 204
    for _ in range(4):
        await office.later(tries.LONGEST_PAUSE * 2, office.another())
    assert receiver.types.count("gateway.suspended") == receiver.types.count("gateway.resumed") == 4
    assert office.find().waiting == 0


@on_sqlite
async def test_where_there_is_nothing_to_tell_nothing_is_written(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.add(receiver, "bounces", event_types=(WebhookEventType.BOUNCED,))
    office.add(receiver, "of-bob", user="bob@example.com")
    queue = QueueKey(QueueKind.DOMAIN_GATEWAY)
    wanted = Restriction(Cause.OPERATOR, "they move house", "admin@example.com", office.now, office.now + 3600)
    with write(office.engine) as connection:
        restrictions.put(connection, queue, wanted)
    office.bounce("alice@example.com", after=1)
    await office.serve()
    assert receiver.types == ["message.bounced"]
    written: list[object] = []
    monkeypatch.setattr(webhook_sender, "writing", written.append)
    for sender in (office.sender, office.another()):
        with write(office.engine) as connection:
            restrictions.end(connection, queue, [Cause.OPERATOR])
        await office.serve(sender)
    assert written == []


@on_sqlite
async def test_others_events_are_gone_through_with_a_breath_between(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "BATCH", 2)
    breaths: list[float] = []
    sleep = asyncio.sleep

    async def breathe(seconds: float) -> None:
        breaths.append(seconds)
        await sleep(0)

    office.add(receiver, user="bob@example.com")
    office.bounce(after=9)
    monkeypatch.setattr(asyncio, "sleep", breathe)
    await office.serve()
    assert breaths.count(webhook_sender.BREATH) >= 4
    assert receiver.received == []


@on_sqlite
async def test_the_row_up_to_which_was_read_is_never_given_again(office: Office, receiver: Receiver) -> None:
    office.add(receiver)
    office.bounce()
    await office.serve()
    with write(office.engine) as connection:
        remove_messages(connection, office.now + 1, 100)
    office.bounce()
    await office.serve()
    assert len(receiver.take()) == 2


@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)  # SQLite has one writer at a time
async def test_a_row_that_becomes_visible_late_is_not_missed(office: Office, receiver: Receiver) -> None:
    office.add(receiver)
    with office.engine.connect() as slow, slow.begin():
        slow.execute(tables.fact.insert().values(message_id=1, at=office.now, kind="bounced", detail=_BOUNCE))
        office.bounce()
        await office.serve()
        assert receiver.take() == [], "a row before it may still appear"
    await office.serve()
    assert len(receiver.take()) == 2


_BOUNCE = '{"recipient": "late@r.example", "reason": "550 no", "report": null}'


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.0.0.1", "[::1]", "a_b.example"])
def test_a_url_whose_host_would_never_be_asked_is_refused(host: str) -> None:
    with pytest.raises(Invalid):
        WebhookSettings("tickets", f"https://{host}/hook")


async def test_tries_are_kept_within_bounds(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tries, "KEPT", 3)
    office.add(receiver)
    office.bounce(after=7)
    await office.serve()
    assert len(receiver.take()) == 8
    assert len(office.tries()) == 3
    with write(office.engine) as connection:
        assert tries.forget(connection, office.now + 1, 2) == 2
    with read(office.engine) as connection:
        assert len(connection.execute(select(tables.webhook_try)).all()) == 1
