"""The ledger, stepped through all its stages by hand."""

import pytest

from deliver.ledger import delivery, item, put, queue
from outgate.deliver.inflight import InFlight, Stage
from outgate.queue import Item, Room


@pytest.fixture
def ledger() -> InFlight:
    return InFlight(100)


def held(ledger: InFlight, one: Item) -> list[Stage | None]:
    return [ledger.stage(one.message.id, recipient.number) for recipient in one.recipients]


def test_a_message_goes_through_all_stages_and_is_gone(ledger: InFlight) -> None:
    one = item(1, "a", "a", "b")
    first, second = delivery(one, [0, 1], "a", version=3), delivery(one, [2], "b", version=4)
    assert ledger.reserve(put(one))
    assert held(ledger, one) == [Stage.RESERVED] * 3
    assert ledger.take(one) is one
    assert held(ledger, one) == [Stage.UNDECIDED] * 3
    ledger.split([first, second])
    assert held(ledger, one) == [Stage.WAITING] * 3
    ledger.start(first)
    assert held(ledger, one) == [Stage.UNDER_WAY, Stage.UNDER_WAY, Stage.WAITING]
    ledger.settle(first)
    assert held(ledger, one) == [Stage.SETTLING, Stage.SETTLING, Stage.WAITING]
    ledger.settled(first)
    assert held(ledger, one) == [None, None, Stage.WAITING]
    assert (ledger.message_ids(), len(ledger)) == ([1], 1)
    ledger.settle(second)  # no connection was to be had: it was never under way
    ledger.settled(second)
    assert (ledger.message_ids(), len(ledger), ledger.room()) == ([], 0, Room(100, {}))


def _at(ledger: InFlight, stage: Stage) -> None:
    """One recipient of message 1, in queue a, at this stage."""
    one = item(1, "a")
    if stage is Stage.RESERVED:
        ledger.reserve(put(one))
        return
    ledger.take(one)
    steps = {
        Stage.WAITING: ("split",),
        Stage.UNDER_WAY: ("split", "start"),
        Stage.SETTLING: ("split", "settle"),
    }
    for step in steps.get(stage, ()):
        _step(ledger, step)


def _step(ledger: InFlight, step: str) -> None:
    one = item(1, "a")
    match step:
        case "reserve":
            ledger.reserve(put(one))
        case "forget":
            ledger.forget(put(one))
        case "split":
            ledger.split([delivery(one, [0], "a")])
        case _:
            getattr(ledger, step)(delivery(one, [0], "a"))


ALLOWED = {
    (Stage.RESERVED, "forget"): None,
    (Stage.UNDECIDED, "split"): Stage.WAITING,
    (Stage.WAITING, "start"): Stage.UNDER_WAY,
    (Stage.WAITING, "undecide"): Stage.UNDECIDED,
    (Stage.WAITING, "settle"): Stage.SETTLING,
    (Stage.UNDER_WAY, "settle"): Stage.SETTLING,
    (Stage.UNDER_WAY, "undecide"): Stage.UNDECIDED,
    (Stage.SETTLING, "settled"): None,
}
STEPS = ("reserve", "forget", "split", "start", "undecide", "settle", "settled")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("stage", Stage)
def test_a_step_is_taken_from_its_stages_alone(ledger: InFlight, stage: Stage, step: str) -> None:
    _at(ledger, stage)
    assert ledger.stage(1, 0) is stage
    if (stage, step) in ALLOWED:
        _step(ledger, step)
        assert ledger.stage(1, 0) is ALLOWED[stage, step]
    else:
        with pytest.raises(ValueError, match=r"recipient \(1, 0\)"):
            _step(ledger, step)
        assert ledger.stage(1, 0) is stage


@pytest.mark.parametrize("step", [step for step in STEPS if step != "reserve"])
def test_nothing_is_done_with_what_is_not_held(ledger: InFlight, step: str) -> None:
    with pytest.raises(ValueError, match=r"recipient \(1, 0\)"):
        _step(ledger, step)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.RESERVED])
def test_what_is_held_is_never_taken_twice(ledger: InFlight, stage: Stage) -> None:
    _at(ledger, stage)
    assert ledger.take(item(1, "a")) is None
    again = ledger.take(item(1, "a", "b"))
    assert again is not None
    assert [one.number for one in again.recipients] == [1]
    assert (ledger.stage(1, 0), ledger.stage(1, 1)) == (stage, Stage.UNDECIDED)


