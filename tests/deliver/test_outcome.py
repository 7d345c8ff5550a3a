"""What a peer's replies mean for each recipient."""

import pytest

from outgate.deliver.outcome import Verdict, outcomes
from outgate.smtp import Reply, TransactionResult

OK = Reply(250, "2.0.0", ("Ok",))


@pytest.mark.parametrize("code", [200, 220, 221, 250])
def test_nothing_is_delivered_whose_content_was_not_sent_whole(code: int) -> None:
    result = TransactionResult(OK, (OK, OK), (Reply(code),), content_complete=False)
    assert {outcome.verdict for outcome in outcomes(result, 2, logs_in=False)} == {Verdict.RETRY}


def test_what_was_sent_whole_and_accepted_is_delivered() -> None:
    result = TransactionResult(OK, (OK, Reply(550)), (OK,), content_complete=True)
    verdicts = [outcome.verdict for outcome in outcomes(result, 2, logs_in=False)]
    assert verdicts == [Verdict.DELIVERED, Verdict.FAILED]


def test_a_refusal_counts_without_the_whole_content() -> None:
    result = TransactionResult(OK, (OK,), (Reply(552),), content_complete=False)
    assert outcomes(result, 1, logs_in=False)[0].verdict is Verdict.FAILED


def test_no_answer_to_the_content_waits() -> None:
    assert outcomes(TransactionResult(OK, (OK,)), 1, logs_in=False)[0].verdict is Verdict.RETRY


@pytest.mark.parametrize("code", [530, 534, 535, 538])
def test_a_refused_log_in_waits_only_where_there_is_one(code: int) -> None:
    refused = Reply(code, "5.7.1", ("Client was not authenticated",))
    for result in (
        TransactionResult(refused),
        TransactionResult(OK, (refused,)),
        TransactionResult(OK, (OK,), (refused,), content_complete=True),
    ):
        assert outcomes(result, 1, logs_in=True)[0].verdict is Verdict.RETRY
        assert outcomes(result, 1, logs_in=False)[0].verdict is Verdict.FAILED


def test_552_at_rcpt_stands_for_452() -> None:
    assert outcomes(TransactionResult(OK, (Reply(552),)), 1, logs_in=False)[0].verdict is Verdict.RETRY
