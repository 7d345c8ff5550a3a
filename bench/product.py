"""What a product must offer to be measured, and the CPU time that its processes took."""

from dataclasses import dataclass
from typing import Protocol

import psutil


@dataclass(frozen=True, slots=True)
class Work:
    """`gateway`: each sender through its own gateway, with TLS and its own log-in. `relay`: all to one smart host."""

    name: str
    sink_port: int


class Product(Protocol):
    """A mail server under test, running from `start` until `stop`."""

    name: str
    port: int  # of submission, implicit TLS

    def start(self) -> None:
        """Be ready when it returns."""

    def stop(self) -> None:
        """Stop all processes."""

    def cpu_seconds(self) -> float:
        """Of all its processes so far, ended ones included where they can be known."""


def cpu_of(root: int) -> float:
    """CPU seconds of a process, its children that ended, and its living descendants."""
    total = 0.0
    process = psutil.Process(root)
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
