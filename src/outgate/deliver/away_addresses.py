"""The addresses that could not be connected to of late, or kept us waiting: where there are others, these come last.

Of one process, and in memory alone: what it does not know costs one time-out. Knows no message and no host's name.
"""

import time
from collections.abc import Callable
from typing import Final

PAUSE: Final = 60.0  # seconds for which an address is tried last
MOST: Final = 1_000  # addresses; beyond that what is new is not noted


class AwayAddresses:
    """`now` gives seconds that only grow."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: dict[tuple[str, int], float] = {}

    def has(self, address: str, port: int) -> bool:
        """Whether it is to be tried last."""
        return self._until.get((address, port), 0.0) > self._now()

    def add(self, address: str, port: int, seconds: float = PAUSE) -> None:
        """It could not be connected to, or kept us waiting for nothing: it is tried last for so long."""
        now = self._now()
        self._until = {one: until for one, until in self._until.items() if until > now}
        if len(self._until) < MOST:
            self._until[address, port] = now + seconds

    def remove(self, address: str, port: int) -> None:
        """It was connected to."""
        self._until.pop((address, port), None)
