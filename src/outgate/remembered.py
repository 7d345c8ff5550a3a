"""What was read or made once, as long as there is room: the least used goes first. Any number of threads may ask."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Remembered(Generic[K, T]):
    """At most `most`, or as many as do not weigh more than that together."""

    def __init__(self, most: int) -> None:
        self._most, self._weight = most, 0
        self._known: OrderedDict[K, tuple[T, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> T | None:
        """As it was put; None if it was not, or is gone."""
        with self._lock:
            if known := self._known.get(key):
                self._known.move_to_end(key)
            return known[0] if known else None

    def put(self, key: K, what: T, weight: int = 1) -> None:
        """In place of what was known."""
        with self._lock:
            _, before = self._known.pop(key, (what, 0))
            self._known[key] = (what, weight)
            self._weight += weight - before
            while self._weight > self._most:
                _, (_, gone) = self._known.popitem(last=False)
                self._weight -= gone
