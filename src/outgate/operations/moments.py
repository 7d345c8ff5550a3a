"""Many changes in short transactions with room between, so that submissions go on beside them. Knows no operation."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

MOMENT: Final = 0.03  # seconds that one transaction is written to: submissions wait no longer


def for_a_moment(waiting: deque[T]) -> Iterator[T]:
    """The first of what waits, one by one, for as long as one transaction may take."""
    end = time.monotonic() + MOMENT
    while waiting and time.monotonic() < end:
        yield waiting.popleft()


@contextmanager
def room_after() -> Iterator[None]:
    """Stands round a transaction of many: what waited for it has as long to itself as it took."""
    began = time.monotonic()
    yield
    time.sleep(time.monotonic() - began)
