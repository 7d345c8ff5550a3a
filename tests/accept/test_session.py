"""A session driven by hand through its states: what it says, when it reads, what it forgets."""

import asyncio
from pathlib import Path

import pytest

from accept.fakes import ALICE, CONTENT, TRANSACTION, Stage
from outgate import clock
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.store.engine import StoreUnavailable
from outgate.submit import Refusal, RefusalReason

REFUSED = Refusal(RefusalReason.POLICY, 550, "5.7.1", "Policy forbids it")
SCRAM_FIRST = "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLmNvbSxyPWNsaWVudC1ub25jZQ=="


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def begun(stage: Stage) -> None:
    """Content may come."""
    await stage.log_in_as_alice()
    assert "354" in await stage.says(*TRANSACTION)


async def asked(stage: Stage) -> None:
    """The message has come, and is being decided about."""
    await begun(stage)
    await stage.says(*CONTENT)
    assert stage.submitter.asked.is_set()


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_a_message_is_answered_when_it_is_stored_and_not_before(stage: Stage) -> None:
    await asked(stage)
    assert stage.heard() == ""
    stage.submitter.answer.set_result(None)
    await stage.settled()
    assert stage.heard().startswith("250 2.0.0 Ok: queued as ")


async def test_a_sender_that_is_not_the_accounts_is_refused_and_its_recipients_with_it(stage: Stage) -> None:
    await stage.log_in_as_alice()
    said = await stage.says("MAIL FROM:<bob@example.com>", "RCPT TO:<carol@recipient.example>", "DATA")
    assert [line[:3] for line in said.splitlines()] == ["550", "503", "503"]
    assert "354" in await stage.says(*TRANSACTION)


async def test_a_refused_message_is_answered_with_the_refusal_and_forgotten(stage: Stage) -> None:
    stage.submitter.answer.set_result(REFUSED)
    await begun(stage)
    assert await stage.says(*CONTENT) == "550 5.7.1 Policy forbids it\r\n"
    assert "354" in await stage.says(*TRANSACTION)


async def test_a_store_that_is_away_is_451_and_the_session_goes_on(stage: Stage) -> None:
    stage.submitter.answer.set_exception(StoreUnavailable("locked"))
    await begun(stage)
    assert (await stage.says(*CONTENT)).startswith("451 4.3.1")
    assert "250" in await stage.says("NOOP")


async def test_what_nobody_foresaw_is_451_and_nothing_is_acknowledged(stage: Stage) -> None:
    stage.submitter.answer.set_exception(ZeroDivisionError())
    await begun(stage)
    assert (await stage.says(*CONTENT)).startswith("451 4.3.0")


async def test_pieces_of_a_message_whose_fate_is_not_known_are_kept(stage: Stage) -> None:
    """A commit whose answer was lost may have made them a message."""
    stage.submitter.answer.set_exception(StoreUnavailable("connection lost"))
    await begun(stage)
    await long_message(stage, CHUNK_BYTES + 1000)
    assert stage.heard().startswith("451 4.3.1")
    assert stage.queue.pieces
    assert not stage.queue.discarded


async def test_pieces_of_a_refused_message_are_removed(stage: Stage) -> None:
    stage.submitter.answer.set_result(REFUSED)
    await begun(stage)
    await long_message(stage, CHUNK_BYTES + 1000)
    assert not stage.queue.pieces


