"""How much an account and a unit may send in an hour and a day: over restarts, sessions and processes, on both
databases.
"""

import asyncio
import smtplib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, Engine

from corpus.peer import RawPeer
from outgate.model import Account, Organisation, Policy, Security, SendAs
from outgate.queue import Put, Queue
from outgate.queue.queue_id import QueueIds
from outgate.store.engine import read, write
from outgate.store.group_commit import GroupCommit
from outgate.submit import MessageLimits, Refusal, Submission, Submitter, usage, whole_message
from outgate.submit.quotas import REMEMBERED, SendingQuotas
from outgate.submit.usage import Holder, Sent
from way.place import Site, eventually, install, listens, running, serve
from way.submit import client, message, submit
from way.test_policy_in_force import set_policy

ALICE, BOB = "alice@example.com", "bob@example.com"
NOON = 500_000 * 3600.0
HOUR = 3600.0
LIMITS = MessageLimits(message_bytes=1_000_000, line_bytes=998, recipients=1000, received=50)
ORGANISATION = Organisation(frozenset({"example.com"}))


@pytest.fixture(scope="module", autouse=True)
def _stories() -> None:
    """Traced: beside the stories the counts are tested here by themselves."""


class Office:
    """The queue with its limits as one process has them, at a time that a test sets."""

    def __init__(self, engine: Engine, owner: str) -> None:
        self.now = NOON
        self._commits = GroupCommit(engine)
        self.queue = Queue(engine, self._commits, owner, 60.0)
        self._engine = engine
        self.submitter = Submitter(self.queue, SendingQuotas(engine, lambda: self.now), LIMITS)
        self._queue_ids = QueueIds()

    async def send(self, policy: Policy, recipients: int = 1, account: int = 7) -> Refusal | None:
        outcome = await self.submitter.submit(self.letter(policy, recipients, account), ORGANISATION)
        return outcome if isinstance(outcome, Refusal) else None

    def sent(self, holder: Holder, hour: int) -> list[Sent]:
        with read(self._engine) as connection:
            return usage.sent(connection, holder, hour)

    async def close(self) -> None:
        await self._commits.close()
        self.queue.close()

    def letter(self, policy: Policy, recipients: int, account: int) -> Submission:
        submission = whole_message(
            self._queue_ids.new(self.now),
            self.now,
            _account(policy, account),
            message(ALICE),
            reverse_path=ALICE,
            recipients=[f"r{n}@recipient.example" for n in range(recipients)],
            limits=LIMITS,
        )
        assert isinstance(submission, Submission)
        return submission


def _account(policy: Policy, number: int) -> Account:
    return Account(number, ALICE, "Alice", "/", False, policy, {ALICE: SendAs(ALICE, verified=True, own_domain=True)})


@pytest_asyncio.fixture
async def office(engine: Engine) -> AsyncIterator[Office]:
    made = Office(engine, "a#0;")
    yield made
    await made.close()


