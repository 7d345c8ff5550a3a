"""The breaker of one destination."""

from outgate.deliver.breaker import FAILURES, Breaker
from outgate.deliver.outcome import Outcome, Verdict


def down(number: int) -> Outcome:
    return Outcome(Verdict.RETRY, f"4.4.1 timed out ({number})")


def opened(pause: float = 60.0) -> Breaker:
    breaker = Breaker(pause)
    for number in range(FAILURES):
        assert breaker.held(float(number)) is None
        breaker.failed(down(number), float(number))
    return breaker


def test_it_opens_after_failures_in_a_row_and_says_the_last_reason() -> None:
    held = opened().held(3.0)
    assert held is not None
    assert (held.reason, held.untried, held.again) == ("4.4.1 timed out (2)", True, 63.0)


def test_all_who_waited_for_one_connection_count_once() -> None:
    breaker, same = Breaker(60.0), down(1)
    for _ in range(100):
        breaker.failed(same, 1.0)
    assert not breaker.is_open


def test_one_message_tries_from_time_to_time() -> None:
    breaker = opened()
    assert breaker.held(16.0)
    assert breaker.held(17.0) is None
    assert breaker.held(17.1), "only one"
    assert breaker.held(32.0) is None


def test_the_pause_grows_to_ten_times_the_first() -> None:
    breaker = opened()
    pauses = []
    for number in range(10, 17):
        breaker.failed(down(number), number * 1000.0)
        held = breaker.held(number * 1000.0)
        assert held is not None
        assert held.again is not None
        pauses.append(held.again - number * 1000)
    assert pauses == [120, 240, 480, 600, 600, 600, 600]


def test_what_is_final_opens_nothing() -> None:
    breaker = Breaker(60.0)
    for number in range(9):
        breaker.failed(Outcome(Verdict.FAILED, f"5.4.4 no such domain {number}"), 1.0)
    assert not breaker.is_open
