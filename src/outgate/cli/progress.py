"""How far a long command is, on standard error where that is a terminal."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def with_progress(items: Iterable[T], doing: str, total: int | None) -> Iterator[T]:
    """The items, with a bar that moves as they are taken; `total` is None where their number is not known."""
    console = Console(stderr=True)
    yield from track(items, description=doing, total=total, console=console, disable=not sys.stderr.isatty())