async def test_all_that_an_account_sends_is_counted_by_the_hour(office: Office) -> None:
    """Whether it has a limit or not: one that is set later knows what was sent before."""
    for recipients in (1, 3):
        assert await office.send(Policy(), recipients) is None
    office.now += HOUR
    await asyncio.gather(*(office.send(Policy(), 2) for _ in range(5)))
    await office.send(Policy(), 2, account=8)
    hour = int(NOON // HOUR)
    assert office.sent(7, hour + 1) == [Sent(hour, 2, 4), Sent(hour + 1, 5, 10)]


async def test_a_limit_holds_for_many_sessions_at_once(office: Office) -> None:
    answers = await asyncio.gather(*(office.send(Policy(messages_per_day=25)) for _ in range(100)))
    assert answers.count(None) == 25
    assert {refusal.code for refusal in answers if refusal} == {450}


async def test_recipients_are_counted_one_by_one(office: Office) -> None:
    policy = Policy(recipients_per_day=10)
    assert await office.send(policy, 7) is None
    over = await office.send(policy, 4)
    assert over is not None
    assert (over.code, over.status) == (452, "4.5.3")
    assert await office.send(policy, 3) is None
    too_many = await office.send(policy, 11, account=9)
    assert too_many is not None
    assert (too_many.code, too_many.status) == (550, "5.5.3"), "it will never be taken"
    assert too_many.text == "The limit of 10 recipients a day is reached; send it to fewer at a time"


async def test_the_answer_says_when_there_is_room_again_and_then_there_is(office: Office) -> None:
    policy = Policy(messages_per_day=3)
    await office.send(policy)
    office.now += 5 * HOUR
    await office.send(policy)
    await office.send(policy)
    over = await office.send(policy)
    assert over is not None
    assert over.status == "4.7.1"
    assert over.text == "The limit of 3 messages a day is reached; try again after 2027-01-16 08:00 UTC"
    office.now = NOON + 24 * HOUR - 1
    assert await office.send(policy) is not None
    office.now = NOON + 24 * HOUR
    assert await office.send(policy) is None
    assert await office.send(policy) is not None


async def test_a_limit_of_an_hour_is_free_at_the_next_full_hour_and_one_of_a_day_says_so_instead(
    office: Office,
) -> None:
    office.now += 0.5 * HOUR
    policy = Policy(messages_per_hour=2, recipients_per_hour=5, messages_per_day=3)
    assert await office.send(policy, 4) is None
    over = await office.send(policy, 2)
    assert over is not None
    assert (over.code, over.status) == (452, "4.5.3")
    assert over.text == "The limit of 5 recipients an hour is reached; try again after 2027-01-15 09:00 UTC"
    assert await office.send(policy, 1) is None
    over = await office.send(policy, 1)
    assert over is not None
    assert over.text == "The limit of 2 messages an hour is reached; try again after 2027-01-15 09:00 UTC"
    office.now = NOON + HOUR
    assert await office.send(policy, 1) is None
    over = await office.send(policy, 1)
    assert over is not None
    assert over.text == "The limit of 3 messages a day is reached; try again after 2027-01-16 08:00 UTC"


async def test_a_units_limit_is_of_all_who_have_it_from_there_and_a_unit_with_its_own_shares_none(
    office: Office, engine: Engine
) -> None:
    """Three accounts over two processes; what a further unit sends by a limit of its own counts there alone."""
    office.now = other_now = NOON
    other = Office(engine, "a#1;")
    other.now = other_now
    shared = Policy(unit_messages_per_hour=3, sources={"unit_messages_per_hour": "/Sales"})
    own = Policy(unit_messages_per_hour=1, sources={"unit_messages_per_hour": "/Sales/Italy"})
    try:
        assert await office.send(shared, account=7) is None
        assert await other.send(shared, account=8) is None
        assert await office.send(own, account=9) is None
        assert await office.send(shared, account=8) is None
        for process, account in ((office, 7), (other, 9)):
            over = await process.send(shared, account=account)
            assert over is not None
            assert over.code == 450
            assert over.text == (
                "The limit of 3 messages an hour for all of /Sales is reached; try again after 2027-01-15 09:00 UTC"
            )
        assert await office.send(Policy(), account=7) is None
    finally:
        await other.close()
    hour = int(NOON // HOUR)
    assert office.sent("/Sales", hour) == [Sent(hour, 3, 3)]
    assert office.sent("/Sales/Italy", hour) == [Sent(hour, 1, 1)]


async def test_many_sessions_of_a_unit_at_once_pass_its_limit_by_none(office: Office) -> None:
    policy = Policy(unit_recipients_per_day=25, recipients_per_day=24, sources={"unit_recipients_per_day": "/"})
    answers = await asyncio.gather(*(office.send(policy, account=n % 5) for n in range(100)))
    assert answers.count(None) == 25
    assert {refusal.code for refusal in answers if refusal} == {452}


async def test_what_is_stored_and_not_answered_yet_takes_one_place_and_not_two(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who would be refused for it waits until it is over."""
    policy, put, sent, loop = Policy(messages_per_day=3), office.queue.put, usage.sent, asyncio.get_running_loop()
    stored, answered = asyncio.Event(), asyncio.Event()

    async def slow(wanted: Put) -> None:
        await put(wanted)
        stored.set()
        await answered.wait()

    def read_before_the_answer(connection: Connection, holder: Holder, hour: int) -> list[Sent]:
        found = sent(connection, holder, hour)
        loop.call_soon_threadsafe(answered.set)
        return found

    assert await office.send(policy) is None
    with monkeypatch.context() as patched:
        patched.setattr(office.queue, "put", slow)
        second = asyncio.create_task(office.send(policy))
        await stored.wait()
    monkeypatch.setattr(usage, "sent", read_before_the_answer)
    assert [await office.send(policy), await second] == [None, None]
    assert await office.send(policy) is not None


async def test_what_is_known_counts_also_while_it_is_read_anew(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, sent = Policy(recipients_per_day=1000), usage.sent
    read = threading.Event()

    def slow(connection: Connection, holder: Holder, hour: int) -> list[Sent]:
        found = sent(connection, holder, hour)
        read.wait()
        return found

    assert await office.send(policy, 990) is None
    office.now += REMEMBERED + 0.1
    assert await office.send(policy, 8) is None
    monkeypatch.setattr(usage, "sent", slow)
    sessions = [asyncio.create_task(office.send(policy, recipients)) for recipients in (3, 10)]
    await asyncio.sleep(0)  # both have begun: one reads, the other has seen what is known meanwhile
    read.set()
    assert None not in await asyncio.gather(*sessions)


async def test_at_a_limit_one_reading_serves_all_who_wait_for_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, sent = Policy(unit_messages_per_day=1, sources={"unit_messages_per_day": "/"}), usage.sent
    asked = 0

    def counting(connection: Connection, holder: Holder, hour: int) -> list[Sent]:
        nonlocal asked
        asked += 1
        return sent(connection, holder, hour)

    assert await office.send(policy) is None
    monkeypatch.setattr(usage, "sent", counting)
    assert None not in await asyncio.gather(*(office.send(policy, account=n) for n in range(20)))
    assert asked == 2, "that of the first, and one that began when all the others were there"


async def test_a_count_is_remembered_for_a_hundredth_of_the_limit_and_two_seconds(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    sent = usage.sent

    def counting(connection: Connection, holder: Holder, hour: int) -> list[Sent]:
        nonlocal asked
        asked += 1
        return sent(connection, holder, hour)

    monkeypatch.setattr(usage, "sent", counting)
    for _ in range(50):
        await office.send(Policy())
    assert asked == 0
    for _ in range(100):
        await office.send(Policy(messages_per_day=5000))
    assert asked == 2
    office.now += REMEMBERED + 0.1
    await office.send(Policy(messages_per_day=5000))
    assert asked == 3


@pytest.mark.parametrize("limit", [1, 20, 400])
async def test_two_processes_pass_a_limit_by_a_hundredth_at_most(office: Office, engine: Engine, limit: int) -> None:
    other = Office(engine, "a#1;")
    policy = Policy(messages_per_day=limit)
    try:
        answers = [await one.send(policy) for _ in range(limit) for one in (office, other)]
    finally:
        await other.close()
    assert limit <= answers.count(None) <= limit + limit // 100


async def test_what_counts_no_more_is_forgotten(office: Office, engine: Engine) -> None:
    hour = int(NOON // HOUR)
    await office.send(Policy(unit_messages_per_day=9, sources={"unit_messages_per_day": "/"}))
    for later, left in ((24, 1), (25, 0)):
        await asyncio.to_thread(_forget, engine, NOON + later * HOUR)
        assert [len(office.sent(holder, hour)) for holder in (7, "/")] == [left, left]


def _forget(engine: Engine, now: float) -> None:
    with write(engine) as connection:
        usage.forget(connection, now - 24 * HOUR, 1000)
        usage.forget_units(connection, now - 24 * HOUR, 1000)


async def test_a_limit_of_messages_holds_over_a_kill_and_for_each_account_alone(tmp_path: Path) -> None:
    site = install(tmp_path / "outgate")
    async with RawPeer() as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        await set_policy(site, messagesPerDay=3, unitMessagesPerDay=6)
        process = await serve(site)
        await eventually(lambda: listens(site), "it serves")
        for _ in range(2):
            await submit(site, ALICE, content=message(ALICE))
        process.kill()
        await process.wait()
        server = await running(site)
        try:
            await submit(site, ALICE, content=message(ALICE))
            with pytest.raises(smtplib.SMTPDataError, match=r"3 messages a day is reached; try again after 20") as over:
                await submit(site, ALICE, content=message(ALICE))
            assert over.value.smtp_code == 450
            await submit(site, BOB, content=message(BOB), account=BOB)
            await set_policy(site, messagesPerDay=0)
            for sender in (ALICE, BOB):
                await submit(site, sender, content=message(sender), account=sender)
            with pytest.raises(smtplib.SMTPDataError, match="6 messages a day for all of / is reached"):
                await submit(site, ALICE, content=message(ALICE))
            await relay.wait_for(6)
        finally:
            await server.stop()


async def test_a_refused_message_leaves_its_session_open(site: Site) -> None:
    async with RawPeer() as relay:
        await site.set_domain_gateway(relay.port, Security.NONE)
        await set_policy(site, recipientsPerDay=5)
        server = await running(site)
        try:
            session = await asyncio.to_thread(client, site)
            four = [f"r{n}@recipient.example" for n in range(4)]
            await asyncio.to_thread(session.sendmail, ALICE, four, message(ALICE))
            with pytest.raises(smtplib.SMTPDataError, match="5 recipients a day") as over:
                await asyncio.to_thread(session.sendmail, ALICE, four[:2], message(ALICE))
            assert over.value.smtp_code == 452
            await asyncio.to_thread(session.sendmail, ALICE, four[:1], message(ALICE))
            await set_policy(site, maxMessageBytes=2000)
            for refused in (smtplib.SMTPDataError, smtplib.SMTPSenderRefused):  # the second time before it has come
                with pytest.raises(refused, match=r"larger than 2000 bytes.*\(from unit /\)") as large:
                    await asyncio.to_thread(
                        session.sendmail, ALICE, four[:1], message(ALICE, body="x" * 70 + "\r\n" * 999)
                    )
                assert large.value.smtp_code == 552
            await asyncio.to_thread(session.quit)
            await relay.wait_for(2)
        finally:
            await server.stop()