def test_leases_are_renewed_as_long_as_any_recipient_is_held(ledger: InFlight) -> None:
    one = item(1, "a", "b")
    ledger.take(one)
    first, second = delivery(one, [0], "a"), delivery(one, [1], "b")
    ledger.split([first, second])
    for done in (first, second):
        assert ledger.message_ids() == [1]
        ledger.settle(done)
        ledger.settled(done)
    assert ledger.message_ids() == []


def test_a_recipient_that_is_due_again_beside_another_in_transfer_leaves_the_count_right(ledger: InFlight) -> None:
    one = item(1, "a", "b")
    ledger.take(one)
    first, second = delivery(one, [0], "a"), delivery(one, [1], "b")
    ledger.split([first, second])
    ledger.settle(first)
    ledger.settled(first)  # deferred
    ledger.start(second)
    assert ledger.take(item(1, "a")) is not None  # due again
    ledger.split([first])
    ledger.settle(second)
    ledger.settled(second)
    assert ledger.message_ids() == [1]
    ledger.settle(first)
    ledger.settled(first)
    assert ledger.message_ids() == []


def test_the_oldest_version_is_that_of_what_is_under_way_alone(ledger: InFlight) -> None:
    one = item(1, "a", "b")
    ledger.take(one)
    old, new = delivery(one, [0], "a", version=3), delivery(one, [1], "b", version=5)
    ledger.split([old, new])
    assert ledger.oldest_version(7) == 7
    ledger.start(new)
    assert ledger.oldest_version(7) == 5
    ledger.start(old)
    assert ledger.oldest_version(7) == 3
    ledger.settle(old)
    assert ledger.oldest_version(7) == 5
    ledger.settle(new)
    assert ledger.oldest_version(7) == 7


def test_what_goes_on_by_a_way_that_still_holds_counts_as_decided_anew(ledger: InFlight) -> None:
    ledger.take(item(1, "a"))
    one = delivery(item(1, "a"), [0], "a", version=3)
    ledger.split([one])
    with pytest.raises(ValueError, match="is not under way"):
        ledger.confirm(one, 7)
    ledger.start(one)
    ledger.confirm(one, 7)
    assert ledger.oldest_version(9) == 7
    ledger.settle(one)
    assert ledger.oldest_version(9) == 9
    with pytest.raises(ValueError, match="is not under way"):
        ledger.confirm(delivery(item(2, "a"), [0], "a"), 7)


def test_what_is_broken_off_is_decided_again_and_holds_nobody_up(ledger: InFlight) -> None:
    ledger.take(item(1, "a"))
    one = delivery(item(1, "a"), [0], "a", version=3)
    ledger.split([one])
    ledger.start(one)
    ledger.undecide(one)
    assert (ledger.stage(1, 0), ledger.oldest_version(9)) == (Stage.UNDECIDED, 9)


def test_what_was_leased_unnoticed_is_unknown(ledger: InFlight) -> None:
    ledger.take(item(1, "a"))
    ledger.reserve(put(item(2, "a")))
    assert ledger.unknown([(1, 0), (1, 1), (2, 0), (3, 0)]) == [(1, 1), (3, 0)]


def test_one_queue_alone_holds_a_tenth_of_the_places_and_others_find_room(ledger: InFlight) -> None:
    taken = sum(ledger.reserve(put(item(number, "slow"))) for number in range(50))
    assert taken == 10
    assert ledger.reserve(put(item(99, "healthy")))
    assert not ledger.reserve(put(item(100, "healthy", "slow")))  # one of its queues is full


def test_many_slow_queues_leave_room_for_one_that_holds_nothing(ledger: InFlight) -> None:
    for number in range(4000):
        ledger.reserve(put(item(number, f"slow{number % 40}")))
    assert ledger.reserve(put(item(9999, "healthy")))


def test_a_queue_that_was_refused_room_is_hungry_once_a_good_part_is_free_again(ledger: InFlight) -> None:
    slow, letters = queue("slow"), [item(number, "slow") for number in range(10)]
    for one in letters:
        ledger.reserve(put(one))
    assert not ledger.is_hungry(slow)
    assert not ledger.reserve(put(item(50, "slow")))
    hungry = []
    for one in letters:
        ledger.forget(put(one))
        hungry.append(ledger.is_hungry(slow))
    assert hungry == [False] * 4 + [True] + [False] * 5


def test_what_changes_its_queue_is_counted_in_the_new_one(ledger: InFlight) -> None:
    one = item(1, "a", "a")
    ledger.take(one)
    ledger.split([delivery(one, [0], "b"), delivery(one, [1], "a")])
    assert ledger.room() == Room(99, {queue("a"): 1, queue("b"): 1})
