"""Waiting for something to be so, with a deadline. Knows no server."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_INTERVAL = 0.02


class LabError(Exception):
    """The lab does not work; the text says which part, with the end of its log."""


def wait_for(what: str, look: Callable[[], T | None], *, seconds: float = 30.0, log: Callable[[], str] = str) -> T:
    """What `look` gives, as soon as it is neither None nor False; raises LabError after `seconds`, with `log`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds:g} seconds\n{log()}")
        time.sleep(_INTERVAL)
    return found
