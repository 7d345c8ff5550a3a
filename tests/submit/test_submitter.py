"""The two shells round the decision, on both databases: on the event loop and in a transaction they do the same."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import pytest_asyncio
from sqlalchemy import Engine

from outgate.model import Policy, TlsDemand
from outgate.queue import Put, Queue, Room
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.record import message_log
from outgate.record.events import EventKind
from outgate.record.message_log import MessageFilter
from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.group_commit import GroupCommit
from outgate.submit import Refusal, RefusalReason, Submission, Submitter, quotas, submit
from outgate.submit.quotas import SendingQuotas, quotas_of
from submissions import LIMITS, NOON, ORGANISATION, PARTNER, account, submission

ON = Policy(allow_external_smtp=True)
NO_TOOLS = replace(ON, refused_attachments=(".exe",))
WITH_A_TOOL = b'Content-Type: application/x-tool; name="tool.exe"\r\n'

Submit = Callable[[Submission], Awaitable[Put | Refusal]]


@pytest_asyncio.fixture
async def queue(engine: Engine) -> AsyncIterator[Queue]:
    commits = GroupCommit(engine)
    opened = Queue(engine, commits, "node", 60.0)
    yield opened
    await commits.close()
    opened.close()


@pytest.fixture(params=["loop", "transaction"])
def door(request: pytest.FixtureRequest, queue: Queue, engine: Engine) -> Submit:
    """Submits a message to example.com's server."""
    submitter = Submitter(queue, SendingQuotas(engine, lambda: NOON), LIMITS)

    async def by_loop(message: Submission) -> Put | Refusal:
        return await submitter.submit(message, ORGANISATION)

    async def by_transaction(message: Submission) -> Put | Refusal:
        with write(engine) as connection:
            return submit(connection, message, ORGANISATION, LIMITS)

    return by_loop if request.param == "loop" else by_transaction


def kinds(engine: Engine, message_id: int) -> list[str]:
    with read(engine) as connection:
        return [one.kind for one in message_log.history(connection, message_id)]


async def test_a_message_that_may_be_sent_is_in_the_queue_byte_for_byte(
    door: Submit, queue: Queue, engine: Engine
) -> None:
    message = submission(body=b"Hello\r\n" * 100_000)
    put = await door(message)
    assert isinstance(put, Put)
    (item,) = (await queue.claim(NOON, Room(10, {}), await queue.due_queues(NOON))).items
    assert item.message == put.message
    assert b"".join([piece async for piece in queue.content(item)]) == b"".join(message.content.pieces())
    assert kinds(engine, 1) == [EventKind.ACCEPTED, EventKind.ROUTED]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (submission(suspended=True), RefusalReason.NOT_AUTHORISED),
        (submission(NO_TOOLS, fields=WITH_A_TOOL), RefusalReason.ATTACHMENT),
        (submission(NO_TOOLS, fields=WITH_A_TOOL, body=b"x" * 2 * CHUNK_BYTES), RefusalReason.ATTACHMENT),
    ],
)
async def test_a_message_that_is_refused_is_on_record_and_not_in_the_queue(
    door: Submit, queue: Queue, engine: Engine, message: Submission, reason: RefusalReason
) -> None:
    refusal = await door(message)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert kinds(engine, 1) == [EventKind.REFUSED]
    assert (await queue.claim(NOON, Room(10, {}), await queue.due_queues(NOON))).items == ()


async def test_a_message_that_is_no_accounts_is_found_by_its_from_and_message_id(queue: Queue, engine: Engine) -> None:
    message = submission(fields=b"Message-ID: <a@b.example>\r\nTLS-Required: No\r\n")
    submitter = Submitter(queue, SendingQuotas(engine, lambda: NOON), LIMITS)
    put = await submitter.relay(2, NOON, message.envelope, message.header, message.content, ORGANISATION)
    assert isinstance(put, Put)
    assert (put.message.account_id, put.message.is_own) == (None, False)
    assert put.message.tls_demand is TlsDemand.WAIVED
    with read(engine) as connection:
        (found,) = message_log.search(connection, MessageFilter(sender=PARTNER, message_id="<a@b.example>"))
    assert (found.event.message_id, found.event.detail["account"]) == (2, "no account")


async def test_a_message_that_is_no_accounts_and_is_refused_is_on_record(queue: Queue, engine: Engine) -> None:
    message = submission(fields=b"Received: x\r\n" * (LIMITS.received + 1))
    submitter = Submitter(queue, SendingQuotas(engine, lambda: NOON), LIMITS)
    refusal = await submitter.relay(2, NOON, message.envelope, message.header, message.content, ORGANISATION)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.LOOP
    with read(engine) as connection:
        (event,) = message_log.history(connection, 2)
    assert (event.kind, event.detail["from"]) == (EventKind.REFUSED, [PARTNER])


OF_THE_UNIT = replace(ON, unit_messages_per_day=3, unit_recipients_per_hour=4, sources={"unit_messages_per_day": "/"})


@pytest.mark.parametrize("policy", [replace(ON, messages_per_day=3), replace(ON, recipients_per_day=3), OF_THE_UNIT])
async def test_a_limit_is_exact(door: Submit, policy: Policy) -> None:
    outcomes = [await door(replace(submission(policy), identity=n)) for n in range(5)]
    assert [isinstance(one, Put) for one in outcomes] == [True, True, True, False, False]


async def test_attachments_are_found_in_pieces_that_are_stored_already(queue: Queue, engine: Engine) -> None:
    """As a session stores them while they come: two here, one in memory, one at the end."""
    parts = b"--b\r\nContent-Type: text/plain\r\n\r\n%b\r\n--b\r\n%b\r\nMZ\r\n--b--\r\n"
    body = parts % (b"Hello.\r\n" * 100_000, WITH_A_TOOL)
    message = submission(NO_TOOLS, fields=b"Content-Type: multipart/mixed; boundary=b\r\n", body=body)
    first, second, *rest = message.content.earlier_chunks
    assert rest
    for number, piece in enumerate((first, second)):
        await queue.add_chunk(1, number, piece)
    message = replace(message, content=replace(message.content, earlier_chunks=rest))
    submitter = Submitter(queue, SendingQuotas(engine, lambda: NOON), LIMITS)
    refusal = await submitter.submit(message, ORGANISATION)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.ATTACHMENT


async def test_what_could_not_be_stored_counts_until_the_next_reading(
    queue: Queue, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = NOON
    limits = SendingQuotas(engine, lambda: now)
    submitter = Submitter(queue, limits, LIMITS)
    policy = replace(ON, messages_per_day=1000)

    async def full(_: Put) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(queue, "put", full)
        with pytest.raises(StoreUnavailable):
            await submitter.submit(submission(policy), ORGANISATION)
    of = quotas_of(account(policy))
    assert (await limits.uses(of, 1))[of[0].holder].since == [1]
    now += 10.0
    assert (await limits.uses(of, 1))[of[0].holder].since == []


async def test_accounts_that_sent_nothing_lately_are_forgotten(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "_MOST_HOLDERS", 2)
    limits = SendingQuotas(engine, lambda: NOON)
    policy = replace(ON, messages_per_day=1000)
    first, *others = (quotas_of(replace(account(policy), id=number)) for number in (1, 2, 3, 4, 5))
    with limits.counting(first, 1):
        for other in others[:3]:
            await limits.uses(other, 1)
        assert 1 in limits._counts, "it has a message under way"
    await limits.uses(others[3], 1)
    assert 1 not in limits._counts
