"""The log is written by whoever has the time to; what can't be written is counted and dropped."""

import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import structlog

from outgate import log_lines
from outgate.log_lines import LogWriter


@dataclass
class Pipe:
    """As small as a pipe can be: 4 KiB. Knows who writes into it, since a thread outlives its test."""

    reading: int
    writing: int
    writers: list[LogWriter] = field(default_factory=list)

    def writer(self, waiting: int = log_lines.WAITING) -> LogWriter:
        self.writers.append(LogWriter(self.writing, waiting))
        return self.writers[-1]

    def lines(self, count: int) -> list[str]:
        """As soon as so many are there."""
        found = b""
        while found.count(b"\n") < count:
            found += os.read(self.reading, 65536)
        return found.decode().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    made = Pipe(reading, writing)
    yield made
    os.close(reading)  # what is left to write fails, and no writer meets a later test's file by this one's number
    for writer in made.writers:
        writer.flush()
    os.close(writing)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines were said to be dropped."""
    said: list[int] = []

    class Log:
        def warning(self, _: str, *, lines: int) -> None:
            said.append(lines)

    monkeypatch.setattr(log_lines, "_log", Log())
    return said


def test_lines_come_in_their_order_from_any_thread(pipe: Pipe) -> None:
    writer = pipe.writer()
    for number in range(5):
        thread = threading.Thread(target=writer.info, args=(str(number),))
        thread.start()
        thread.join()
    writer.flush()
    assert pipe.lines(5) == ["0", "1", "2", "3", "4"]


def test_who_logs_does_not_wait_for_who_reads_and_what_is_too_much_is_counted(pipe: Pipe, told: list[int]) -> None:
    writer = pipe.writer(waiting=100)
    for number in range(5000):  # who waited here would wait for ever
        writer.info(f"{number} {'x' * 200}")
    writer.flush(seconds=0.1)
    kept = pipe.lines(100)
    writer.flush()
    assert kept[0].startswith("0 ")
    assert 5000 - 800 < sum(told) < 5000


def test_a_pipe_that_nobody_reads_any_more_is_no_fault_of_who_logs(told: list[int]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LogWriter(writing)
    writer.error("lost")
    writer.flush()
    os.close(writing)
    assert told == []


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    writer = pipe.writer()
    for number in range(100):
        writer.info(f"{number} {'x' * 200}")
    assert len(pipe.lines(100)) == 100


def test_a_forked_process_writes_its_own_lines_and_not_those_before_it(pipe: Pipe) -> None:
    writer = pipe.writer()
    writer.info("parent")
    writer.flush()
    pid = os.fork()
    if pid == 0:
        writer.info("child")
        writer.flush()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert pipe.lines(2) == ["parent", "child"]


def test_what_libraries_log_is_a_line_like_others(capfd: pytest.CaptureFixture[str]) -> None:
    before, handlers = structlog.get_config(), logging.getLogger().handlers
    lines = log_lines.configure("text")
    try:
        logging.getLogger("somebody").warning("said \x1b[2J%s", "x")
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers = handlers
    lines.flush()
    assert "warning  said \\x1b[2Jx" in capfd.readouterr().err