async def long_message(stage: Stage, size: int, end: str = "\r\n.\r\n") -> None:
    stage.session.data_received(f"From: {ALICE}\r\nSubject: Long\r\n\r\n".encode())
    line = b"x" * 70 + b"\r\n"
    for _ in range(size // (len(line) * 100) + 1):
        stage.session.data_received(line * 100)
        await stage.settled()
    stage.session.data_received(end.encode())
    await stage.settled()


# --- what the log-in rests on ----------------------------------------------------------------------------------------


async def test_a_session_ends_at_the_mail_after_its_token_has_expired(stage: Stage) -> None:
    stage.log_in.valid_until = clock.now() - 1
    await stage.log_in_as_alice()
    assert (await stage.says(*TRANSACTION)).startswith("421 4.7.0 The access token has expired")
    assert stage.wire.closed


async def test_a_session_ends_when_its_password_is_revoked_while_a_message_comes(stage: Stage) -> None:
    await begun(stage)
    stage.log_in.stands_still = False
    assert (await stage.says(*CONTENT)).startswith("421 4.7.0")
    assert not stage.submitter.submissions


async def test_a_session_ends_when_its_account_is_gone(stage: Stage) -> None:
    await begun(stage)
    stage.directory.account_there = None
    assert (await stage.says(*CONTENT)).startswith("421 4.7.0 The account is no longer there")
    assert stage.wire.closed


# --- stopping and losing ---------------------------------------------------------------------------------------------


async def test_a_session_that_stores_when_the_server_stops_answers_first(stage: Stage) -> None:
    await asked(stage)
    answer = stage.session.stop()
    assert answer
    stage.submitter.answer.set_result(None)
    await answer
    first, second = stage.heard().splitlines()
    assert first.startswith("250 2.0.0 Ok: queued as ")
    assert second.startswith("421 4.3.2")
    assert stage.wire.closed


async def test_an_idle_session_hears_421_when_the_server_stops(stage: Stage) -> None:
    await stage.log_in_as_alice()
    assert stage.session.stop() is None
    assert stage.heard().startswith("421 4.3.2")
    assert stage.wire.closed


async def test_a_connection_lost_while_a_message_is_stored_leaves_it_stored_and_looks_at_nothing_behind_it(
    stage: Stage,
) -> None:
    await begun(stage)
    await stage.says(*CONTENT, *TRANSACTION, *CONTENT)
    await stage.lose()
    stage.submitter.answer.set_result(None)
    await stage.settled()
    assert len(stage.submitter.submissions) == 1
    assert stage.session.lost.done()


async def test_a_connection_lost_in_the_middle_of_a_message_forgets_it(stage: Stage) -> None:
    await begun(stage)
    await long_message(stage, 2 * CHUNK_BYTES, end="")
    assert stage.queue.pieces
    await stage.lose()
    assert not stage.queue.pieces
    assert not stage.submitter.submissions


async def test_a_lost_connection_is_lost_once(stage: Stage) -> None:
    await stage.lose()
    await stage.lose()
    assert stage.session.lost.done()


@pytest.mark.parametrize("end", ["*", "QUIT", "bm9uc2Vuc2U=", None])
async def test_an_exchange_that_comes_to_nothing_is_a_failure_once(stage: Stage, end: str | None) -> None:
    assert "334" in await stage.says("EHLO client.example", SCRAM_FIRST)
    if end:
        await stage.says(end)
    await stage.lose()
    assert stage.log_in.failures == [ALICE]


# --- reading and writing ---------------------------------------------------------------------------------------------


async def test_nothing_is_read_while_a_question_is_open(stage: Stage) -> None:
    await asked(stage)
    stage.session.data_received(b"NOOP\r\n")
    assert not stage.wire.reading
    stage.submitter.answer.set_result(None)
    await stage.settled()
    assert stage.wire.reading
    assert [line[:3] for line in stage.heard().splitlines()] == ["250", "250"]


async def test_nothing_is_read_while_the_client_does_not_read(stage: Stage) -> None:
    await stage.says("EHLO client.example")
    stage.session.pause_writing()
    assert not stage.wire.reading
    assert await stage.says("NOOP", "NOOP") == ""
    stage.session.resume_writing()
    assert stage.wire.reading
    assert len(stage.heard().splitlines()) == 2


async def test_a_client_that_does_not_read_gets_no_further_than_its_open_question(stage: Stage) -> None:
    await begun(stage)
    stage.session.pause_writing()
    await stage.says(*CONTENT, *TRANSACTION)
    stage.submitter.answer.set_result(None)
    await stage.settled()
    assert not stage.wire.reading
    assert len(stage.submitter.submissions) <= 1
    stage.session.resume_writing()
    await stage.settled()
    assert stage.wire.reading
    assert "354" in stage.heard()


async def test_a_client_that_does_not_read_its_last_reply_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outgate.accept.session.CLOSE_SECONDS", 0.05)
    stage = Stage(tmp_path)
    stage.session.pause_writing()
    stage.session.stop()
    assert stage.wire.closed
    assert not stage.wire.aborted
    async with asyncio.timeout(10):
        while not stage.wire.aborted:
            await asyncio.sleep(0.01)


# --- unfinished messages ---------------------------------------------------------------------------------------------


async def test_the_unfinished_messages_of_a_user_have_a_total_over_all_sessions(tmp_path: Path) -> None:
    limit = 1024 * 1024
    first = Stage(tmp_path, max_unfinished_bytes=limit)
    second = Stage(tmp_path, max_unfinished_bytes=limit)
    second.services.unfinished = first.services.unfinished
    await begun(first)
    await long_message(first, 3 * CHUNK_BYTES, end="")
    await begun(second)
    await long_message(second, 3 * CHUNK_BYTES)
    assert second.heard().startswith("452 4.3.1 Too much of your other messages")
    assert not second.queue.pieces
    second.submitter.answer.set_result(None)
    assert "354" in await second.says(*TRANSACTION)
    assert (await second.says(*CONTENT)).startswith("250")  # what is short goes on
    await first.lose()
    assert "354" in await second.says(*TRANSACTION)
    await long_message(second, 3 * CHUNK_BYTES)
    assert second.heard().startswith("250")
