"""Breakers of destinations."""

import pytest

from outgate.deliver.breaker import FAILURES, Breaker, Breakers
from outgate.deliver.delivery import Destination
from outgate.deliver.outcome import Outcome, Verdict
from outgate.deliver.tls_policy import TlsPolicy
from outgate.model import Gateway, QueueKey, QueueKind, Schedule, Security, TlsDemand


def down(number: int) -> Outcome:
    return Outcome(Verdict.RETRY, f"4.4.1 timed out ({number})")


def schedule(first: float = 60.0, longest: float = 14400.0) -> Schedule:
    return Schedule(first, 3.0, longest, 0.0, 432_000.0)


def opened(by: Schedule | None = None) -> Breaker:
    breaker = Breaker(by or schedule())
    for number in range(FAILURES):
        assert breaker.held(float(number)) is None
        breaker.failed(down(number), float(number))
    return breaker


def test_it_opens_after_failures_in_a_row_and_says_the_last_reason() -> None:
    held = opened().held(3.0)
    assert held is not None
    assert (held.reason, held.untried, held.again) == ("4.4.1 timed out (2)", True, 63.0)


def test_all_who_waited_for_one_connection_count_once() -> None:
    breaker, same = Breaker(schedule()), down(1)
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


@pytest.mark.parametrize(
    ("by", "longest"),
    [(schedule(600.0, 21600.0), 6000.0), (schedule(1800.0, 1800.0), 1800.0), (schedule(60.0, 10.0), 10.0)],
)
def test_no_pause_is_longer_than_the_longest_wait(by: Schedule, longest: float) -> None:
    breaker = opened(by)
    for number in range(9):
        breaker.failed(down(number + 10), 3.0)
    held = breaker.held(3.0)
    assert held is not None
    assert held.again == 3.0 + longest


def test_a_destination_waits_by_the_schedule_of_its_last_failure() -> None:
    breakers = failing(destination())
    breakers.failed(destination(), down(9), 10.0, schedule(10.0, 60.0))
    held = breakers.held(destination(), 12.0)
    assert held is not None
    assert held.again == 12.0 + 20.0
    assert breakers.held(destination(), 12.5) is None, "one tries"


def destination(name: str = "a.example", credential_version: int = 1) -> Destination:
    gateway = Gateway("gateway:1", name, 587, Security.STARTTLS, "alice", b"", credential_version)
    return Destination(QueueKey(QueueKind.GATEWAY, "1"), gateway, TlsPolicy.STARTTLS, TlsDemand.USUAL)


def failing(*destinations: Destination) -> Breakers:
    breakers = Breakers()
    for one in destinations:
        for number in range(FAILURES):
            breakers.failed(one, down(number), float(number), schedule())
    return breakers


def test_what_is_final_opens_nothing() -> None:
    breakers = Breakers()
    for number in range(9):
        breakers.failed(destination(), Outcome(Verdict.FAILED, f"5.4.4 no such domain {number}"), 1.0, schedule())
    assert not breakers


def test_who_refuses_a_credential_was_reached() -> None:
    breakers = Breakers()
    for number in range(9):
        reason = f"4.7.8 a.example[192.0.2.1]:587: log-in refused: 535 5.7.8 no {number}"
        breakers.failed(destination(), Outcome(Verdict.RETRY, reason), 1.0, schedule())
    assert not breakers


@pytest.mark.parametrize("corrected", [destination("b.example"), destination(credential_version=2)])
def test_a_gateway_that_was_corrected_is_tried_at_once_and_so_is_what_waits(corrected: Destination) -> None:
    breakers = failing(destination())
    assert breakers.held(destination(), 3.0)
    assert breakers.held(corrected, 3.0) is None
    assert breakers.reached(corrected), "what waits because of what it was"
    assert not breakers


def test_one_that_is_reached_says_nothing_of_another_queue_or_another_demand() -> None:
    there = destination()
    elsewhere = there._replace(queue=QueueKey(QueueKind.GATEWAY, "2"))
    with_tls = there._replace(demand=TlsDemand.REQUIRED)
    breakers = failing(there, elsewhere, with_tls)
    assert breakers.reached(there)
    assert not breakers.reached(there)
    assert breakers.held(there, 3.0) is None
    assert breakers.held(elsewhere, 3.0)
    assert breakers.held(with_tls, 3.0)


def test_what_nobody_comes_to_any_more_is_forgotten() -> None:
    breakers = failing(destination())
    breakers.failed(destination("b.example"), down(9), 600.0, schedule())
    breakers.drop_unused(600.0)
    assert len(breakers) == 2
    breakers.drop_unused(1700.0)
    assert len(breakers) == 1
    breakers.drop_unused(2000.0)
    assert not breakers
