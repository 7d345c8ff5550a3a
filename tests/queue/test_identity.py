"""Queue ids: unique, growing, and the same there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import QueueKey, QueueKind
from outgate.queue.queue_id import QueueIds, from_text, to_text


@given(st.lists(st.floats(min_value=0, max_value=4e9), min_size=1, max_size=50))
def test_ids_grow_even_if_the_clock_is_set_back(times: list[float]) -> None:
    queue_ids = QueueIds()
    made = [queue_ids.new(time) for time in times]
    assert made == sorted(set(made))


def test_ten_thousand_ids_of_one_moment_are_different() -> None:
    queue_ids = QueueIds()
    assert len({queue_ids.new(1.0) for _ in range(10_000)}) == 10_000


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_an_id_reads_back_from_its_text(identity: int) -> None:
    assert from_text(to_text(identity)) == identity


@pytest.mark.parametrize("text", ["", "0c8sm2v1r000", "0c8sm2v1r000u", "0c8sm2v1r00034", "8000000000000"])
def test_what_is_no_queue_id_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not a queue id"):
        from_text(text)


@pytest.mark.parametrize("name", ["", "x", "²", "03", "0", "1" * 19])
def test_a_gateway_s_row_is_a_number_that_a_row_can_have(name: str) -> None:
    assert QueueKey(QueueKind.GATEWAY, name).row is None
    assert QueueKey(QueueKind.MX, "3").row is None
    assert QueueKey(QueueKind.GATEWAY, "3").row == 3
